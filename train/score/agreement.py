"""Tells false boxes from faces that nobody annotated: these other detectors see, too.

Of haar, maskface and yunet, two answer for the third. Haar takes what the networks of maskface see, so these two agree
with each other more than with YuNet, which shares nothing with them: where it is asked, its answer decides for both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from configs.schema import DetectConfig
from inference.detectors import open_detector
from inference.detectors.detector import Detector
from train.score.sightings import MATCH_IOU, Sighting, search
from transport.frame import iou

LISTED = "So are those on faces in the background of photos/val and scenes/ that were found by looking."
ASKED_PX = 1280  # how wide the others search, whatever the width of the one that is scored: what they can see


def others(detector: str, yunet: Path | None) -> list[Detector]:
    """The other detectors, opened: haar and maskface, which ship, and YuNet where its file is given."""
    names = {"haar": "", "maskface": ""} | ({"yunet": str(yunet)} if yunet else {})
    return [
        open_detector(DetectConfig(detector=name, model=model, width=ASKED_PX))
        for name, model in names.items()
        if name != detector
    ]


def agreed(one: Sighting, image: np.ndarray, asked: Sequence[Detector]) -> Sighting:
    """The sighting, with the false boxes that all who are asked see, too; `image` (H, W, 3) uint8 BGR is searched.

    With nobody to ask there are none.
    """
    if not one.false or not asked:
        return one
    seen = [search(image, detector)[0] for detector in asked]
    both = [
        place
        for place in one.false
        if all(any(iou(one.found[place], box) >= MATCH_IOU for box in boxes) for boxes in seen)
    ]
    return replace(one, agreed=tuple(both))


def in_words(asked: Sequence[Detector]) -> str:
    """Who answers, for a page."""
    names = [detector.config.detector for detector in asked]
    if not names:
        return f"No other detector was asked whether false boxes are faces that nobody annotated. {LISTED}"
    who = f"{' and '.join(names)} {'see' if len(names) > 1 else 'sees'}"
    only = "" if len(names) > 1 else " Only one other detector was asked: give YuNet's file (--yunet) for a second."
    taken = f"A false box that {who}, too, is taken for a face that nobody annotated; it stays a false box above."
    return f"{taken}{only} {LISTED}"
