"""Finding faces with OpenCV's Haar cascades, as boxes like those an annotator would have drawn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from configs.errors import InputError
from configs.schema import DetectConfig
from inference.detector import BoxMapping, Candidate, Detector, Shrunken
from transport.frame import Box, iou

# Fitted by `python -m train.fit_boxes` on the faces of 1,068 photographs, most of them masked. On 247 others the crops
# around mapped boxes overlap those around annotated ones by (median IoU, unmapped -> mapped; bare, masked, wrongly
# masked): default .70 -> .75, .70 -> .77, .69 -> .70; alt .69 -> .75, .71 -> .80, .69 -> .74; alt2 .71 -> .75,
# .69 -> .75, .70 -> .71. What is left is the spread of the cascades: half of the heights lie in .84..1.04 of a square.
MAPPINGS = {
    "default": BoxMapping(x=0.004, y=0.083, width=0.811, height=0.932),
    "alt": BoxMapping(x=0.0, y=0.093, width=0.828, height=0.959),
    "alt2": BoxMapping(x=0.003, y=0.096, width=0.833, height=0.963),
}


SECOND_OPINION = {"default": "alt", "alt": "alt2", "alt2": "alt"}  # who is asked about what a cascade has found
SECOND_STEP, SECOND_NEIGHBOURS = 1.05, 3
SECOND_SIDE = 1.7  # of the square that is searched, in sides of the one that was found
SECOND_SIZES = (0.7, 1.4)  # of the faces searched for there
SECOND_IOU = 0.35
MIN_FACE = 0.1  # of the picture's height, where the options leave it open: smaller ones cost most of the time
SAME_FACE_IOU = 0.4  # squares that are hits on one face
OVERLAP_IOU = 0.1  # squares of which only one can be a face


class HaarDetector(Detector):
    """One frontal face cascade, searching with the options given, and a second one to confirm what it finds.

    The first looks in coarse steps and counts every hit, the second looks closely at those places. That takes 15 ms,
    and 3 for each place looked at, instead of the 35 of one cascade in fine steps (1.1, 2 neighbours). Of the faces in
    125 photographs it found 30 instead of 32 %, with 0.04 instead of 0.14 boxes on the background of each.

    Raises InputError where OpenCV has no cascades, or not this one.
    """

    graded = False
    least_face = MIN_FACE

    def __init__(self, config: DetectConfig) -> None:
        super().__init__(config)
        second = SECOND_OPINION[config.cascade] if config.second_opinion == "cascade" else ""
        self.name = f"haar frontalface_{config.cascade}" + (f", confirmed by {second}" if second else "")
        self.mapping = MAPPINGS[config.cascade]
        self._cascade = load_cascade(f"haarcascade_frontalface_{config.cascade}.xml")
        self._second = load_cascade(f"haarcascade_frontalface_{second}.xml") if second else None

    def scored(self, picture: Shrunken, least: float) -> list[tuple[Box, float]]:
        """What the first cascade finds: squares from the brows to below the mouth."""
        grey = picture.grey
        smallest = round(self.smallest_share * grey.shape[0])
        largest = round(self.config.max_face * grey.shape[0])
        squares = self._cascade.detectMultiScale(
            grey,
            scaleFactor=self.config.scale_factor,
            minNeighbors=self.config.neighbours,
            minSize=(smallest, smallest),
            maxSize=(largest, largest),
        )
        # sorted, because with several threads OpenCV gives them in another order each time, and so track numbers
        found = sorted((Box(*map(float, square)) for square in squares), key=lambda square: (square.x, square.y))
        return [(square, 1.0) for square in (joined(found) if self.config.neighbours == 0 else found)]

    def confirms(self, picture: Shrunken, candidate: Candidate) -> bool:
        """Whether the second cascade finds that candidate, too; without a second one, always."""
        if self._second is None:
            return True
        box = candidate.box
        side = box.width / self.mapping.width
        centre_x = box.x + box.width / 2 - self.mapping.x * side
        centre_y = box.y + box.height / 2 - self.mapping.y * side
        reach = SECOND_SIDE / 2 * side
        left, top = max(0, int(centre_x - reach)), max(0, int(centre_y - reach))
        region = picture.grey[top : int(centre_y + reach) + 1, left : int(centre_x + reach) + 1]
        smallest, largest = (round(size * side) for size in SECOND_SIZES)
        squares = self._second.detectMultiScale(
            region,
            scaleFactor=SECOND_STEP,
            minNeighbors=SECOND_NEIGHBOURS,
            minSize=(smallest, smallest),
            maxSize=(largest, largest),
        )
        square = Box(centre_x - side / 2 - left, centre_y - side / 2 - top, side, side)
        return any(iou(Box(*map(float, found)), square) > SECOND_IOU for found in squares)


def joined(squares: Sequence[Box]) -> list[Box]:
    """The mean square of the hits on each face: without a number of neighbours OpenCV gives every hit.

    Where groups of hits still overlap, the larger one counts.

    >>> joined([Box(0, 0, 10, 10), Box(1, 2, 11, 11), Box(50, 0, 10, 10)])
    [Box(x=0.5, y=1.0, width=10.5, height=10.5), Box(x=50.0, y=0.0, width=10.0, height=10.0)]
    """
    groups: list[list[Box]] = []
    kept: list[Box] = []
    for square in squares:
        known = next((group for group in groups if iou(group[0], square) > SAME_FACE_IOU), None)
        if known is None:
            groups.append([square])
        else:
            known.append(square)
    for group in sorted(groups, key=len, reverse=True):
        mean = Box(*map(float, np.mean([(hit.x, hit.y, hit.width, hit.height) for hit in group], axis=0)))
        if all(iou(mean, other) < OVERLAP_IOU for other in kept):
            kept.append(mean)
    return sorted(kept, key=lambda square: (square.x, square.y))


def load_cascade(file_name: str) -> cv2.CascadeClassifier:
    """One of the cascades that come with OpenCV 4."""
    path = cascade_file(file_name)
    return cv2.CascadeClassifier(str(path))


def cascade_file(file_name: str) -> Path:
    """Where a cascade lies; raises InputError where OpenCV has none, or not this one."""
    if not hasattr(cv2, "CascadeClassifier"):
        raise InputError(
            f"opencv {cv2.__version__} has no Haar cascades (5.0 removed them): pip install 'opencv-python>=4.11,<5'"
        )
    path = Path(cv2.__file__).parent / "data" / file_name
    if not path.is_file():
        raise InputError(f"{path} is missing: install opencv-python again, one that is below 5")
    return path
