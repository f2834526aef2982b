"""`import maskstream`: the frames and faces of a run, in a process of one's own."""

import threading
import time

import pytest
from test_same_each_time import film as film

import maskstream as api


def test_a_film_has_the_faces_that_a_run_sees(maskstream, film):
    run = maskstream("--source", film, "--sink", "jsonl:o.jsonl")
    with api.open(film) as stream:
        frames = list(stream)
    assert run.wait() == 0, run.stderr
    lines = run.lines()
    assert [frame.seq for frame in frames] == [line["seq"] for line in lines] == list(range(125))
    for frame, line in zip(frames, lines, strict=True):
        said = [(face.label, face.track, round(face.confidence, 3)) for face in frame.faces]
        assert said == [(face["label"], face["track"], round(face["confidence"], 3)) for face in line["faces"]]


def test_a_camera_that_goes_away_is_waited_for_and_let_go_of_in_the_end(rtsp_server):
    server, before = rtsp_server(), threading.active_count()
    with api.open(server.url) as stream:
        first = next(stream)
        assert first.image.shape == (480, 640, 3)
        server.kill()
        server.start()
        died_ns = time.monotonic_ns()
        later = next(frame for frame in stream if server.clock_ns(frame.image) > died_ns)
        assert later.seq > first.seq
        assert server.clock_ns(first.image) < died_ns  # a frame that was kept keeps its picture
        assert later.age_ms < 5000
    with pytest.raises(StopIteration):
        next(stream)
    deadline_s = time.monotonic() + 10
    while threading.active_count() > before:
        assert time.monotonic() < deadline_s, threading.enumerate()
        time.sleep(0.05)


def test_what_cannot_be_opened_is_one_line(tmp_path):
    with pytest.raises(api.InputError, match=r"no-such\.mp4: no such file"):
        next(api.open(tmp_path / "no-such.mp4"))
    with pytest.raises(api.InputError, match=r"detector 'eyes' is unknown; known are haar"):
        api.open("demo", detector="eyes")
    with pytest.raises(api.InputError, match=r"overlay\.privacy: these are the pictures themselves"):
        api.open("demo", settings=["overlay.privacy=blur"])
