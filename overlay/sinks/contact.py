"""Makes one picture of a run: a grid of frames evenly picked from its beginning to its end."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from overlay.sinks.sink import Sink
from overlay.target import write_whole, writing
from transport.frame import Frame

COLUMNS, ROWS = 4, 3
CELL_WIDTH_PX = 400


class ContactSink(Sink):
    """Written at the end of the run. How long that will be need not be known: every n-th frame is kept, and
    when twice as many as needed are held every second one is let go and n doubles."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._kept: list[np.ndarray] = []
        self._stride = 1
        self._count = 0

    def show(self, frame: Frame, picture: np.ndarray, age_ms: float) -> None:
        if self._count % self._stride == 0:
            height = max(1, round(CELL_WIDTH_PX * picture.shape[0] / picture.shape[1]))
            self._kept.append(cv2.resize(picture, (CELL_WIDTH_PX, height), interpolation=cv2.INTER_AREA))
        self._count += 1
        if len(self._kept) == 2 * COLUMNS * ROWS:
            self._kept = self._kept[::2]
            self._stride *= 2

    def close(self) -> None:
        if not self._kept:
            return
        with writing(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._path, cv2.imencode(self._path.suffix, sheet(self._kept))[1].tobytes())


def sheet(pictures: list[np.ndarray]) -> np.ndarray:
    """A grid of up to COLUMNS x ROWS of the pictures, evenly picked, in order; all are as wide as a cell."""
    count = min(len(pictures), COLUMNS * ROWS)
    picked = [pictures[round(i)] for i in np.linspace(0, len(pictures) - 1, count)]
    cell_height = max(picture.shape[0] for picture in picked)
    columns = min(count, COLUMNS)
    grid = np.zeros((-(-count // columns) * cell_height, columns * CELL_WIDTH_PX, 3), np.uint8)
    for place, picture in enumerate(picked):
        top, left = place // columns * cell_height, place % columns * CELL_WIDTH_PX
        grid[top : top + picture.shape[0], left : left + CELL_WIDTH_PX] = picture
    return grid
