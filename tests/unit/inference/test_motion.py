"""The gate that spares searches before an empty room: what opens it, what does not, and that nobody stays unseen."""

import time

import numpy as np
import pytest
from in_turn import InTurn

from capture.demo import DemoScene
from configs.schema import DetectConfig
from inference.detect import QUIET_EVERY_MS, detect
from inference.motion import OPEN_MS, MotionGate
from inference.search import Search
from transport.frame import Frame, iou
from transport.pixels import Colours, Pixels
from transport.stage import StageContext

FPS = 10
ROOM = np.random.default_rng(5).integers(60, 180, (30, 40)).repeat(8, 0).repeat(8, 1).astype(np.float32)


def noisy(picture, sigma=4.0, rng=np.random.default_rng(6)):  # noqa: B008
    """The picture as a camera sees it in a weak light."""
    return (picture + rng.normal(0, sigma, picture.shape)).clip(0, 255).astype(np.uint8)


def with_face(at_x, at_y=96, side=20, contrast=40):
    picture = ROOM.copy()
    picture[at_y : at_y + side, int(at_x) : int(at_x) + side] += contrast
    return picture


def opened(gate, pictures, began_s=0.0):
    """Whether it is open at each of the pictures."""
    return [gate.look(picture, 1000 * (began_s + number / FPS)) for number, picture in enumerate(pictures)]


@pytest.fixture
def gate():
    """One that has seen the empty room for ten seconds."""
    gate = MotionGate()
    assert not opened(gate, (noisy(ROOM) for _ in range(10 * FPS)))[-1]
    return gate


@pytest.mark.parametrize("sigma", [0.0, 4.0, 12.0])
def test_before_an_empty_room_it_closes_and_stays_closed(sigma):
    states = opened(MotionGate(), (noisy(ROOM, sigma) for _ in range(60 * FPS)))
    closes = round(OPEN_MS / 1000 * FPS) + 1
    assert all(states[:closes])
    assert not any(states[closes + FPS :])  # a picture or two for one that is very noisy


@pytest.mark.parametrize("levels_per_s", [1, 10, -10])
def test_light_that_changes_everywhere_does_not_open_it(gate, levels_per_s):
    lit = [noisy(ROOM + levels_per_s * number / FPS) for number in range(4 * FPS)]
    assert not any(opened(gate, lit, 10.0))


@pytest.mark.parametrize("px_per_s", [100, 5, 1])
@pytest.mark.parametrize("contrast", [15, -15, 60])
def test_whoever_comes_in_opens_it_however_slowly(gate, px_per_s, contrast):
    """The smallest face that is searched for, 24 px of 240, is two thirds in when it does."""
    count = round(16 / px_per_s * FPS) + 2
    steps = [noisy(with_face(320 - px_per_s * number / FPS, side=24, contrast=contrast)) for number in range(count)]
    assert opened(gate, steps, 10.0)[-1]


def test_who_stands_still_keeps_it_open_for_half_a_minute_and_opens_it_again_when_he_stirs(gate):
    assert all(opened(gate, (noisy(with_face(160)) for _ in range(30 * FPS)), 10.0))
    assert not opened(gate, (noisy(with_face(160)) for _ in range(300 * FPS)), 40.0)[-1]
    assert opened(gate, (noisy(with_face(168)) for _ in range(3)), 340.0)[-1]


def test_who_is_there_when_a_camera_comes_back_is_not_taken_for_background(gate):
    assert all(opened(gate, (noisy(with_face(160)) for _ in range(25 * FPS)), 3600.0))


def test_light_that_changes_while_somebody_comes_in_does_not_hide_him(gate):
    lit = [noisy(with_face(160, contrast=number / 2) + number / 2) for number in range(40)]
    assert opened(gate, lit, 10.0)[-1]


def test_another_size_begins_anew(gate):
    assert gate.look(noisy(ROOM[:160]), 20_000.0)


def test_it_costs_a_fraction_of_a_millisecond():
    gate, picture = MotionGate(), np.zeros((180, 320), np.uint8)
    began_s = time.thread_time()
    for number in range(500):
        gate.look(picture, 40.0 * number)
    assert (time.thread_time() - began_s) / 500 < 0.0005


def searched(pictures, **options):
    """How often a camera of 25 pictures/s was searched, and its frames."""
    context = StageContext()
    batches = [[Frame("demo", seq, seq * 40_000_000, picture, live=True)] for seq, picture in enumerate(pictures)]
    frames = list(detect(DetectConfig(**options), batches, context))
    return context.counts["searched"], frames


def test_an_empty_room_is_searched_once_a_second_and_later_less_often(monkeypatch):
    monkeypatch.setattr("inference.search.ThreadPoolExecutor", InTurn)
    monkeypatch.setattr(Search, "has_time", True)  # else it depends on the machine how often it is searched while open
    open_s, room = OPEN_MS / 1000, [np.dstack([noisy(ROOM)] * 3) for _ in range(25 * 20)]
    soon_ms, late_ms = QUIET_EVERY_MS
    first, both = (searched(room[: 25 * until])[0] for until in (10, 20))
    assert first <= 1000 / 80 * open_s + 1000 / soon_ms * (10 - open_s) + 1
    assert 10_000 / late_ms - 1 <= both - first <= 10_000 / late_ms + 2
    assert searched(room[: 25 * 6], motion=False)[0] == 25 * 6 / 3  # each third picture, 120 ms apart


def test_planes_are_looked_at_as_bgr_is():
    """Y of a camera's limited range has 219 levels: what is moved by less than 6 of 255 may be missed there."""
    planes = np.full((240 * 3 // 2, 320), 128, np.uint8)
    planes[:240] = 16 + ROOM[:240] * 219 / 255
    assert np.array_equal(Pixels(planes, Colours(1, False), 240).grey(2), planes[:240:2, ::2])
    assert np.array_equal(Pixels(np.dstack([ROOM.astype(np.uint8)] * 3)).grey(2), ROOM[::2, ::2])


def test_persons_are_found_as_often_as_without_it(monkeypatch):
    """The demo as a camera: nobody at first, then one person, then three."""
    monkeypatch.setattr("inference.search.ThreadPoolExecutor", InTurn)
    monkeypatch.setattr(Search, "has_time", True)
    scene, hits = DemoScene(), []
    for motion in (False, True):
        _, frames = searched((scene.picture(seq) for seq in range(400)), motion=motion)
        pairs = [(scene.truth(frame.seq), frame.faces) for frame in frames]
        hits.append(sum(any(iou(face, one.box) > 0.4 for one in faces) for truth, faces in pairs for face, _ in truth))
    assert hits[1] >= 0.98 * hits[0] > 0
