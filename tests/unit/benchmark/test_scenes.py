"""What the further scenes tell: scaling by cores, an empty room, recordings; and which cores are taken first."""

import json

import pytest
from test_benchmark_report import real

from benchmark import scaling as scaling_module
from benchmark.find_max import FindMax
from benchmark.idle import Idle, empty_room
from benchmark.recorded import Drawn, Packets, Recorded
from benchmark.report import Report, markdown, print_tables
from benchmark.scaling import Point, Scaling, by_core, steps


def point(cores, streams, fps, siblings=0):
    return Point(cores=cores, cpus=list(range(cores)), siblings=siblings, streams=streams, fps=fps, busy_share=0.95)


def most(streams, ms=6.0):
    held = real(streams) if streams else None
    return FindMax(
        streams=streams,
        limited_by="capture",
        why="p95 age 150 ms",
        held=held,
        tried={1: True},
        cpu_ms_per_frame={max(1, streams): ms},
    )


def recorded(alone=4, kept=4):
    drawn = Drawn(alone_p99_ms=20.0, recorded_p99_ms=26.0, recorded=600, not_recorded=3)
    return Recorded(Packets(alone=most(alone), recorded=most(kept, ms=6.6)), drawn)


IDLE = Idle(
    cores={"supervisor": 0.006, "capture": 0.07, "detect": 0.02, "classify": 0.005, "overlay": 0.005},
    decoding_cores=0.05,
    fps=30.0,
    searches_per_s=1.4,
    faces=0,
)


def test_two_cores_beside_one_and_what_is_not_determined_is_not_told():
    scaling = Scaling([point(1, 5, 150.0), point(2, 10, 270.0)])
    assert dict(scaling.ratios()) == {"streams_on_2_cores_to_1": 2.0, "frames_on_2_cores_to_1": pytest.approx(1.8)}
    found = json.loads(json.dumps(scaling.as_json()))
    assert found["points"][1]["efficiency"] == {"streams": 1.0, "frames": pytest.approx(0.9)}
    assert found["laws"]["frames"]["contention"] == pytest.approx(2 / 1.8 - 1)
    assert found["laws"]["frames"]["coherence"] is None
    rows = list(scaling.rows())
    assert rows[1] == ("2 cores", "10 held, 270 frames/s", "efficiency 100% of streams, 90% of frames; 95% busy")
    assert rows[3][:2] == ("scalability law, frames", "contention 0.111")
    assert "two points do not determine coherence" in rows[3][2]


def test_one_core_and_cores_that_hold_nothing_have_no_law():
    alone = Scaling([point(1, 5, 150.0)])
    assert [row[1:] for row in list(alone.rows())[1:]] == [("not determined", "only one core to measure on")] * 2
    none = Scaling([point(1, 0, 20.0), point(2, 1, 40.0)])
    assert dict(none.ratios()) == {"frames_on_2_cores_to_1": 2.0}
    assert none.as_json()["points"][1]["efficiency"]["streams"] is None
    assert ("scalability law, streams", "not determined", "some number of cores holds no stream") in none.rows()


def test_second_threads_of_a_core_come_last_and_are_told(monkeypatch):
    monkeypatch.setattr(scaling_module, "siblings_of", lambda cpu: f"{cpu // 2 * 2}-{cpu // 2 * 2 + 1}")
    assert by_core({0, 1, 2, 3, 5}) == [0, 2, 5, 1, 3]
    assert "2 of them are another's second thread" in next(Scaling([point(4, 9, 400.0, siblings=2)]).rows())[2]


@pytest.mark.parametrize(("usable", "counts"), [(1, [1]), (2, [1, 2]), (3, [1, 2, 3]), (8, [1, 2, 4, 8])])
def test_cores_are_doubled_up_to_all_that_may_be_used(usable, counts):
    assert [len(cpus) for cpus in steps(range(8), usable)] == counts


def test_an_empty_room_is_told_beside_decoding_and_by_stage():
    assert IDLE.ratio == pytest.approx(2.0)
    rows = {what: (figure, told) for what, figure, told in IDLE.rows()}
    assert rows["all stages"] == ("0.100 cores", "capture 0.070, detect 0.020, classify 0.005, overlay 0.005")
    assert rows["beside that"] == ("2.00 times", "2.12 with the supervisor")


def test_recordings_are_told_beside_what_is_only_seen():
    assert dict(recorded().ratios()) == {
        "recorded_to_alone_streams": 1.0,
        "drawn_recording_to_none_age_p99": pytest.approx(1.3),
    }
    rows = {what: (figure, told) for what, figure, told in recorded().rows()}
    assert rows["CPU per frame of 4 streams, recorded"] == ("6.60 ms, 1.10 times", "seen alone 6.00 ms")
    assert rows["with a drawn recording (file:)"][1] == "1.30 times; 600 frames recorded, 3 not"
    rows = {what: (figure, told) for what, figure, told in recorded(kept=0).rows()}
    assert rows["seen and recorded (record:)"] == ("0 held, 0.00 of that", "p95 age 150 ms")
    assert "recorded_to_alone_streams" not in dict(recorded(alone=0, kept=0).ratios())


def test_json_and_tables_tell_all_scenes(capsys):
    scaling = Scaling([point(1, 5, 150.0), point(2, 10, 270.0), point(4, 18, 440.0)])
    report = Report(clip="film", scaling=scaling, idle=IDLE, recorded=recorded())
    found = json.loads(json.dumps(report.as_json()))
    assert {"scaling", "idle", "recorded"} <= found.keys()
    assert found["ratios"]["idle_cpu_to_decoding"] == 2.0
    assert found["recorded"]["drawn"]["not_recorded"] == 3
    print_tables(report)
    assert "270 frames/s" in capsys.readouterr().out
    text = markdown(report)
    assert "| 2 cores | 10 held, 270 frames/s |" in text
    assert "three points fit exactly" in text


def test_what_more_cores_bring_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    from benchmark.plot import save_scaling_plot

    save_scaling_plot(Scaling([point(1, 5, 150.0), point(2, 10, 270.0)]), "film", tmp_path / "scaling.png")
    assert (tmp_path / "scaling.png").stat().st_size > 10_000


def test_the_empty_room_is_noisy_and_nobody_is_in_it(tmp_path):
    import av

    with av.open(str(empty_room(tmp_path))) as film:
        pictures = film.decode(video=0)
        first, second = (next(pictures).to_ndarray(format="gray").astype(int) for _ in range(2))
    assert first.shape == (480, 640)
    assert 0.3 < (first - second).std() < 8.0  # the encoder takes most of it away, as in a camera
    assert abs(first.mean() - second.mean()) < 1.0
