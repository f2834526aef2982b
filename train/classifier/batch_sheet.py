"""`train_batch.jpg`: the first batch of a training as the network sees it, each face with its label."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from configs.lettering import drawable, mask
from configs.whole_file import write_bytes

TILE_PX, STRIP_PX, TILES_PER_ROW = 112, 18, 8
MOST_TILES = 64  # the usual batch; a batch of 512 would be a picture of 8,000 px
INK, PAPER = 40, 245


def write_batch_sheet(path: Path, pixels: np.ndarray, labels: np.ndarray, classes: Sequence[str]) -> None:
    """Write faces (N, H, W, 3) uint8 BGR with the names of their labels (N,) as a JPEG file.

    Raises InputError where it cannot be written.
    """
    shown = min(len(labels), MOST_TILES)
    rows = -(-shown // TILES_PER_ROW)
    height = TILE_PX + STRIP_PX
    sheet = np.full((rows * height, min(shown, TILES_PER_ROW) * TILE_PX, 3), PAPER, np.uint8)
    for place in range(shown):
        top, left = place // TILES_PER_ROW * height, place % TILES_PER_ROW * TILE_PX
        # enlarged without smoothing: each pixel that the network gets can be counted
        kind = cv2.INTER_AREA if pixels.shape[1] > TILE_PX else cv2.INTER_NEAREST
        sheet[top : top + TILE_PX, left : left + TILE_PX] = cv2.resize(
            pixels[place], (TILE_PX, TILE_PX), interpolation=kind
        )
        strip = sheet[top + TILE_PX : top + height, left : left + TILE_PX]
        write_name(strip, classes[int(labels[place])])
    write_bytes(path, cv2.imencode(".jpg", sheet, [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes())


def write_name(strip: np.ndarray, name: str) -> None:
    """A class name, dark on light, into a strip (STRIP_PX, TILE_PX, 3) uint8 BGR; what is too long is cut off."""
    words = name if name.isascii() else drawable(name)
    if words.isascii():
        cv2.putText(strip, words, (3, STRIP_PX - 5), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (INK,) * 3, 1, cv2.LINE_AA)
        return
    letters = mask(words, 0.42)[:STRIP_PX, : TILE_PX - 6]
    height, width = letters.shape
    ink = letters[..., None].astype(np.float32) / 255
    there = strip[:height, 3 : 3 + width]
    there[:] = (there * (1 - ink) + INK * ink).astype(np.uint8)
