"""What a detector, and the classifier behind it, see in annotated photographs, beside what is there."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from msgspec import structs

from inference.backends.backend import Backend
from inference.detectors.detector import Detector, scaled, shrink
from inference.preprocess import crop_face, prepare
from train.data.background_faces import read_background_faces
from train.data.photos import Photo
from transport.frame import Box, iou

COUNTED_PX = 40  # of the shorter side: of smaller faces many are not annotated
MOST_SOURCES = 10
MATCH_IOU = 0.4  # of a box and the face it has found; at .5 plain Haar misses a tenth of the faces that it boxes


@dataclass(frozen=True, slots=True)
class Sighting:
    """One photograph: its N annotated faces, the M boxes that were found, in px.

    `partners[i]` is the box that found face i; each box finds one face at most. `said` are the labels of the boxes'
    crops, `said_annotated` those of the crops around the annotated faces. `ms` is the CPU time of the search. Of the
    false boxes `agreed` are those that two other detectors see, too (train/score/agreement.py), `listed` those on
    faces that somebody saw there (train/data/background_faces.py).
    """

    name: str
    faces: tuple[Box, ...]
    labels: tuple[str, ...]
    found: tuple[Box, ...]
    scores: tuple[float, ...]
    partners: tuple[int | None, ...]
    said: tuple[str, ...]
    said_annotated: tuple[str, ...]
    ms: float
    agreed: tuple[int, ...] = ()
    listed: tuple[int, ...] = ()

    @property
    def false(self) -> list[int]:
        """The boxes that have found no annotated face."""
        return [place for place in range(len(self.found)) if place not in self.partners]

    @property
    def unannotated(self) -> list[int]:
        """Of these, those on faces that nobody annotated."""
        return sorted({*self.agreed, *self.listed})


def sight(photo: Photo, detector: Detector, classifier: Backend | None, least_px: float | None = None) -> Sighting:
    """Search a photograph, and say of each face how its mask is worn, as the live pipeline would.

    Photographs are of all sizes, and the detector's `min_face` is a share of the height: `least_px` sets it for each.
    """
    if least_px is not None:
        detector.config = structs.replace(detector.config, min_face=min(least_px / photo.image.shape[0], 1.0))
    began_s = time.process_time()
    boxes, scores = search(photo.image, detector)
    ms = 1000 * (time.process_time() - began_s)
    faces, labels = tuple(box for box, _ in photo.faces), tuple(label for _, label in photo.faces)
    said = say(photo.image, [*boxes, *faces], classifier)
    partners, background = partners_of(faces, boxes), read_background_faces().get(photo.name, ())
    return Sighting(
        name=photo.name,
        faces=faces,
        labels=labels,
        found=tuple(boxes),
        scores=tuple(scores),
        partners=partners,
        said=said[: len(boxes)],
        said_annotated=said[len(boxes) :],
        ms=ms,
        listed=tuple(
            j
            for j, box in enumerate(boxes)
            if j not in partners and any(iou(box, face) >= MATCH_IOU for face in background)
        ),
    )


def search(image: np.ndarray, detector: Detector) -> tuple[list[Box], list[float]]:
    """The boxes that the detector is sure of in a picture (H, W, 3) uint8 BGR, in its px, and their scores."""
    picture = shrink(image, detector.config.width_px)
    sure = detector.sure(picture)
    return [scaled(box, 1 / picture.scale) for box, _ in sure], [score for _, score in sure]


def say(image: np.ndarray, boxes: list[Box], classifier: Backend | None) -> tuple[str, ...]:
    """The likeliest class of each face; without a classifier all are called the same."""
    if classifier is None or not boxes:
        return ("",) * len(boxes)
    crops = [crop_face(image, box, classifier.preprocessing.margin) for box in boxes]
    answers = classifier.probabilities(prepare(crops, classifier.preprocessing)).argmax(axis=1)
    return tuple(classifier.classes[answer] for answer in answers)


def partners_of(faces: tuple[Box, ...], boxes: list[Box]) -> tuple[int | None, ...]:
    """For each face the box that has found it, the best overlaps first.

    >>> partners_of((Box(0, 0, 9, 9), Box(50, 0, 9, 9)), [Box(90, 0, 9, 9), Box(1, 0, 9, 9), Box(0, 0, 9, 8)])
    (2, None)
    """
    pairs = [(iou(face, box), i, j) for i, face in enumerate(faces) for j, box in enumerate(boxes)]
    taken: dict[int, int] = {}
    for overlap, i, j in sorted(pairs, reverse=True):
        if overlap >= MATCH_IOU and i not in taken and j not in taken.values():
            taken[i] = j
    return tuple(taken.get(i) for i in range(len(faces)))


def side(box: Box) -> float:
    """The shorter side, px."""
    return min(box.width, box.height)


def large(one: Sighting, places: Sequence[int]) -> list[int]:
    """Of boxes those that are as large as faces that count."""
    return [j for j in places if side(one.found[j]) >= COUNTED_PX]


def counted_faces(one: Sighting) -> list[int]:
    """The annotated faces that count."""
    return [i for i, face in enumerate(one.faces) if side(face) >= COUNTED_PX]


def found_faces(one: Sighting) -> list[tuple[int, int]]:
    """Of these, those that were found, each with its box."""
    return [(i, j) for i in counted_faces(one) if (j := one.partners[i]) is not None]


def reported(one: Sighting) -> list[int]:
    """The boxes that a user would count: on faces that count, and false ones that are as large."""
    return [*(j for _, j in found_faces(one)), *large(one, one.false)]


def by_source(sightings: Sequence[Sighting]) -> dict[str, list[Sighting]]:
    """By what the names of the photographs begin with, up to the first _.

    All are one source, `all`, where a name has no _, or there would be more than MOST_SOURCES.
    """
    found: dict[str, list[Sighting]] = {}
    for one in sightings:
        found.setdefault(one.name.partition("_")[0] if "_" in one.name else "", []).append(one)
    return {"all": list(sightings)} if "" in found or len(found) > MOST_SOURCES else found
