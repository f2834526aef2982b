"""A frame's picture with everything drawn on it, made when somebody first looks at it, in whose thread that may be."""

from __future__ import annotations

import threading

import numpy as np

from overlay.draw import draw
from transport.frame import Frame


class Drawn:
    """The picture of a frame that is shown. `pixels` are kept apart from its slot; BGR ones are drawn on.

    A camera's planes are copied as they are, half the bytes of BGR: they become BGR where the picture is looked at. In
    the thread of a recording that is beside the frames, and not before their end.
    """

    def __init__(self, frame: Frame, corner: str) -> None:
        self.pixels = frame.pixels.kept()
        self._faces, self._corner = frame.faces, corner
        self._lock = threading.Lock()
        self._image: np.ndarray | None = None

    @property
    def nbytes(self) -> int:
        """What it takes while it waits."""
        return self.pixels.array.nbytes

    @property
    def image(self) -> np.ndarray:
        """(H, W, 3) uint8 BGR, read-only: all who look at it share it."""
        with self._lock:
            if self._image is None:
                own = self.pixels.array if self.pixels.colours is None else self.pixels.copy()
                self._image = draw(own, self._faces, self._corner)
                self._image.setflags(write=False)
            return self._image
