"""The real program records what cameras send, packet by packet, whatever else goes on."""

import itertools
import os
import signal
from pathlib import Path

import av


def numbers(path: Path, rtsp_server) -> list[int]:
    """The numbers that the camera gave the pictures of a recording.

    Not their times: on a busy machine the camera of the test is late itself, by 123 ms for one picture.
    """
    with av.open(str(path)) as film:
        frames = list(film.decode(video=0))
    assert frames[0].time == 0
    return [rtsp_server.number(frame.to_ndarray(format="bgr24")) for frame in frames]


def segments(run, name: str) -> list[Path]:
    return sorted((run.folder / "rec").glob(f"{name}-*.mp4"))


def test_a_camera_is_recorded_as_it_is_although_few_pictures_are_looked_at_and_capture_dies(maskstream, rtsp_server):
    server = rtsp_server()
    options = ("--sink", "record:rec/", "--sink", "jsonl:o.jsonl", "--segment", "3s", "--fps", "5", "--json")
    run = maskstream("--source", server.url, *options)
    name = "127.0.0.1-live"
    run.until(lambda: len(segments(run, name)) >= 2 and segments(run, name)[-1].stat().st_size > 1000)
    os.kill(run.stage(f"capture-{name}"), signal.SIGKILL)
    before = len(segments(run, name))
    run.until(lambda: len(segments(run, name)) >= before + 2)
    run.signal(signal.SIGINT)
    assert run.wait() == 0

    shown = [numbers(path, server) for path in segments(run, name)]
    for of_segment in shown:
        assert of_segment == list(range(of_segment[0], of_segment[-1] + 1))
    follows = [after[0] == before[-1] + 1 for before, after in itertools.pairwise(shown)]
    assert follows.count(False) == 1  # where it was killed

    ledger, capture = run.report["streams"][name], run.report["stages"]["capture"]
    assert 3 * ledger["captured"] < ledger["skipped"] < 6 * ledger["captured"]
    assert ledger["captured"] == ledger["shown"] + sum(ledger["dropped"].values())
    assert capture["recorded"] >= sum(map(len, shown[1:]))
    assert capture["not_recorded"] == 0


def test_the_stream_that_is_recorded_and_the_one_that_is_looked_at_go_on_alone(maskstream, rtsp_server, tmp_path):
    seen, recorded = rtsp_server(), rtsp_server()
    config = f"sources: [{{name: door, source: '{seen.url}', record: '{recorded.url}', read_timeout_s: 1}}]"
    settings = tmp_path / "roles.yaml"
    settings.write_text(config)
    run = maskstream("--config", settings, "--sink", "record:rec/", "--sink", "jsonl:o.jsonl", "--segment", "1s")

    def grows(count: int) -> None:
        run.until(lambda: len(segments(run, "door")) >= count)

    grows(1)
    run.until(lambda: len(run.lines()) > 20)
    seen.kill()
    run.until(lambda: "door: away" in run.stderr)
    grows(len(segments(run, "door")) + 2)
    seen.start()
    run.until(lambda: "door: back" in run.stderr)
    recorded.kill()
    run.until(lambda: "the stream that is recorded is away" in run.stderr)
    lines = len(run.lines())
    run.until(lambda: len(run.lines()) > lines + 20)
    recorded.start()
    run.until(lambda: "the stream that is recorded is back" in run.stderr)
    grows(len(segments(run, "door")) + 1)
    run.signal(signal.SIGINT)
    assert run.wait() == 0
    assert all(numbers(path, recorded) for path in segments(run, "door")[:-1])
