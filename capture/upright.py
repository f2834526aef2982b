"""Pictures as a player shows them: square pixels, upright, not in a mirror."""

from __future__ import annotations

import threading
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from capture.picture import Room

if TYPE_CHECKING:
    from av import VideoFrame
    from av.sidedata.sidedata import Type

WIDEST_PX = 8192  # wider than that no picture is made by its pixels' shape: it is made lower instead
_LEAST_SQUARE = 5  # pixels that are said to be longer than this many times their width are a mistake; real ones reach 3
SQUARE = Fraction(1)


class Turn(NamedTuple):
    """Whether the picture is to be transposed, and then what OpenCV calls the flip (0: top and bottom, 1, -1: both)."""

    transposed: bool = False
    flip: int | None = None


AS_IT_IS = Turn()


def write_upright(frame: VideoFrame, pixel_shape: Fraction, turn: Turn, room: Room) -> np.ndarray:
    """Write a picture as BGR into the room. Gives what the room gave.

    `pixel_shape` is the width of a pixel by its height. It is about the picture as it is coded, before it is turned.
    """
    transposed, flip = turn
    width, height = shown_size(frame.width, frame.height, pixel_shape)
    bgr = to_bgr(frame, width, height)  # copied once, into the room
    slot = room(width, height) if transposed else room(height, width)
    if transposed:
        cv2.transpose(bgr, dst=slot)
        if flip is not None:
            cv2.flip(slot, flip, dst=slot)
    elif flip is not None:
        cv2.flip(bgr, flip, dst=slot)
    else:
        np.copyto(slot, bgr)
    return slot


def to_bgr(frame: VideoFrame, width: int, height: int) -> np.ndarray:
    """The picture in that size, (height, width, 3) uint8 BGR."""
    if not hasattr(_of_thread, "reformatter"):
        from av.video.reformatter import VideoReformatter

        _of_thread.reformatter = VideoReformatter()  # the frame's own is set up for each picture: .15 ms
    return _of_thread.reformatter.reformat(frame, width, height, "bgr24", threads=1).to_ndarray()


_of_thread = threading.local()


def shown_size(width: int, height: int, pixel_shape: Fraction) -> tuple[int, int]:
    """Width and height of a picture in square pixels: the height stays, as players have it.

    >>> shown_size(320, 360, Fraction(2)), shown_size(720, 576, Fraction(64, 45)), shown_size(4096, 2160, Fraction(4))
    ((640, 360), (1024, 576), (4096, 540))
    >>> shown_size(320, 360, Fraction(1, 1000))
    (320, 360)
    """
    if pixel_shape == SQUARE or not Fraction(1, _LEAST_SQUARE) <= pixel_shape <= _LEAST_SQUARE:
        return width, height
    wide = max(1, round(width * pixel_shape))
    return (wide, height) if wide <= WIDEST_PX else (width, max(1, round(height / pixel_shape)))


def turn_of(frame: VideoFrame) -> Turn:
    """How a picture is to be turned and mirrored. Do not ask for each: side data keeps a frame until the next gc.

    The display matrix [a b u, c d v, x y w] takes (x, y) to (ax + cy, bx + dy). PyAV's own `rotation` is an angle: it
    takes a mirror for a turn, or for nothing.
    """
    data = frame.side_data.get(_matrix_kind())  # type: ignore[call-overload]
    if data is None:
        return AS_IT_IS
    a, b, _, c, d, *_ = np.frombuffer(data, np.int32).tolist()
    transposed = abs(b) + abs(c) > abs(a) + abs(d)
    flip_x, flip_y = (c < 0, b < 0) if transposed else (a < 0, d < 0)
    return Turn(transposed, {(True, True): -1, (True, False): 1, (False, True): 0}.get((flip_x, flip_y)))


@cache
def _matrix_kind() -> Type:
    """The kind of side data that a display matrix is.

    PyAV 18 has names for the first 28 kinds only and raises ValueError for a frame that has any other: a JPEG with
    EXIF data, the two views of a spatial HEVC clip. Here they get one.
    """
    from av.sidedata.sidedata import Type

    def unnamed(value: object) -> Type:
        kind = object.__new__(Type)
        kind._name_, kind._value_ = f"KIND_{value}", value  # type: ignore[assignment]
        return kind

    Type._missing_ = unnamed  # type: ignore[method-assign, assignment]
    return Type.DISPLAYMATRIX
