"""Finding faces with one of OpenCV's Haar cascades, as boxes like those an annotator would have drawn."""

from __future__ import annotations

from pathlib import Path

import cv2

from configs.errors import InputError
from configs.schema import DetectConfig
from inference.detectors.detector import BoxMapping, Detector, Shrunken
from transport.frame import Box

# Fitted by `python -m train.fit_boxes` on the faces of 1,068 photographs, most of them masked. On 247 others the crops
# around mapped boxes overlap those around annotated ones by (median IoU, unmapped -> mapped): bare .70 -> .75, masked
# .70 -> .77, wrongly masked .69 -> .70. What is left is the spread of the cascade: half of the heights lie in
# .84..1.04 of a square.
MAPPING = BoxMapping(x=0.004, y=0.083, width=0.811, height=0.932)
MIN_FACE = 0.1  # of the height at 320 px, where the options leave it open: smaller ones cost most of the time


class HaarDetector(Detector):
    """The whole frontal face cascade with OpenCV's usual settings: steps of 1.1, three neighbours.

    What `detect.verify: false` leaves of haar, to compare with. Raises InputError where OpenCV has no cascades.
    """

    about = "OpenCV's cascade alone"
    graded = False
    least_face = MIN_FACE
    mapping = MAPPING
    name = "haar frontalface_default"

    def __init__(self, config: DetectConfig) -> None:
        super().__init__(config)
        self._cascade = load_cascade("haarcascade_frontalface_default.xml")

    def scored(self, picture: Shrunken, least: float) -> list[tuple[Box, float]]:
        """What the cascade finds: squares from the brows to below the mouth."""
        smallest, largest = round(self.smallest_px(picture)), round(self.config.max_face * picture.grey.shape[0])
        squares = self._cascade.detectMultiScale(picture.grey, minSize=(smallest, smallest), maxSize=(largest, largest))
        # sorted, because with several threads OpenCV gives them in another order each time, and so track numbers
        found = sorted((Box(*map(float, square)) for square in squares), key=lambda square: (square.x, square.y))
        return [(square, 1.0) for square in found]


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
