"""A camera before which nothing moves: few pictures go on, all where a sink needs each, and who comes in is found."""

import os
import signal
import time
from datetime import datetime

import numpy as np
import pytest

from benchmark.clip import write_film
from benchmark.idle import empty_room
from benchmark.rtsp_camera import RtspCamera
from capture.demo import DemoScene, Person

# A film that is sent again and again. Who stays for longer becomes part of the gate's background, and it is open for
# the better part of a minute when he has gone: of 4 s it has a fifteenth.
FPS, EMPTY_S, HERE_S = 25, 8, 1.2


@pytest.fixture(scope="module")
def room(tmp_path_factory):
    """The address of a camera before an empty room, 30 pictures/s."""
    with RtspCamera(empty_room(tmp_path_factory.mktemp("room"))) as camera:
        yield camera.url()


@pytest.fixture(scope="module")
def visited(tmp_path_factory):
    """The address of one before a room into which somebody comes now and then."""
    scene = DemoScene((Person(0, 99, 320, 250, 1.2, "blue", ((0, "no mask"),)),), fps=FPS, seconds=HERE_S)
    rng, empty = np.random.default_rng(0), DemoScene(()).picture(0)
    noise = rng.normal(0, 4.0, (640, 800, 3)).astype(np.int16)

    def pictures():
        for number in range(round((EMPTY_S + HERE_S) * FPS)):
            y, x = rng.integers(0, (160, 160))
            here = number - EMPTY_S * FPS
            picture = empty if here < 0 else scene.picture(here)
            yield (picture + noise[y : y + 480, x : x + 640]).clip(0, 255).astype(np.uint8)

    path = tmp_path_factory.mktemp("visited") / "visited.mp4"
    write_film(path, pictures(), (640, 480), FPS, 2_000_000, b_frames=False)
    with RtspCamera(path) as camera:
        yield camera.url()


def after(run, seconds, *arguments):
    """The stream's account when the run has flowed for so long."""
    run.until(lambda: "ready" in run.stderr and "capture" in run.stderr)
    goes_on_s = time.monotonic() + seconds
    run.until(lambda: time.monotonic() > goes_on_s)
    return ended(run)


def ended(run):
    run.signal(signal.SIGINT)
    assert run.wait() == 0, run.stderr
    [account] = run.report["streams"].values()
    assert account["captured"] == account["shown"] + sum(account["dropped"].values())
    assert account["in_flight"] == 0
    return account


@pytest.mark.parametrize(
    ("arguments", "skips"),
    [
        (("--sink", "null"), True),
        (("--sink", "null", "--sink", "sqlite:e.db", "--sink", "record:kept/"), True),
        (("--sink", "null", "--sink", "jsonl:o.jsonl"), False),
        (("--sink", "null", "--sink", "jsonl:o.jsonl", "--set", "sources.0.still_fps=4"), True),
        (("--sink", "null", "--sink", "file:o.mp4"), False),
        (("--sink", "null", "--set", "sources.0.still_fps=all"), False),
        (("--sink", "null", "--set", "overlay.privacy=blur"), False),
    ],
    ids=lambda given: " ".join(given[2:]) if isinstance(given, tuple) else "",
)
def test_pictures_of_an_empty_room_are_skipped_unless_each_is_needed(maskstream, room, arguments, skips):
    account = after(maskstream("--source", room, *arguments, "--json"), 7)
    if skips:
        assert account["skipped"] > 30
        assert account["shown"] < 0.8 * (account["skipped"] + account["captured"])
    else:
        assert account["skipped"] == 0
        assert account["fps"] > 20


def test_who_comes_in_is_shown_at_the_full_rate_and_found_at_once(maskstream, visited):
    explicit = ("--set", "sources.0.still_fps=5")  # the lines that are read here would have each picture else
    run = maskstream("--source", visited, "--sink", "jsonl:o.jsonl", *explicit, "--json")
    run.until(lambda: bool(run.lines()))
    until_s = time.monotonic() + 2 * (EMPTY_S + HERE_S) + 0.5
    run.until(lambda: time.monotonic() > until_s)
    account, lines = ended(run), run.lines()
    seconds = [datetime.fromisoformat(line["captured"]).timestamp() for line in lines]
    pairs = list(zip(seconds, lines, strict=True))
    began_s = min(moment_s - line["seq"] / FPS for moment_s, line in pairs[:FPS])  # of these none was skipped
    at_s = [moment_s - began_s for moment_s in seconds]

    def rate(from_s, until_s):
        return sum(from_s <= moment_s < until_s for moment_s in at_s) / (until_s - from_s)

    for came_s in (EMPTY_S, 2 * EMPTY_S + HERE_S):
        assert rate(came_s - 3, came_s - 0.2) == pytest.approx(5, abs=1.5)
        assert rate(came_s + 0.1, came_s + 1.1) > 0.8 * FPS
        found_s = min(then_s for then_s, line in zip(at_s, lines, strict=True) if line["faces"] and then_s > came_s - 1)
        assert -0.2 < found_s - came_s < 1.0  # 0.04 to 0.2 on a quiet machine
    assert account["skipped"] > 0.5 * 5 * FPS


def test_deaths_while_nothing_moves_cost_nothing_but_time(maskstream, room):
    run = maskstream("--source", room, "--sink", "null", "--json")
    for name in ("detect", "capture-127.0.0.1-1"):
        run.until(lambda: "ready" in run.stderr)
        still_s = time.monotonic() + 6
        run.until(lambda still_s=still_s: time.monotonic() > still_s)
        os.kill(run.stage(name), signal.SIGKILL)
    account = after(run, 5)
    assert run.report["stages"]["detect"]["restarts"] == 1
    assert run.report["stages"]["capture"]["restarts"] == 1
    assert account["skipped"] > 60
    assert not account["dropped"].get("lost")
