"""What a decoded picture keeps of the packet that it came in, and what follows from it."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from capture.bookmark import KeyFrame, checksum
from capture.picture import Room
from capture.upright import AS_IT_IS, SQUARE, Turn, shown_size, turn_of, write_upright
from transport.pixels import Colours, Pixels, planes_of

if TYPE_CHECKING:
    from av import VideoFrame
    from av.video.plane import VideoPlane


FULL_RANGE = 2  # FFmpeg's number
_LUMA_FIRST = {"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "nv12", "gray"}  # of 8 bits


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


def write_picture(frame: VideoFrame, room: Room, planes: bool) -> np.ndarray | Pixels:
    """Write a picture into the room as a player shows it: as planes if these are wanted and can be had, or as BGR."""
    colours = colours_of(frame) if planes else None
    if colours is None:
        return write_bgr(frame, room)
    pixels = Pixels(room(frame.height, frame.width, colours), colours, frame.height)
    for plane, place in zip(frame.planes, planes_of(pixels.array, len(pixels.array) * 2 // 3), strict=True):
        np.copyto(place[: plane.height], _values(plane))
    return pixels


def colours_of(frame: VideoFrame) -> Colours | None:
    """How the planes of a picture are to be read; None where they are not those of I420, or not as it is shown."""
    origin = frame.opaque
    if not isinstance(origin, Origin) or origin.turn != AS_IT_IS or frame.format.name not in ("yuv420p", "yuvj420p"):
        return None
    size = frame.width, frame.height
    if shown_size(*size, origin.pixel_shape) != size or frame.interlaced_frame:
        return None
    colours = Colours(int(frame.colorspace), frame.format.name == "yuvj420p" or frame.color_range == FULL_RANGE)
    return colours if colours.fit(frame.height, frame.width) else None


def checksum_of(frame: VideoFrame) -> int:
    """The same for the same picture, however it is written: of its brightness, or without such a plane of all."""
    if colours_of(frame) is None:
        return checksum(write_bgr(frame, _scratch))
    return checksum(np.ascontiguousarray(_values(frame.planes[0])))


def luma_of(frame: VideoFrame) -> np.ndarray | None:
    """The brightness of a picture as it was decoded, (H, W) uint8, a view; None where it is no plane of 8 bits."""
    return _values(frame.planes[0]) if frame.format.name in _LUMA_FIRST else None


def _values(plane: VideoPlane) -> np.ndarray:
    """What a plane holds, (H, W) uint8."""
    rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)  # type: ignore[call-overload]
    return rows[: plane.height, : plane.width]


def _scratch(height: int, width: int) -> np.ndarray:
    """A room for a picture that is looked at only."""
    return np.empty((height, width, 3), np.uint8)


def is_corrupt(frame: VideoFrame) -> bool:
    """Whether the decoder marks the picture, or the container its packet, as damaged.

    Pictures that are predicted from a damaged one are as wrong, up to the next key frame, and FFmpeg marks few of them.
    """
    origin = frame.opaque
    return bool(frame.is_corrupt) or (isinstance(origin, Origin) and origin.corrupt)
