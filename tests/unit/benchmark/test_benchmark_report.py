"""Searching for the most streams; ratios, tables, and the comparison with an earlier run."""

import json

import pytest

from benchmark import find_max as module
from benchmark.baseline import check_baseline, not_compared, read_baseline
from benchmark.decoding import Decoding, median
from benchmark.find_max import find_max, most_streams, why_not
from benchmark.link import LinkFigures, Way
from benchmark.pipeline import FlatOut, RealTime
from benchmark.report import Compared, Report, markdown, print_tables
from configs.errors import Failure, InputError

CPU = {"supervisor": 9.0, "detect": 2.0, "classify": 1.0, "overlay": 0.5, "capture": 1.5}


def real(streams=1, slowest=30.0, p95=20.0, dropped=0):
    return RealTime(
        streams=streams,
        fps=30.0,
        slowest_fps=slowest,
        age_ms={"p50": 5.0, "p95": p95, "p99": 2 * p95},
        worst_age_ms=p95,
        dropped=dropped,
        cpu_share=0.3,
        cpu_ms_per_frame=CPU,
        ages=[(0.0, 5.0)],
        fps_by_stream={"a": 30.0},
        scores=None,
    )


def flat(fps):
    return FlatOut(
        fps=fps,
        windows=[fps] * 3,
        agreed=True,
        cpu_ms_per_frame=CPU,
        batch_mean={"detect": 2.0},
        busy_share=0.9,
        memory_mb=300.0,
        scores=None,
    )


def full_report():
    compared = Compared(
        network="ResNet, random weights",
        fps={"original": 4.0, "single": 8.0, "pipeline": 320.0, "every_frame": 40.0},
        threads={"original": 2, "single": 1},
    )
    links = [LinkFigures((640, 480), Way(20000.0, 0.05), Way(4000.0, 0.3), 50000.0)]
    decoding = Decoding({"own_threads": 800.0, "own_processes": 700.0, "ffmpeg": 1000.0}, 2)
    return Report(
        clip="film", flat_out=flat(400.0), real_time=real(), decoding=decoding, compared=compared, links=links
    )


@pytest.mark.parametrize("most", [1, 2, 5, 6, 8, 11])
def test_the_most_streams_are_found(most, monkeypatch, tmp_path):
    tried = []

    def run(clip, folder, options, streams, seconds):
        tried.append(streams)
        return real(streams, p95=50.0 if streams <= most else 150.0)

    class Film:
        fps = 30.0

    monkeypatch.setattr(module, "real_time", run)
    found = find_max(Film(), tmp_path, (), 100.0, lambda line: None)
    assert (found.streams, found.limited_by, found.why) == (most, "detect", "p95 age 150 ms")
    assert found.held.streams == most
    held = [streams for streams in tried if streams <= most]
    assert len(held) == len(set(held))
    assert len(tried) <= 12


@pytest.mark.parametrize(("ages", "most"), [([150.0, 50.0, 50.0], 2), ([150.0, 50.0, 150.0], 1), ([150.0, 150.0], 1)])
def test_what_fails_once_is_held_if_it_holds_twice(ages, most, monkeypatch, tmp_path):
    of_two = iter(ages)

    def run(clip, folder, options, streams, seconds):
        return real(streams, p95=50.0 if streams < 2 else next(of_two) if streams == 2 else 150.0)

    class Film:
        fps = 30.0

    monkeypatch.setattr(module, "real_time", run)
    found = find_max(Film(), tmp_path, (), 100.0, lambda line: None)
    assert (found.streams, next(of_two, None)) == (most, None)
    assert found.held.worst_age_ms == 50.0
    assert found.tried[2] == (most == 2)


@pytest.mark.parametrize("most", [0, 1, 4, 5, 6, 9])
@pytest.mark.parametrize("first", [1, 5])
def test_a_search_that_begins_near_its_end_finds_the_same_and_tries_no_more_than_the_limit(most, first):
    tried = []

    def play(streams):
        tried.append(streams)
        return real(streams, p95=50.0 if streams <= most else 150.0)

    found = most_streams(play, 30.0, 100.0, lambda line: None, first, limit=8)
    assert found.streams == min(most, 8)
    assert max(tried) <= 8
    assert tried[0] == first
    assert (found.held.streams if found.held else 0) == found.streams


def test_a_starved_stream_is_not_held():
    assert why_not(real(slowest=28.0), 30.0, 100.0) == "a stream showed 28.0 of 30 frames/s"
    assert why_not(real(dropped=2), 30.0, 100.0) == "2 frames dropped"
    assert why_not(real(), 30.0, 100.0) == ""


def test_ratios_say_what_is_to_what():
    assert full_report().ratios() == pytest.approx(
        {
            "pipeline_to_own_decoding": 0.5,
            "pipeline_to_decoding": 0.4,
            "pipeline_to_original": 80,
            "pipeline_to_single": 40,
            "every_frame_to_original": 10,
            "every_frame_to_single": 5,
            "link_to_imagezmq_480p": 5,
            "link_cpu_to_imagezmq_480p": 0.05 / 0.3,
        }
    )


def test_what_was_not_run_is_absent():
    report = Report(clip="film", find_max=None)
    assert report.as_json().keys() == {"ratios", "clip", "machine"}


def test_json_tables_and_markdown_tell_all(capsys):
    report = full_report()
    found = json.loads(json.dumps(report.as_json()))
    assert found["pipeline"]["fps"] == 400
    assert found["pipeline"]["age_ms"]["p99"] == 40
    assert found["machine"]["versions"]["python"]
    print_tables(report)
    assert "80.0 x" in capsys.readouterr().out
    text = markdown(report)
    assert "| pipeline | 320.0 frames/s, 80.0 x |" in text
    assert "imagezmq 4000 frames/s" in text


def test_a_ratio_that_got_worse_fails(tmp_path):
    file = tmp_path / "before.json"
    file.write_text("some words\n" + json.dumps(full_report().as_json()) + "\n")
    now, before = full_report().ratios(), read_baseline(file)
    check_baseline(now, before, 0.1)
    with pytest.raises(Failure, match=r"pipeline_to_original 80, was 104"):
        check_baseline(now, before | {"pipeline_to_original": 104.0}, 0.1)
    with pytest.raises(Failure, match="link_to_imagezmq"):
        check_baseline(now, before | {"link_to_imagezmq_480p": 6.0}, 0.1)
    with pytest.raises(Failure, match="link_cpu"):  # of CPU less is better
        check_baseline(now, {"link_cpu_to_imagezmq_480p": 0.1}, 0.1)


def test_of_ages_less_is_better():
    with pytest.raises(Failure, match="drawn_recording_to_none_age_p99"):
        check_baseline({"drawn_recording_to_none_age_p99": 1.5}, {"drawn_recording_to_none_age_p99": 1.1}, 0.15)


def test_what_decoding_alone_was_before_is_not_compared_with_what_it_is_now():
    now = full_report().ratios()
    assert not_compared(now, now) == []
    [line] = not_compared(now, {"pipeline_to_decode": 0.9})
    assert "pipeline_to_decode: was against one process" in line
    check_baseline(now, {"pipeline_to_decode": 0.9}, 0.1)
    [line] = not_compared({}, now | {"pipeline_to_decode": 0.9})
    assert line.startswith("not measured this time: every_frame_to_original, ")


def test_decoding_alone_is_the_best_way_and_without_the_tool_it_says_so():
    both = Decoding({"own_threads": 800.0, "own_processes": 700.0, "ffmpeg": 1000.0}, 2)
    assert (both.best, both.fps, both.own_fps) == ("ffmpeg", 1000.0, 800.0)
    assert both.told == ("FFmpeg's own tool, no conversion (PyAV with FFmpeg's threads 800, PyAV in 2 processes 700)")
    own = Decoding({"own_threads": 800.0, "own_processes": 900.0}, 2, "ffmpeg is not installed")
    assert own.told == ("PyAV in 2 processes, no conversion (PyAV with FFmpeg's threads 800; ffmpeg is not installed)")
    report = Report(flat_out=flat(400.0), decoding=own)
    assert report.ratios() == {"pipeline_to_own_decoding": pytest.approx(400 / 900)}
    assert report.as_json()["decoding"]["missing"] == "ffmpeg is not installed"
    assert median([both, own]).rates == {"own_threads": 800.0, "own_processes": 800.0}


@pytest.mark.parametrize("content", [None, "{", "[]", '{"fps": 3}'])
def test_a_baseline_that_is_none_is_refused(content, tmp_path):
    file = tmp_path / "before.json"
    if content:
        file.write_text(content)
    with pytest.raises(InputError, match="--baseline"):
        read_baseline(file)
