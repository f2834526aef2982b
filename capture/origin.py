"""What a decoded picture keeps of the packet that it came in, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from capture.bookmark import KeyFrame
from capture.picture import Room
from capture.upright import AS_IT_IS, SQUARE, Turn, turn_of, write_upright

if TYPE_CHECKING:
    from av import VideoFrame


@dataclass(slots=True)
class Origin:
    """What a picture keeps of the packet it came in."""

    corrupt: bool
    byte: int  # where it lies in the file
    dts: int | None = None
    pixel_shape: Fraction = SQUARE
    turn: Turn = AS_IT_IS


def is_at(frame: VideoFrame, sought: KeyFrame) -> bool:
    """Whether a picture is the key frame that is sought."""
    origin = frame.opaque
    return frame.pts == sought.pts and isinstance(origin, Origin) and (not sought.byte or origin.byte == sought.byte)


def write_bgr(frame: VideoFrame, room: Room) -> np.ndarray:
    """Write a picture as BGR into the room, as a player shows it. Gives what the room gave."""
    origin = frame.opaque
    if not isinstance(origin, Origin):  # a decoder that does not hand it on
        return write_upright(frame, SQUARE, turn_of(frame), room)
    return write_upright(frame, origin.pixel_shape, origin.turn, room)


def is_corrupt(frame: VideoFrame) -> bool:
    """Whether the decoder marks the picture, or the container its packet, as damaged.

    Pictures that are predicted from a damaged one are as wrong, up to the next key frame, and FFmpeg marks few of them.
    """
    origin = frame.opaque
    return bool(frame.is_corrupt) or (isinstance(origin, Origin) and origin.corrupt)
