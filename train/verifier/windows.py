"""What a verifier learns from: windows on the places where maskface sees something in annotated pictures."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from configs.schema import DetectConfig
from inference.boxes import corners, pairwise_iou
from inference.detectors import open_detector
from inference.detectors.detector import Shrunken, stretched
from inference.detectors.maskface import MaskfaceDetector
from inference.detectors.verifier import cut, moves_to, windows_on
from train.data.photos import Photo
from transport.frame import Box

LABELS = ("mask", "no_mask", "wrong_mask")
NO_FACE = -1
ROOM = 44 / 32  # side of the windows that are kept, in sides of those that the network sees: they can be turned, moved
LEAST_SCORE = 0.02  # of a place; what is no face and gets more is what a verifier is for
MOST_IOU = 0.7  # of two places: several on one face are several windows of it
LEAST_PX = 14  # shorter side of a place
FACE_IOU, NO_FACE_IOU = 0.4, 0.25  # of a place with an annotated face; between them nothing is learnt
KNOWN_IOU = 0.3  # a face that YuNet finds is one of the annotated ones
MOST_A_FACE, MOST_BESIDE, MOST_ELSEWHERE = 6, 25, 40  # windows of a picture; half faces are mistaken most easily
PHOTOS_PX, PHOTOS_SCALE = (240, 900), 1.2  # longer side of a photograph as it is searched, and its largest scale
CROPS_PX = (24, 160)  # longer side of the face of a crop
YUNET_PX = 4096  # pictures are not made smaller for YuNet


class Windows(NamedTuple):
    """N windows: pixels (N, roomy, roomy, 3) uint8 BGR, labels (N,) int8 (NO_FACE or place in LABELS), moves (N, 4)."""

    pixels: np.ndarray
    labels: np.ndarray
    moves: np.ndarray


class WindowSource:
    """Finds the windows of pictures, in other sizes each time.

    What YuNet (its file is `unsure_by`) takes for a face that nobody has annotated is left out.
    """

    def __init__(self, maskface: Path | None, unsure_by: Path, side_px: int, seed: int) -> None:
        self.maskface = MaskfaceDetector(DetectConfig(detector="maskface", model=str(maskface or "")))
        self.yunet = open_detector(DetectConfig(detector="yunet", model=str(unsure_by), width=YUNET_PX, score=0.3))
        self.roomy_px = round(ROOM * side_px)
        self.rng = np.random.default_rng(seed)

    def of_photos(self, photos: Iterable[Photo], rounds: int) -> list[Windows]:
        """Those of photographs, each searched so many times."""
        found = []
        for photo in photos:
            longest, unsure = max(photo.image.shape[:2]), self.unsure_in(photo)
            largest = min(PHOTOS_SCALE, PHOTOS_PX[1] / longest)
            for _ in range(rounds):
                found.append(
                    self.windows_in(photo, unsure, self.between(min(PHOTOS_PX[0] / longest, largest), largest))
                )
        return found

    def of_crops(self, crops: Iterable[Photo]) -> list[Windows]:
        """Those of crops that one face fills, each searched once."""
        found = []
        for crop in crops:
            [(face, _)] = crop.faces
            longest = max(face.width, face.height)
            scale = self.between(CROPS_PX[0] / longest, max(CROPS_PX[1] / longest, 1.0))
            found.append(self.windows_in(crop, self.unsure_in(crop), scale))
        return found

    def between(self, least: float, most: float) -> float:
        """A scale in that range, their logarithms alike likely."""
        return float(np.exp(self.rng.uniform(np.log(least), np.log(most))))

    def unsure_in(self, photo: Photo) -> np.ndarray:
        """Boxes (N, 4) of what YuNet takes for faces and nobody has annotated."""
        unsure = sides_of(self.yunet.find_rectangles(photo.image))
        known = sides_of([box for box, _ in photo.faces])
        return unsure[pairwise_iou(corners(unsure), corners(known)).max(axis=1, initial=0.0) < KNOWN_IOU]

    def windows_in(self, photo: Photo, unsure: np.ndarray, scale: float) -> Windows:
        """The windows that a verifier will see in a picture scaled so, mirrored or not, and what is in them."""
        faces, unsure = scale * sides_of([box for box, _ in photo.faces]), scale * unsure
        how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        image = cv2.resize(photo.image, None, fx=scale, fy=scale, interpolation=how)
        if self.rng.random() < 0.5:
            image = np.ascontiguousarray(image[:, ::-1])
            faces, unsure = mirrored(faces, image.shape[1]), mirrored(unsure, image.shape[1])
        picture = stretched(Shrunken(image, cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), 1.0))
        places, _ = self.maskface.places(picture, LEAST_SCORE, MOST_IOU)
        places = places[places[:, 2:].min(axis=1, initial=np.inf) >= LEAST_PX]
        overlap = pairwise_iou(corners(places), corners(faces))
        face = overlap.argmax(axis=1) if len(faces) else np.zeros(len(places), int)
        best = overlap.max(axis=1, initial=0.0)
        chosen = [self.some((face == one) & (best >= FACE_IOU), MOST_A_FACE) for one in range(len(faces))]
        elsewhere = best < NO_FACE_IOU
        elsewhere &= pairwise_iou(corners(places), corners(unsure)).max(axis=1, initial=0.0) < 0.1
        chosen.append(self.some(elsewhere & (best > 0.03), MOST_BESIDE))
        chosen.append(self.some(elsewhere, MOST_ELSEWHERE))
        kept = np.unique(np.concatenate(chosen))
        is_face = best[kept] >= FACE_IOU
        windows = windows_on(places[kept])
        labels = np.full(len(kept), NO_FACE, np.int8)
        moves = np.zeros((len(kept), 4), np.float32)
        if is_face.any():
            labels[is_face] = np.array([LABELS.index(label) for _, label in photo.faces])[face[kept][is_face]]
            moves[is_face] = moves_to(windows[is_face], faces[face[kept][is_face]])
        return Windows(cut(picture.bgr, windows * (1, 1, ROOM), self.roomy_px), labels, moves)

    def some(self, wanted: np.ndarray, most: int) -> np.ndarray:
        """Numbers of `most` of those that are wanted (N,), drawn at random."""
        return self.rng.permutation(np.flatnonzero(wanted))[:most]


def together(parts: Iterable[Windows]) -> Windows:
    """All of them as one."""
    return Windows(*(np.concatenate(part) for part in zip(*parts, strict=True)))


def sides_of(boxes: Iterable[Box]) -> np.ndarray:
    """Boxes as (N, 4): x, y, width, height px."""
    return np.array([(box.x, box.y, box.width, box.height) for box in boxes], float).reshape(-1, 4)


def mirrored(boxes: np.ndarray, width: int) -> np.ndarray:
    """Boxes (N, 4), x, y, width, height, in the mirror image of a picture so wide."""
    return np.stack([width - boxes[:, 0] - boxes[:, 2], *boxes[:, 1:].T], axis=1)
