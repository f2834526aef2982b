"""Fit what turns a detector's rectangle into the box an annotator draws: `python -m train.fit_boxes PHOTOS`.

PHOTOS holds `train/` and `val/`, each with `images/` and COCO's `annotations.json`. The numbers are fitted on
`train`, tested on `val`, and printed to be pasted into the detector's file in inference/detectors/.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
import typer
from msgspec.structs import replace

from configs.command import run_command
from configs.errors import InputError
from configs.schema import DetectConfig
from inference.detectors import detector_kind, open_detector
from inference.detectors.detector import BoxMapping, Detector
from inference.preprocess import CROP_MARGIN, crop_box
from train.data.photos import Photo, read_photos
from transport.frame import Box, iou

MIN_SIDE_PX = 40  # smaller faces are left out of the training crops too
MIN_IOU = 0.25  # a rectangle that overlaps a face less than this has not found it
# generous: a small face is one of many in a photograph
GENEROUS = DetectConfig(width=720, min_face=0.05)
UNCHANGED = BoxMapping(x=0.0, y=0.0, width=1.0, height=1.0)


class Match(NamedTuple):
    """A face and the rectangle that found it, if one did, in a picture of this size."""

    annotated: Box
    label: str
    found: Box | None
    image_size: tuple[int, int]


def fit_boxes(
    photos: Annotated[Path, typer.Argument(help="Folder with train/ and val/, each of images/ and annotations.json.")],
    detector: Annotated[str, typer.Option(help="Whose; of haar with its verifier, and without.")] = "haar",
    detector_model: Annotated[str, typer.Option(help="Its model file; yunet needs one.", metavar="FILE")] = "",
) -> None:
    """Fit what turns a detector's rectangle into the box that an annotator draws."""
    config = replace(GENEROUS, detector=detector, model=detector_model)
    unverified = [replace(config, verify=False)] if detector_kind(config).unverified else []
    for choice in [config, *unverified]:
        opened = open_detector(choice)
        fitted = fit(find_matches(opened, read_photos(photos / "train", MIN_SIDE_PX)))
        print(f"{opened.name}: {fitted}")
        report(fitted, find_matches(opened, read_photos(photos / "val", MIN_SIDE_PX)))


def fit(matches: list[Match]) -> BoxMapping:
    """The mapping that fits the median pair; medians, because some rectangles sit on half a face."""
    pairs = [(match.found, match.annotated) for match in matches if match.found is not None]
    if not pairs:
        raise InputError("not one of the annotated faces was found: nothing to fit")
    moves = [
        (
            (box.x + box.width / 2 - found.x) / found.width - 0.5,
            (box.y + box.height / 2 - found.y) / found.height - 0.5,
            box.width / found.width,
            box.height / found.height,
        )
        for found, box in pairs
    ]
    return BoxMapping(*(round(float(value), 3) for value in np.median(moves, axis=0)))


def report(mapping: BoxMapping, matches: list[Match]) -> None:
    """How many faces the detector finds, and how well crops around mapped boxes cover those around annotated ones."""
    for label in sorted({match.label for match in matches}):
        of_label = [match for match in matches if match.label == label]
        found = [match for match in of_label if match.found is not None]
        before, after = (np.median([crop_iou(match, how) for match in found]) for how in (UNCHANGED, mapping))
        print(
            f"        # {label}: {len(found)} of {len(of_label)} found ({len(found) / len(of_label):.2f}), "
            f"median IoU of the crops {before:.2f} -> {after:.2f}"
        )


def find_matches(detector: Detector, photos: Iterable[Photo]) -> list[Match]:
    """Every annotated face with the rectangle that overlaps it most."""
    matches = []
    for photo in photos:
        rectangles = detector.find_rectangles(photo.image)
        for box, label in photo.faces:
            best = max(rectangles, key=lambda found: iou(found, box), default=None)
            if best is not None and iou(best, box) < MIN_IOU:
                best = None
            matches.append(Match(box, label, best, (photo.image.shape[1], photo.image.shape[0])))
    return matches


def crop_iou(match: Match, mapping: BoxMapping) -> float:
    """Overlap of the two pictures that a classifier would get: around the mapped rectangle, around the annotation."""
    assert match.found is not None
    cut = [crop_box(box, *match.image_size, CROP_MARGIN) for box in (mapping.apply(match.found), match.annotated)]
    one, other = (Box(x0, y0, x1 - x0, y1 - y0) for x0, y0, x1, y1 in cut)
    return iou(one, other)


if __name__ == "__main__":
    run_command([fit_boxes], "python -m train.fit_boxes")
