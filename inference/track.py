"""Faces followed from frame to frame: who is who, and where a face has moved to since it was last searched for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from transport.frame import Box, iou

GRID = 5  # points a side that are followed in each face
FOLLOWED_SHARE = 0.6  # of the box, around its middle: beyond it is background, which stays behind
SMALLEST_POINTS = 8  # of the 25 that must agree, else the face is lost
MOST_ERROR = 0.06  # forward-backward error allowed, as a share of the face's width
LEAST_LIKENESS = 0.5  # correlation with the face as it was found; what is below is something else by now
SAME_FACE_IOU = 0.3
PATCH_PX = 20
SMALLEST_PX = 6  # of a followed face: below it the points are too near to each other to tell anything
LK_WINDOW = (11, 11)
LK_LEVELS = 2
MOST_MISSES = 12  # searches in a row that may miss a face that was found often and is followed well


@dataclass(slots=True)
class Track:
    """One face on its way through the pictures of a stream. `box` is in px of the grey pictures that are followed.

    `hits` counts the searches that found it, `misses` those in a row since then that did not.
    """

    id: int
    box: Box
    patch: np.ndarray
    hits: int = 1
    misses: int = 0

    @property
    def believed(self) -> bool:
        """Whether searches may go on missing it: two for each time that it was found again, and 12 at most.

        Found once and then missed it goes at once: kept for two searches more, false boxes on pan_cc0_mixed were
        three times as many. Haar misses most masked faces, but a face that it has found often stays while it is seen.
        """
        return self.misses <= min(2 * (self.hits - 1), MOST_MISSES)


class Tracker:
    """The faces of one stream. Pictures are grey, (H, W) uint8, all of the same size.

    Motion is the median flow of points inside the face (Kalal, Mikolajczyk and Matas, "Forward-backward error",
    2010): pyramidal Lucas-Kanade there and back again, points that do not come back are left out. A face whose
    points disagree, or which no longer looks like itself, is dropped: no box stays behind on the background.
    """

    def __init__(self, first_id: int = 0) -> None:
        self.tracks: list[Track] = []
        self._before: np.ndarray | None = None
        self._next_id = first_id

    def follow(self, grey: np.ndarray) -> bool:
        """Move all faces to where they are in this picture, the one after the last; those that are lost go.

        Says whether one was lost: it may be somewhere else, or another scene has begun.
        """
        known = len(self.tracks)
        if self._before is not None and self._before.shape != grey.shape:
            self.tracks = []
        before, self._before = self._before, grey
        if before is None or not self.tracks:
            return known > 0
        boxes = flow(before, grey, [track.box for track in self.tracks])
        followed = [(track, box) for track, box in zip(self.tracks, boxes, strict=True) if box is not None]
        self.tracks = [
            track
            for track, box in followed
            if inside(box, grey) and likeness(track.patch, patch_of(grey, box)) >= LEAST_LIKENESS
        ]
        for track, box in followed:
            track.box = box
        return len(self.tracks) < known

    def found(self, boxes: Sequence[Box]) -> None:
        """Bring in what a search of the last picture has found: known faces are corrected, others are new."""
        assert self._before is not None, "follow() comes first"
        missed = list(self.tracks)
        for box in boxes:
            known = max(missed, key=lambda track: iou(track.box, box), default=None)
            if known is not None and iou(known.box, box) >= SAME_FACE_IOU:
                missed.remove(known)
                known.box, known.patch = box, patch_of(self._before, box)
                known.hits, known.misses = known.hits + 1, 0
            else:
                self.tracks.append(Track(self._next_id, box, patch_of(self._before, box)))
                self._next_id += 1
        for track in missed:
            track.misses += 1
        self.tracks = [track for track in self.tracks if track.believed]

    def carried(self, then: np.ndarray, boxes: Sequence[Box]) -> list[Box]:
        """Boxes found in an earlier picture, moved to where they are in the last one; lost ones are left out."""
        if not boxes or self._before is None or then.shape != self._before.shape:
            return []
        if then is self._before:
            return list(boxes)
        return [box for box in flow(then, self._before, boxes) if box is not None]


def flow(before: np.ndarray, now: np.ndarray, boxes: Sequence[Box]) -> list[Box | None]:
    """Where the boxes of one picture are in the next; None for a face that cannot be followed."""
    points = np.concatenate([grid_in(box) for box in boxes])
    there, ok = lucas_kanade(before, now, points)
    back, ok_back = lucas_kanade(now, before, there)
    errors = np.linalg.norm(back - points, axis=1)
    errors[~(ok & ok_back)] = np.inf
    each = GRID * GRID
    return [
        moved(box, points[i : i + each], there[i : i + each], errors[i : i + each])
        for i, box in zip(range(0, len(points), each), boxes, strict=True)
    ]


def lucas_kanade(one: np.ndarray, other: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where points (N, 2) of one picture are in the other, and which of them (N,) were found there."""
    there: np.ndarray = np.empty_like(points)
    there, found, _ = cv2.calcOpticalFlowPyrLK(one, other, points, there, winSize=LK_WINDOW, maxLevel=LK_LEVELS)
    return there, found.ravel() == 1


def grid_in(box: Box) -> np.ndarray:
    """The points (25, 2) float32 that are followed."""
    share = np.linspace(0.5 - FOLLOWED_SHARE / 2, 0.5 + FOLLOWED_SHARE / 2, GRID)
    x, y = np.meshgrid(box.x + share * box.width, box.y + share * box.height)
    return np.stack([x.ravel(), y.ravel()], axis=1).astype(np.float32)


def moved(box: Box, points: np.ndarray, there: np.ndarray, errors: np.ndarray) -> Box | None:
    """The box moved and scaled as the median of its points that were followed there and back."""
    good = errors <= max(MOST_ERROR * box.width, 0.5)
    if good.sum() < SMALLEST_POINTS:
        return None
    start, end = points[good], there[good]
    shift = np.median(end - start, axis=0)
    if np.median(np.linalg.norm(end - start - shift, axis=1)) > 0.1 * box.width:
        return None  # they go their own ways: an edge, or something in front of the face
    first, second = np.triu_indices(len(start), 1)
    apart = np.linalg.norm(start[first] - start[second], axis=1)
    scale = float(np.median(np.linalg.norm(end[first] - end[second], axis=1) / apart))
    scale = min(max(scale, 0.9), 1.1)
    width, height = box.width * scale, box.height * scale
    if width < SMALLEST_PX:
        return None
    return Box(
        box.x + float(shift[0]) - (width - box.width) / 2,
        box.y + float(shift[1]) - (height - box.height) / 2,
        width,
        height,
    )


def inside(box: Box, grey: np.ndarray) -> bool:
    """Whether the middle of the box is in the picture."""
    return 0 <= box.x + box.width / 2 < grey.shape[1] and 0 <= box.y + box.height / 2 < grey.shape[0]


def patch_of(grey: np.ndarray, box: Box) -> np.ndarray:
    """A small picture of the face (20, 20) float32 without mean and with deviation 1, to know it again by."""
    scale_x, scale_y = box.width / PATCH_PX, box.height / PATCH_PX
    matrix = np.array([[scale_x, 0, box.x + scale_x / 2], [0, scale_y, box.y + scale_y / 2]])
    patch = cv2.warpAffine(
        grey,
        matrix,
        (PATCH_PX, PATCH_PX),
        flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP,
        borderMode=cv2.BORDER_REPLICATE,
    ).astype(np.float32)
    patch -= patch.mean()
    return patch / max(float(patch.std()), 1.0)


def likeness(one: np.ndarray, other: np.ndarray) -> float:
    """Correlation of two patches, 1 for the same."""
    return float((one * other).mean())
