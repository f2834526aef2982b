"""Searching a picture at several scales with one network: at one of them a face is as large as those learnt.

An image pyramid as in MTCNN (Zhang et al., 2016), coarser each time by half. The network has seen faces up to the size
of a picture 256 px wide; larger ones it takes apart into eyes and half faces. Each scale is asked only for faces of the
sizes that are its own, the coarsest for all larger ones. The scales beyond the first cost a third more at most.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from inference.boxes import area, intersection
from inference.detectors.maskface_file import MULTIPLE, PADDING_GREY

COARSEST_PX = 320  # a picture whose longer side has no more is not halved again
SMALL_PX, LARGE_PX = 48.0, 128.0  # longer side of a face, px as searched: a scale's own, but for the first and the last
INSIDE = 0.7  # share of a box that lies in a larger one: it is a part of that face
TWICE = 2.0  # areas by which the other one is larger then
AS_SURE = 0.6  # and it is so much as sure; an unsure large box takes away no sure small one

Network = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
"""Corners (N, 4) float32 px and scores (N,) float32 of all candidates in a picture (H, W, 3) uint8 BGR; its sides are
multiples of 32."""


def find_at_all_scales(
    image_bgr: np.ndarray, network: Network, least: float, most_iou: float
) -> tuple[np.ndarray, np.ndarray]:
    """Corners (N, 4) px and scores (N,), at least `least`, of the faces in a picture (H, W, 3) uint8; the best first.

    Of boxes that overlap by more than `most_iou`, and of those within a larger one, one is left for each face.
    """
    corners, scores, share = [], [], 1.0
    while True:
        found, sure = network(filled_up(image_bgr))
        sides = (found[:, 2:] - found[:, :2]).max(axis=1, initial=0)
        is_last = max(image_bgr.shape[:2]) <= COARSEST_PX
        own = (sure >= least) & (is_last | (sides < LARGE_PX)) & ((share == 1.0) | (sides >= SMALL_PX))
        corners.append(found[own] / np.float32(share))
        scores.append(sure[own])
        if is_last:
            break
        height, width = image_bgr.shape[:2]
        image_bgr = cv2.resize(image_bgr, (max(width // 2, 1), max(height // 2, 1)), interpolation=cv2.INTER_AREA)
        share /= 2
    return one_for_each(np.concatenate(corners), np.concatenate(scores), most_iou)


def one_for_each(corners: np.ndarray, scores: np.ndarray, most_iou: float) -> tuple[np.ndarray, np.ndarray]:
    """One box for each face: no second one on it, and none on a part of it. The best first.

    >>> face, again, eye, other = [0, 0, 90, 90], [5, 0, 95, 90], [20, 20, 50, 50], [200, 0, 260, 60]
    >>> all_four, scores = np.array([face, again, eye, other], np.float32), np.array([0.8, 0.7, 0.9, 0.6])
    >>> boxes, scores = one_for_each(all_four, scores, most_iou=0.4)
    >>> boxes.tolist(), scores.tolist()
    ([[0.0, 0.0, 90.0, 90.0], [200.0, 0.0, 260.0, 60.0]], [0.8, 0.6])
    """
    sizes = np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
    kept = np.asarray(cv2.dnn.NMSBoxes(sizes.tolist(), scores.tolist(), 0.0, most_iou), np.int64).reshape(-1)
    corners, scores, areas = corners[kept], scores[kept], area(corners[kept])
    inside = intersection(corners[:, None], corners[None]) > INSIDE * areas[:, None]
    part = inside & (areas > TWICE * areas[:, None]) & (scores >= AS_SURE * scores[:, None])
    whole = ~part.any(axis=1)
    return corners[whole], scores[whole]


def filled_up(image_bgr: np.ndarray) -> np.ndarray:
    """The picture with grey to the right and below, so that its sides are multiples of 32."""
    height, width = image_bgr.shape[:2]
    below, right = -height % MULTIPLE, -width % MULTIPLE
    return cv2.copyMakeBorder(image_bgr, 0, below, 0, right, cv2.BORDER_CONSTANT, value=(PADDING_GREY,) * 3)
