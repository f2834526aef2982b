"""Detect says while nothing moves; capture lets few pictures go on then, and nobody is found later for it.

Both are run here as they are in a run, on pictures of a camera in its own time: minutes of it take seconds.
"""

import numpy as np
import pytest
from in_turn import InTurn

from capture.demo import DemoScene, Person
from capture.still_scene import StillScene
from configs.schema import DetectConfig
from inference.detect import detect
from inference.motion import OPEN_MS
from inference.search import Search
from transport.frame import Frame, iou
from transport.pixels import Pixels
from transport.stage import StageContext

FPS = 25
NOISE = np.random.default_rng(0).normal(0, 4.0, (640, 800, 3)).astype(np.int16)
WORN = {"worn": ((0, "no mask"),), "cloth": "blue"}
COMING = {  # in seconds from when they set out
    "runs in": Person(0, 99, 320, 250, 1.2, walk=((0, -120), (0.6, 320)), **WORN),
    "walks in": Person(0, 99, 320, 250, 1.2, walk=((0, -120), (3, 320)), **WORN),
    "creeps in": Person(0, 99, 320, 250, 1.2, walk=((0, -60), (8, 100)), **WORN),
    "is there at once": Person(0, 99, 320, 250, 1.2, **WORN),
    "is far away": Person(0, 99, 320, 200, 0.4, walk=((0, -40), (4, 320)), **WORN),
    "creeps far away": Person(0, 99, 320, 200, 0.4, walk=((0, -20), (10, 110)), **WORN),
}


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    """Searches are done where they begin, and daylight does not change."""
    monkeypatch.setattr("inference.search.ThreadPoolExecutor", InTurn)
    monkeypatch.setattr(Search, "has_time", True)  # else it depends on the machine how often it is searched
    monkeypatch.setattr("capture.demo.daylight", lambda time_s: 0.9)


class Loop:
    """A camera's pictures through capture's choice and detect."""

    def __init__(self, still_fps=5.0):
        self.now_ns = self.word_ns = 0
        self.words, self.frames, self.count = [], [], 0
        self._scene = StillScene(still_fps, lambda: self.word_ns, lambda: self.now_ns) if still_fps else None

    def run(self, pictures, **options):
        """All of them; `frames` are those that went on, as detect gave them, by the number of the picture."""
        context = StageContext(still=self._hear)
        for frame in detect(DetectConfig(width=640, **options), self._batches(pictures), context):
            self.frames.append(frame)
        return self

    def _hear(self, stream, captured_ns):
        assert stream == "door"
        self.word_ns = captured_ns
        self.words.append(bool(captured_ns))

    def _batches(self, pictures):
        for self.count, picture in enumerate(pictures):
            self.now_ns = 10**12 + self.count * 10**9 // FPS
            if self._scene is None or self._scene.keeps(lambda picture=picture: picture[:, :, 1], self.now_ns / 1e9):
                yield [Frame("door", self.count, self.now_ns, Pixels(picture), live=True)]


def pictures(scene, empty_s, then_s, frozen=False):
    """A room that is empty for so long and then as the scene has it; `frozen`: as it is at its end, for so long."""
    rng, room = np.random.default_rng(2), DemoScene(()).picture(0)
    for number in range(round((empty_s + then_s) * FPS)):
        index = number - round(empty_s * FPS)
        picture = room if index < 0 else scene.picture(min(index, len(scene) - 1) if frozen else index)
        y, x = rng.integers(0, (160, 160))
        yield (picture + NOISE[y : y + 480, x : x + 640]).clip(0, 255).astype(np.uint8)


def first_box_s(loop, scene, empty_s):
    """When the person had a box first, in seconds from when it set out."""
    began = round(empty_s * FPS)
    for frame in loop.frames:
        if frame.seq >= began:
            [(truth, _)] = scene.truth(frame.seq - began)
            if any(iou(truth, face.box) > 0.4 for face in frame.faces):
                return (frame.seq - began) / FPS
    return None


@pytest.mark.parametrize("how", COMING)
def test_who_comes_into_a_still_room_is_found_no_later(how):
    """After 20, 60 and 180 s alike: nobody was found later by a picture (27 November 2026)."""
    scene, empty_s = DemoScene((COMING[how],), fps=FPS, seconds=11), 30
    then_s = 10.5 if "creeps" in how else 4.5
    without, with_it = (Loop(fps).run(pictures(scene, empty_s, then_s)) for fps in (None, 5.0))
    assert len(without.frames) == round((empty_s + then_s) * FPS)
    assert (
        sum(frame.seq < empty_s * FPS for frame in with_it.frames) < 0.3 * empty_s * FPS
    )  # 50 of 750 while the gate is open
    found_s, found_too_s = (first_box_s(loop, scene, empty_s) for loop in (without, with_it))
    assert found_s is not None
    assert found_too_s is not None
    assert found_too_s <= found_s + 0.25
    last = [frame.seq for frame in with_it.frames][-FPS:]
    assert last == list(range(last[0], last[0] + FPS))  # all pictures go on again


def test_who_stands_still_stays_found_and_keeps_all_pictures_going():
    scene = DemoScene((COMING["walks in"],), fps=FPS, seconds=4)
    loop = Loop().run(pictures(scene, 10, 55, frozen=True))  # after half a minute he is background to the gate
    here = [frame for frame in loop.frames if frame.seq > (10 + 5) * FPS]
    assert len(here) >= 0.99 * 50 * FPS
    assert sum(len(frame.faces) == 1 for frame in here) > 0.98 * len(here)


def test_rest_is_said_where_nothing_moves_and_nobody_is_there():
    loop = Loop(None).run(pictures(DemoScene((), seconds=5), 5, 1))
    opens = round(OPEN_MS / 1000 * FPS)
    assert not any(loop.words[:opens])
    assert all(loop.words[opens + FPS :])
    assert loop.word_ns == loop.now_ns


@pytest.mark.parametrize("options", [{"every": 3}, {"motion": False}, {"candidates": True}])
def test_rest_is_never_said_where_motion_is_not_looked_for(options):
    loop = Loop().run(pictures(DemoScene((), seconds=5), 5, 0), **options)
    assert not any(loop.words)
    assert loop.count == 5 * FPS - 1


def test_rest_is_never_said_of_films():
    words = []
    context = StageContext(still=lambda stream, captured_ns: words.append(captured_ns))
    film = (
        [Frame("f", n, 0, picture, media_ms=40.0 * n)]
        for n, picture in enumerate([np.zeros((96, 96, 3), np.uint8)] * 100)
    )
    assert len(list(detect(DetectConfig(), film, context))) == 100
    assert not any(words)
