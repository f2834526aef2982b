"""Haar with its verifier: the first stages of a cascade, where networks see a face."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import cv2
import numpy as np
from msgspec.structs import replace

from configs.schema import DetectConfig
from inference.detectors.detector import BoxMapping, Detector, Shrunken, stretched
from inference.detectors.haar import HaarDetector, cascade_file
from inference.detectors.verified_maskface import VerifiedMaskfaceDetector
from inference.detectors.verifier import BOX_HEIGHT, BOX_WIDTH, LOWER, cut
from transport.frame import Box

STAGES = 7  # of alt2's 20
SQUARE_PX, PART_PX = 32, 60  # side of the cascade's square where it is asked, and of the picture around it
STEP = 1.15  # from one size of the squares that are tried there to the next
SIZES_PX = (35, 30, 26, 40)  # all that are 24 to 44 px, the likeliest first: 9 of 10 faces are hit by it


class VerifiedHaarDetector(Detector):
    """A face is what the networks of maskface see and the first stages of a frontal cascade hit.

    The cascade is asked only where the networks see something, each place made equally large: of a whole picture 320 px
    wide it took 17 ms, of such a place it takes 0.1. Raises InputError where OpenCV has no cascades.
    """

    about = "OpenCV's cascade, verified by small networks of ours"
    unverified = HaarDetector
    mapping = BoxMapping(x=0.0, y=0.0, width=1.0, height=1.0)  # the networks make annotators' boxes

    def __init__(self, config: DetectConfig) -> None:
        super().__init__(config)
        self.name = f"haar frontalface_alt2 ({STAGES} of 20 stages), verified"
        self._cascade = short_cascade(STAGES)
        self._networks = VerifiedMaskfaceDetector(replace(config, model=""))
        self.score = self._networks.score

    def scored(self, picture: Shrunken, least: float) -> list[tuple[Box, float]]:
        picture = stretched(picture)
        boxes, scores = self._networks.likely(picture, least)
        parts = cut(picture.bgr, squares_on(boxes) * (1, 1, PART_PX / SQUARE_PX), PART_PX)
        hit = np.array([self._hits(part) for part in parts], bool)
        return self.of_allowed_size(boxes[hit], scores[hit], picture)

    def _hits(self, part: np.ndarray) -> bool:
        """Whether the cascade hits something of about the right size in a part of the picture (H, W, 3) uint8 BGR."""
        grey = cv2.cvtColor(part, cv2.COLOR_BGR2GRAY)
        return any(
            len(self._cascade.detectMultiScale(grey, STEP, 0, minSize=(side, side), maxSize=(side, side)))
            for side in SIZES_PX
        )


def squares_on(boxes: np.ndarray) -> np.ndarray:
    """Centres x, y and sides (N, 3) of the cascade's squares in which annotators' boxes (N, 4) lie."""
    sides = (boxes[:, 2] / BOX_WIDTH + boxes[:, 3] / BOX_HEIGHT) / 2
    centres = boxes[:, :2] + boxes[:, 2:] / 2
    return np.stack([centres[:, 0], centres[:, 1] - LOWER * sides, sides], axis=1)


def short_cascade(stages: int) -> cv2.CascadeClassifier:
    """The frontal cascade alt2 without its last stages: what passes the first ones may be a face.

    Of 168 faces in 110 photographs the whole cascade of 20 stages hits 81 % of the bare, 48 % of the masked and 44 % of
    the wrongly masked ones somewhere, its first 9 stages 98, 99 and 94 %.
    """
    root = ElementTree.parse(cascade_file("haarcascade_frontalface_alt2.xml")).getroot()
    cascade = root.find("cascade")
    assert cascade is not None
    all_stages, count = cascade.find("stages"), cascade.find("stageNum")
    assert all_stages is not None
    assert count is not None
    for stage in list(all_stages)[stages:]:
        all_stages.remove(stage)
    count.text = str(stages)
    text = '<?xml version="1.0"?>' + ElementTree.tostring(root).decode()
    storage = cv2.FileStorage(text, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
    short = cv2.CascadeClassifier()
    assert short.read(storage.getFirstTopLevelNode())
    return short
