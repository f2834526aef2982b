"""The pixels of a picture as they lie in a slot: BGR, or the planes that most decoders give.

Planes are half as many bytes. They are made BGR where somebody looks, and only as much of them: a face's crop, a small
picture to search in, all of it where something is drawn. The conversion is FFmpeg's wherever it is made.
"""

from __future__ import annotations

import math
import threading
from functools import cache

import numpy as np
from msgspec import Struct

_ROWS = 4  # planes have a multiple of so many rows: PyAV looks for the colours behind them
_BEHIND = 64  # bytes behind the planes: FFmpeg's vector code reads over the end
_BLOCK = 16  # px: a part that begins and ends on a multiple of it is converted to just what it is in the whole picture
_SMALLEST_PX = 16  # FFmpeg converts no planes of two rows
BT709 = 1  # FFmpeg's number
_MATRICES = (BT709, 2, 5, 6)  # 2: not said; it and the others are read as BT.601
# FFmpeg's quick conversion rounds down at each step: so far below the exact value it is in the mean, limited and full
# range (five clips, 26 November 2026)
_BELOW = {False: 1.23, True: 0.8}


class Colours(Struct, frozen=True, array_like=True):
    """How planes are to be read: FFmpeg's number of their matrix; `full` range is 0 to 255, else it is 16 to 235."""

    matrix: int
    full: bool

    def fit(self, height: int, width: int) -> bool:
        """Whether planes of that size can be read so."""
        return self.matrix in _MATRICES and not (height % 2 or width % 2) and min(height, width) >= _SMALLEST_PX


def shape_of(height: int, width: int, colours: Colours | None) -> tuple[int, ...]:
    """The shape of the array that holds a picture.

    >>> shape_of(270, 480, None), shape_of(270, 480, Colours(BT709, False))
    ((270, 480, 3), (408, 480))
    """
    return (height, width, 3) if colours is None else (-(-height // _ROWS) * _ROWS * 3 // 2, width)


def bytes_of(height: int, width: int, colours: Colours | None) -> int:
    """The room that a picture needs."""
    size = math.prod(shape_of(height, width, colours))
    return size if colours is None else size + _BEHIND


class Pixels:
    """A picture. `array` is (H, W, 3) uint8 BGR, or, with `colours`, its planes one behind the other: Y, U, V (I420).

    Planes are of pictures of even height and width, at least 16 px each. Their array is (R, W), R as `shape_of` says.

    >>> Pixels(np.zeros((480, 640, 3), np.uint8))
    Pixels(640x480, bgr)
    """

    __slots__ = ("_bgr", "array", "colours", "height", "width")

    def __init__(self, array: np.ndarray, colours: Colours | None = None, height: int | None = None) -> None:
        self.array, self.colours = array, colours
        self.height = array.shape[0] if height is None else height
        self.width = array.shape[1] if array.ndim > 1 else 0
        if array.shape != shape_of(self.height, self.width, colours) or array.dtype != np.uint8 or 0 in array.shape:
            wanted = "image must be (H, W, 3)" if colours is None else f"planes of {self.height} rows must be I420,"
            raise ValueError(f"{wanted} uint8, got {array.shape} {array.dtype}")
        self._bgr = array if colours is None else None

    def __repr__(self) -> str:
        return f"Pixels({self.width}x{self.height}, {'bgr' if self.colours is None else 'planes'})"

    @property
    def bgr(self) -> np.ndarray:
        """All of it, (H, W, 3) uint8 BGR; of planes it is made once, and may not be written."""
        if self._bgr is None:
            self._bgr = self.copy()
            self._bgr.setflags(write=False)
        return self._bgr

    def copy(self) -> np.ndarray:
        """All of it, (H, W, 3) uint8 BGR, to be drawn on."""
        if self._bgr is not None:
            return self._bgr.copy()
        assert self.colours is not None
        return _converted(self.array, self.colours)[: self.height]

    def kept(self) -> Pixels:
        """The same picture in memory of its own, as it is: what lies in a slot becomes another frame's."""
        nbytes = bytes_of(self.height, self.width, self.colours)
        array = np.empty(nbytes, np.uint8)[: self.array.size].reshape(self.array.shape)
        np.copyto(array, self.array)
        return Pixels(array, self.colours, self.height)

    def crop(self, x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
        """A part that lies inside, (y1 - y0, x1 - x0, 3) uint8 BGR: a view, or of planes only so much converted."""
        if self._bgr is not None:
            return self._bgr[y0:y1, x0:x1]
        assert self.colours is not None
        left, top = x0 - x0 % _BLOCK, y0 - y0 % _BLOCK
        width = min(-(-x1 // _BLOCK) * _BLOCK, self.width) - left
        height = -(-y1 // _BLOCK) * _BLOCK - top
        whole_y, whole_u, whole_v = planes_of(self.array, self.array.shape[0] * 2 // 3)
        height = min(height, whole_y.shape[0] - top)
        part = np.empty(bytes_of(height, width, self.colours), np.uint8)[:-_BEHIND].reshape(-1, width)
        y, u, v = planes_of(part, height)
        y[:] = whole_y[top : top + height, left : left + width]
        for plane, whole in ((u, whole_u), (v, whole_v)):
            plane[:] = whole[top // 2 : (top + height) // 2, left // 2 : (left + width) // 2]
        return _converted(part, self.colours)[y0 - top : y1 - top, x0 - left : x1 - left]

    def grey(self, step: int) -> np.ndarray:
        """The brightness of each `step`th pixel of each such row, (H, W) uint8: of planes Y as the decoder gave it."""
        import cv2  # see `resized`

        if self.colours is None:
            return cv2.cvtColor(np.ascontiguousarray(self.bgr[::step, ::step]), cv2.COLOR_BGR2GRAY)
        return np.ascontiguousarray(self.array[: self.height : step, ::step])

    def resized(self, width: int, height: int) -> np.ndarray:
        """A picture of that size, (height, width, 3) uint8 BGR, by linear interpolation: the planes are made smaller.

        Beside the resized BGR picture 92 to 100 of 100 values are the same or one off (11 clips, 26 November 2026).
        """
        import cv2  # not at the top: the page's process has frames, and no pictures

        if self.colours is None:
            return cv2.resize(self.bgr, (width, height), interpolation=cv2.INTER_LINEAR)
        planes = planes_of(self.array, self.array.shape[0] * 2 // 3)
        y, u, v = (
            cv2.resize(plane[:rows], (width, height), interpolation=cv2.INTER_LINEAR)
            for plane, rows in zip(planes, (self.height, self.height // 2, self.height // 2), strict=True)
        )
        return cv2.transform(cv2.merge((y, u, v)), _to_bgr(self.colours))


def planes_of(array: np.ndarray, rows: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Views of Y (rows, W), U and V (rows / 2, W / 2) in an array of planes."""
    flat, width = array.reshape(-1), array.shape[1]
    luma, chroma = rows * width, rows * width // 4
    y = flat[:luma].reshape(rows, width)
    u = flat[luma : luma + chroma].reshape(rows // 2, width // 2)
    return y, u, flat[luma + chroma : luma + 2 * chroma].reshape(rows // 2, width // 2)


def _converted(planes: np.ndarray, colours: Colours) -> np.ndarray:
    """BGR (rows, W, 3) uint8 of planes; behind them `_BEHIND` bytes more can be read."""
    import av  # not at the top: most processes have no planes to convert

    frame = av.VideoFrame.from_numpy_buffer(planes, format="yuv420p")
    frame.colorspace, frame.color_range = colours.matrix, 2 if colours.full else 1
    rows, width = frame.height, frame.width
    if not hasattr(_of_thread, "reformatter"):
        _of_thread.reformatter = av.video.reformatter.VideoReformatter()  # a new one each time: .15 ms
    return _of_thread.reformatter.reformat(frame, width, rows, "bgr24", threads=1).to_ndarray()


_of_thread = threading.local()


@cache
def _to_bgr(colours: Colours) -> np.ndarray:
    """The matrix (3, 4) float32 from Y, U, V, 1 to B, G, R."""
    red, blue = (0.2126, 0.0722) if colours.matrix == BT709 else (0.299, 0.114)
    green = 1 - red - blue
    luma, chroma, black = (1.0, 1.0, 0.0) if colours.full else (255 / 219, 255 / 224, 16.0)
    u, v = 2 * (1 - blue) * chroma, 2 * (1 - red) * chroma
    matrix = np.array([[luma, u, 0], [luma, -u * blue / green, -v * red / green], [luma, 0, v]])
    offset = -matrix @ (black, 128, 128) - _BELOW[colours.full]
    return np.column_stack([matrix, offset]).astype(np.float32)
