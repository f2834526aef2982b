"""Faces followed from frame to frame: who is who, and where a face has moved to since it was last searched for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from transport.frame import Box, iou

GRID = 5  # points a side that are followed in each face
FOLLOWED_SHARE = 0.6  # of the box, around its middle: beyond it is background, which stays behind
SMALLEST_POINTS = 8  # of the 25 that must agree, else the face is lost
MOST_ERROR = 0.06  # forward-backward error allowed, as a share of the face's width
LEAST_SIMILARITY = 0.5  # correlation with the face as it was found; what is below is something else by now
SURE_SIMILARITY = 0.7  # the same where its points cannot be followed; a mask put on in the demo leaves .80
MATCH_IOU = 0.3  # of a box that was found with the track that it belongs to; both move between two searches
PATCH_PX = 20
SMALLEST_PX = 6  # of a followed face: below it the points are too near to each other to tell anything
LK_WINDOW = (9, 9)  # with 11 a fifth slower, and no nearer to the truth of the demo
LK_LEVELS = 2
REACH_PX = 40  # around the points: half a window on the smallest level (18 px), and where they may go
LEAST_TRUST = 0.3  # in where a search saw a known face, against where it was followed to: Haar's boxes jump
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
    2010): pyramidal Lucas-Kanade there and back again, points that do not come back are left out. A face
    that no longer looks like itself is dropped, and one whose points disagree unless it looks like itself where it was:
    no box stays behind on the background.
    """

    def __init__(self, first_id: int = 0) -> None:
        self.tracks: list[Track] = []
        self._before: np.ndarray | None = None
        self._next_id = first_id

    def follow(self, grey: np.ndarray) -> bool:
        """Move all tracks to the next picture and drop those that are lost. Returns True if one was lost.

        Its face may be somewhere else, or another scene has begun.
        """
        known = len(self.tracks)
        if self._before is not None and self._before.shape != grey.shape:
            self.tracks = []
        before, self._before = self._before, grey
        if before is None or not self.tracks:
            return known > 0
        boxes = flow(before, grey, [track.box for track in self.tracks])
        kept = [box or stationary(track, grey) for track, box in zip(self.tracks, boxes, strict=True)]
        followed = [(track, box) for track, box in zip(self.tracks, kept, strict=True) if box is not None]
        self.tracks = [
            track
            for track, box in followed
            if inside(box, grey) and similarity(track.patch, patch_of(grey, box)) >= LEAST_SIMILARITY
        ]
        for track, box in followed:
            track.box = box
        return len(self.tracks) < known

    def found(self, boxes: Sequence[Box], extra: bool = False) -> None:
        """Bring in what a search of the last picture has found: known faces are corrected, others are new.

        An extra search, between the regular ones, counts for no known face and against none: it sees nearly the
        picture that the last one saw, and would find the same false faces again.
        """
        assert self._before is not None, "follow() comes first"
        missed = list(self.tracks)
        for box in boxes:
            known = max(missed, key=lambda track: iou(track.box, box), default=None)
            if known is not None and iou(known.box, box) >= MATCH_IOU:
                missed.remove(known)
                if not extra:
                    known.hits, known.misses = known.hits + 1, 0
                known.box = between(known.box, box, max(1 / known.hits, LEAST_TRUST))
                known.patch = patch_of(self._before, known.box)
            else:
                self.tracks.append(Track(self._next_id, box, patch_of(self._before, box)))
                self._next_id += 1
        if not extra:
            for track in missed:
                track.misses += 1
        self.tracks = non_maximum_suppressed([track for track in self.tracks if track.believed])

    def carried(self, then: np.ndarray, boxes: Sequence[Box]) -> list[Box]:
        """Boxes found in an earlier picture, moved to where they are in the last one; lost ones are left out."""
        if not boxes or self._before is None or then.shape != self._before.shape:
            return []
        if then is self._before:
            return list(boxes)
        return [box for box in flow(then, self._before, boxes) if box is not None]


def same_face(box: Box, others: Sequence[Box]) -> bool:
    """Whether a box lies on the face that one of the others is on."""
    return any(iou(box, other) >= MATCH_IOU for other in others)


def stationary(track: Track, grey: np.ndarray) -> Box | None:
    """Its box where it was, if the face still looks like itself there: its points disagree when a mask is put on."""
    return track.box if similarity(track.patch, patch_of(grey, track.box)) >= SURE_SIMILARITY else None


def flow(before: np.ndarray, now: np.ndarray, boxes: Sequence[Box]) -> list[Box | None]:
    """Where the boxes of one picture are in the next; None for a face that cannot be followed."""
    rectangles = np.array([(box.x, box.y, box.width, box.height) for box in boxes])
    points = grids_in(rectangles)
    flat = points.reshape(-1, 2)
    around = surroundings(flat, before)
    flat = flat - np.array((around[1].start, around[0].start), np.float32)
    there, ok = lucas_kanade(before[around], now[around], flat)
    back, ok_back = lucas_kanade(now[around], before[around], there)
    errors = lengths(back - flat)
    errors[~(ok & ok_back)] = np.inf
    return moved(rectangles, (there - flat).reshape(points.shape), points, errors.reshape(points.shape[:2]))


def surroundings(points: np.ndarray, grey: np.ndarray) -> tuple[slice, slice]:
    """Rows and columns of a picture that hold the points (N, 2) and what is needed to follow them.

    Shrinking whole pictures of 320 x 240 px is two fifths of what Lucas-Kanade costs (0.10 of 0.24 ms). The corner is a
    multiple of 4 px, so that the pixels of each level are those of the whole picture.
    """
    (left, top), (right, bottom) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return part(top, bottom, grey.shape[0]), part(left, right, grey.shape[1])


def part(first: float, last: float, length: int) -> slice:
    """Of so many rows or columns those from the first to the last, and what is in reach.

    >>> part(50.5, 130.0, 160)
    slice(8, 160, None)
    """
    begin = min(max(int(first) - REACH_PX, 0), length - 1)
    return slice(begin - begin % 4, max(min(int(last) + REACH_PX, length), begin + 1))


def lucas_kanade(one: np.ndarray, other: np.ndarray, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where points (N, 2) of one picture are in the other, and which of them (N,) were found there."""
    there: np.ndarray = np.empty_like(points)
    there, found, _ = cv2.calcOpticalFlowPyrLK(one, other, points, there, winSize=LK_WINDOW, maxLevel=LK_LEVELS)
    return there, found.ravel() == 1


_SHARES = np.linspace(0.5 - FOLLOWED_SHARE / 2, 0.5 + FOLLOWED_SHARE / 2, GRID)
_GRID = np.stack(np.meshgrid(_SHARES, _SHARES), axis=-1).reshape(-1, 2)
# Points of one row or column; with all pairs the scale after 20 pictures is off by .033 instead of .018 (bench scene)
_PAIRS = np.array([(i, j) for j in range(GRID**2) for i in range(j) if i // GRID == j // GRID or (j - i) % GRID == 0]).T


def grids_in(rectangles: np.ndarray) -> np.ndarray:
    """The points (N, 25, 2) float32 that are followed in rectangles (N, 4): x, y, width, height."""
    return (rectangles[:, None, :2] + _GRID * rectangles[:, None, 2:]).astype(np.float32)


def moved(rectangles: np.ndarray, steps: np.ndarray, points: np.ndarray, errors: np.ndarray) -> list[Box | None]:
    """Boxes moved and scaled as the median of the steps that their points (N, 25, 2) took there and back.

    For all faces at once: one by one, numpy's calls took longer than the optical flow.
    """
    widths = rectangles[:, 2]
    good = errors <= np.maximum(MOST_ERROR * widths, 0.5)[:, None]
    shifts = masked_median(np.concatenate([steps[..., 0], steps[..., 1]]), np.concatenate([good, good]))
    shifts = shifts.reshape(2, -1).T
    spread = masked_median(lengths(steps - shifts[:, None]), good)
    first, second = _PAIRS
    apart_before = points[:, first] - points[:, second]
    apart_now = apart_before + steps[:, first] - steps[:, second]
    scales = masked_median(lengths(apart_now) / lengths(apart_before), good[:, first] & good[:, second])
    sizes = rectangles[:, 2:] * np.clip(scales, 0.9, 1.1)[:, None]
    corners = rectangles[:, :2] + shifts - (sizes - rectangles[:, 2:]) / 2
    followed = good.sum(axis=1) >= SMALLEST_POINTS
    followed &= spread <= 0.1 * widths  # else they go their own ways: an edge, or something in front of the face
    followed &= sizes[:, 0] >= SMALLEST_PX
    boxes = np.hstack([corners, sizes]).tolist()
    return [Box(*box) if is_followed else None for box, is_followed in zip(boxes, followed.tolist(), strict=True)]


def lengths(vectors: np.ndarray) -> np.ndarray:
    """The lengths (...) of vectors (..., 2)."""
    return np.hypot(vectors[..., 0], vectors[..., 1])


def masked_median(values: np.ndarray, good: np.ndarray) -> np.ndarray:
    """Median (N,) of the good ones in each row (N, K); where there is none, the result is not finite.

    >>> masked_median(np.array([[5.0, 1.0, 9.0, 2.0]]), np.array([[True, True, False, True]]))
    array([2.])
    """
    ordered = np.sort(np.where(good, values, np.inf), axis=1)
    counts, rows = good.sum(axis=1), np.arange(len(values))
    low = ordered[rows, np.maximum(counts - 1, 0) // 2]
    high = ordered[rows, np.minimum(counts // 2, values.shape[1] - 1)]
    return (low + high) / 2


def non_maximum_suppressed(tracks: Sequence[Track]) -> list[Track]:
    """The tracks without those that lie on the face of another one that was found more often."""
    kept: list[Track] = []
    for track in sorted(tracks, key=lambda track: -track.hits):
        if all(iou(track.box, other.box) < MATCH_IOU for other in kept):
            kept.append(track)
    return sorted(kept, key=lambda track: track.id)


def between(one: Box, other: Box, share: float) -> Box:
    """The box that lies that share of the way from one to the other."""
    corner = (one.x + share * (other.x - one.x), one.y + share * (other.y - one.y))
    return Box(*corner, one.width + share * (other.width - one.width), one.height + share * (other.height - one.height))


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
    return patch / max(math.sqrt(np.vdot(patch, patch) / patch.size), 1.0)  # 0.7 us, numpy's std 9.6


def similarity(one: np.ndarray, other: np.ndarray) -> float:
    """Correlation of two patches, 1 for the same."""
    return float(np.vdot(one, other)) / one.size
