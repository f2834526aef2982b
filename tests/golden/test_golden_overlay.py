"""Pictures as the overlay draws them, compared with those kept beside this file.

After a wanted change of looks: `UPDATE_GOLDEN=1 pytest tests/golden/test_golden_overlay.py` writes them anew; look at
them before they are committed.
"""

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from overlay.draw import annotate, away_picture
from transport.frame import Box, Face, Prediction

GOLDEN = Path(__file__).parent / "overlay"


def flat(width: int, height: int) -> np.ndarray:
    return np.full((height, width, 3), (150, 130, 110), np.uint8)


def face(x: float, y: float, width: float, height: float, label: str = "", confidence: float = 0.0) -> Face:
    probabilities = dict.fromkeys(("mask", "no_mask", "wrong_mask", "scarf", "visor"), 0.2)
    return Face(Box(x, y, width, height), Prediction(label, confidence, probabilities) if label else None)


def every_class() -> np.ndarray:
    faces = (
        face(40, 90, 110, 140, "mask", 0.973),
        face(230, 90, 110, 140, "no_mask", 0.881),
        face(430, 90, 110, 140, "wrong_mask", 0.504),
        face(60, 300, 80, 40, "scarf", 0.7),
        face(260, 300, 80, 40, "visor", 1.0),
        face(460, 300, 80, 40),
    )
    return annotate(flat(640, 360), faces, "door  25.0 fps  12 ms")


def corners() -> np.ndarray:
    places = [(-10, -10), (270, -10), (-10, 200), (270, 200)]
    return annotate(flat(320, 240), tuple(face(x, y, 60, 60, "no_mask", 0.9) for x, y in places))


def neighbours() -> np.ndarray:
    labels = ("mask", "no_mask", "wrong_mask", "mask")
    return annotate(
        flat(640, 360), tuple(face(100 + 90 * i, 150, 80, 100, label, 0.9) for i, label in enumerate(labels))
    )


def small() -> np.ndarray:
    return annotate(flat(160, 120), (face(50, 50, 50, 60, "mask", 0.973),), "door  25.0 fps  12 ms")


def away() -> np.ndarray:
    return away_picture("door", 12, 320, 240)


@pytest.mark.parametrize("draw", [every_class, corners, neighbours, small, away], ids=lambda draw: draw.__name__)
def test_it_looks_as_it_did(draw: Callable[[], np.ndarray]):
    drawn, path = draw(), GOLDEN / f"{draw.__name__}.png"
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        cv2.imwrite(str(path), drawn, [cv2.IMWRITE_PNG_COMPRESSION, 9])
    golden = cv2.imread(str(path))
    assert golden is not None, f"{path} is missing: see the first lines of this file"
    assert looks_like(drawn, golden)


def test_another_digit_does_not_look_the_same():
    faces = [(face(40, 40, 60, 60, "mask", confidence),) for confidence in (0.973, 0.978)]
    assert not looks_like(*(annotate(flat(320, 240), some) for some in faces))


def looks_like(drawn: np.ndarray, golden: np.ndarray) -> bool:
    """The letters' soft edges may differ between builds of OpenCV; not where they stand, nor any colour."""
    assert drawn.shape == golden.shape
    return np.count_nonzero(cv2.absdiff(drawn, golden).max(axis=2) > 64) <= 4
