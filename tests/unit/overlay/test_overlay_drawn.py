"""A picture is drawn where it is looked at, from pixels that no other frame gets."""

import threading

import numpy as np
import pytest

import overlay.drawn
import overlay.stage
from configs.schema import OverlayConfig
from overlay.draw import annotate
from overlay.drawn import Drawn
from overlay.sinks.beside import Beside
from overlay.sinks.sink import Sink
from transport.frame import Box, Face, Frame
from transport.pixels import BT709, Colours, Pixels, bytes_of, shape_of
from transport.recordings import RecordingCount
from transport.stage import StageContext


def planes() -> Pixels:
    colours, rng = Colours(BT709, False), np.random.default_rng(3)
    array = rng.integers(16, 235, bytes_of(120, 160, colours), np.uint8)
    array = array[: np.prod(shape_of(120, 160, colours))].reshape(shape_of(120, 160, colours))
    return Pixels(array, colours, 120)


def bgr() -> Pixels:
    return Pixels(np.random.default_rng(4).integers(0, 255, (120, 160, 3), np.uint8))


def frame(pixels: Pixels) -> Frame:
    return Frame("door", 0, 0, pixels, faces=(Face(Box(40, 40, 50, 60)),), live=True)


@pytest.mark.parametrize("make", [planes, bgr])
def test_what_is_drawn_later_is_the_picture_that_was_shown(make):
    pixels = make()
    wanted = annotate(pixels.copy(), frame(pixels).faces, "door")
    drawn = Drawn(frame(pixels), "door")
    assert drawn.nbytes == pixels.array.nbytes
    pixels.array[:] = 0  # the slot is another frame's
    assert (drawn.image == wanted).all()
    assert drawn.image is drawn.image
    assert not drawn.image.flags.writeable


class Looks(Sink):
    def __init__(self):
        self.pictures = []

    def show(self, frame, picture, age_ms):
        self.pictures.append(picture)


def test_what_works_beside_the_frames_draws_beside_them(monkeypatch):
    threads = []
    monkeypatch.setattr(
        overlay.drawn, "draw", lambda *given: threads.append(threading.current_thread().name) or given[0]
    )
    inner = Looks()
    sinks = [Beside(inner, lambda stream: RecordingCount())]
    monkeypatch.setattr(overlay.stage, "make_sinks", lambda config, context: sinks)
    batches = [[frame(planes())]]
    assert len(list(overlay.stage.overlay(OverlayConfig(sinks=("null",)), batches, StageContext()))) == 1
    assert threads == ["rec-door"]
    assert inner.pictures[0].shape == (120, 160, 3)
