"""Finding faces with OpenCV's Haar cascades, as boxes like those an annotator would have drawn."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from configs.errors import InputError
from configs.schema import DetectConfig
from transport.frame import Box


class BoxMapping(NamedTuple):
    """From a cascade's square to the annotator's rectangle, all in sides of the square.

    `x`, `y` is how far the centre moves to the right and down, `width` and `height` is the new size.
    """

    x: float
    y: float
    width: float
    height: float

    def apply(self, square: Box) -> Box:
        """
        >>> BoxMapping(x=0.0, y=0.1, width=1.0, height=1.2).apply(Box(100, 100, 50, 50))
        Box(x=100.0, y=100.0, width=50.0, height=60.0)
        """
        side = square.width
        width, height = self.width * side, self.height * side
        centre_x = square.x + (0.5 + self.x) * side
        centre_y = square.y + (0.5 + self.y) * side
        return Box(centre_x - width / 2, centre_y - height / 2, width, height)


# Fitted by `python -m train.fit_boxes` on the faces of 1,068 photographs, most of them masked. On 247 others the crops
# around mapped boxes overlap those around annotated ones by (median IoU, unmapped -> mapped; bare, masked, wrongly
# masked): default .70 -> .75, .70 -> .77, .69 -> .70; alt .69 -> .75, .71 -> .80, .69 -> .74; alt2 .71 -> .75,
# .69 -> .75, .70 -> .71. What is left is the spread of the cascades: half of the heights lie in .84..1.04 of a square.
MAPPINGS = {
    "default": BoxMapping(x=0.004, y=0.083, width=0.811, height=0.932),
    "alt": BoxMapping(x=0.0, y=0.093, width=0.828, height=0.959),
    "alt2": BoxMapping(x=0.003, y=0.096, width=0.833, height=0.963),
}


class HaarDetector:
    """One frontal face cascade, searching with the options given.

    Raises InputError where OpenCV has no cascades, or not this one.
    """

    def __init__(self, config: DetectConfig) -> None:
        self.config = config
        self.name = f"haar frontalface_{config.cascade}"
        self._mapping = MAPPINGS[config.cascade]
        self._cascade = load_cascade(f"haarcascade_frontalface_{config.cascade}.xml")

    def find(self, image_bgr: np.ndarray) -> tuple[Box, ...]:
        """Faces of a (H, W, 3) uint8 picture, forehead to chin, in its pixels; a box may reach outside."""
        return tuple(self._mapping.apply(square) for square in self.find_squares(image_bgr))

    def find_squares(self, image_bgr: np.ndarray) -> list[Box]:
        """The same faces as the cascade itself frames them: squares from the brows to below the mouth."""
        grey, scale = shrunken_grey(image_bgr, self.config.width)
        return [scaled(square, 1 / scale) for square in self._squares_in(grey)]

    def find_in_grey(self, grey: np.ndarray) -> list[Box]:
        """Faces of a picture (H, W) uint8 that `shrunken_grey` made, in its pixels."""
        return [self._mapping.apply(square) for square in self._squares_in(grey)]

    def _squares_in(self, grey: np.ndarray) -> list[Box]:
        smallest = round(self.config.min_face * grey.shape[0])
        largest = round(self.config.max_face * grey.shape[0])
        squares = self._cascade.detectMultiScale(
            grey,
            scaleFactor=self.config.scale_factor,
            minNeighbors=self.config.neighbours,
            minSize=(smallest, smallest),
            maxSize=(largest, largest),
        )
        # sorted, because with several threads OpenCV gives them in another order each time, and so track numbers
        return sorted((Box(*map(float, square)) for square in squares), key=lambda square: (square.x, square.y))


def shrunken_grey(image_bgr: np.ndarray, most_px: int) -> tuple[np.ndarray, float]:
    """The picture (H, W) uint8 that faces are searched and followed in, at most so wide, and how much smaller it is."""
    height, width = image_bgr.shape[:2]
    scale = min(1.0, most_px / width)
    if scale < 1.0:
        # linear: area interpolation costs 2 ms on a 1080p picture, and the cascade sees no difference; shrunk before it
        # is grey, which takes .13 / .17 / .18 ms at 480p / 720p / 1080p instead of .14 / .45 / .90 and finds as much
        size = (most_px, max(1, round(height * scale)))
        image_bgr = cv2.resize(image_bgr, size, interpolation=cv2.INTER_LINEAR)
    return cv2.cvtColor(image_bgr, cv2.COLOR_BGR2GRAY), scale


def scaled(box: Box, factor: float) -> Box:
    """The same box in a picture of another size."""
    return Box(box.x * factor, box.y * factor, box.width * factor, box.height * factor)


def load_cascade(file_name: str) -> cv2.CascadeClassifier:
    """One of the cascades that come with OpenCV 4."""
    if not hasattr(cv2, "CascadeClassifier"):
        raise InputError(
            f"opencv {cv2.__version__} has no Haar cascades (5.0 removed them): pip install 'opencv-python>=4.10,<5'"
        )
    path = Path(cv2.__file__).parent / "data" / file_name
    if not path.is_file():
        raise InputError(f"{path} is missing: install opencv-python again, one that is below 5")
    return cv2.CascadeClassifier(str(path))
