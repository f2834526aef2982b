"""Makes one picture of a run: a grid of frames evenly picked from its beginning to its end."""

from __future__ import annotations

import fcntl
import os
from hashlib import blake2b
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
    when twice as many as needed are held every second one is let go and n doubles.

    Where the streams are drawn by several processes, each leaves its pictures in `folder`, under its `name`, and makes
    the sheet of all that are there by then, in the order of their capture: the last one to end has all.
    """

    def __init__(self, path: str, folder: Path | None = None, name: str = "") -> None:
        self._path, self._folder, self._name = Path(path), folder, name
        self._kept: list[tuple[int, np.ndarray]] = []  # when it was captured, and the picture
        self._stride = 1
        self._count = 0

    def show(self, frame: Frame, picture: np.ndarray, age_ms: float) -> None:
        if self._count % self._stride == 0:
            height = max(1, round(CELL_WIDTH_PX * picture.shape[0] / picture.shape[1]))
            cell = cv2.resize(picture, (CELL_WIDTH_PX, height), interpolation=cv2.INTER_AREA)
            self._kept.append((frame.captured_ns, cell))
        self._count += 1
        if len(self._kept) == 2 * COLUMNS * ROWS:
            self._kept = self._kept[::2]
            self._stride *= 2

    def close(self) -> None:
        if not self._kept:
            return
        if self._folder is None:
            self._write([cell for _, cell in self._kept])
            return
        folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(folder, fcntl.LOCK_EX)  # one looks at what the others have left, and writes, at a time
            with writing(self._path):
                self._write(self._together(self._folder))
        finally:
            os.close(folder)

    def _together(self, folder: Path) -> list[np.ndarray]:
        """Leave what was kept here; the pictures of all that have left theirs, in the order of their capture."""
        sheet = f"contact-{blake2b(os.path.abspath(self._path).encode(), digest_size=8).hexdigest()}"
        for captured_ns, cell in self._kept:
            write_whole(folder / f"{sheet}-{captured_ns:020}-{self._name}.png", cv2.imencode(".png", cell)[1].tobytes())
        return [np.asarray(cv2.imread(str(path))) for path in sorted(folder.glob(f"{sheet}-*.png"))]

    def _write(self, cells: list[np.ndarray]) -> None:
        with writing(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(self._path, cv2.imencode(self._path.suffix, sheet(cells))[1].tobytes())


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
