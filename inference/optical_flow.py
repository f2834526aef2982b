"""Where faces of one picture are in the next one, by optical flow.

Motion is the median flow of points inside the face (Kalal, Mikolajczyk and Matas, "Forward-backward error", 2010):
pyramidal Lucas-Kanade there and back again, points that do not come back are left out.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from transport.frame import Box

GRID = 5  # points a side that are followed in each face
FOLLOWED_SHARE = 0.6  # of the box, around its middle: beyond it is background, which stays behind
SMALLEST_POINTS = 8  # of the 25 that must agree, else the face is lost
MOST_ERROR = 0.06  # forward-backward error allowed, as a share of the face's width
SMALLEST_PX = 6  # of a followed face: below it the points are too near to each other to tell anything
LK_WINDOW = (9, 9)  # with 11 a fifth slower, and no nearer to the truth of the demo
LK_LEVELS = 2
REACH_PX = 40  # around the points: half a window on the smallest level (18 px), and where they may go


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
    # each picked by `take`, which needs a quarter of the time of an index array: (N, 2, 100, 2)
    pairs, pair_steps, good_pairs = (values.take(_PAIRS, axis=1) for values in (points, steps, good))
    apart_before = pairs[:, 0] - pairs[:, 1]
    apart_now = apart_before + pair_steps[:, 0] - pair_steps[:, 1]
    scales = masked_median(lengths(apart_now) / lengths(apart_before), good_pairs[:, 0] & good_pairs[:, 1])
    sizes = rectangles[:, 2:] * scales.clip(0.9, 1.1)[:, None]
    corners = rectangles[:, :2] + shifts - (sizes - rectangles[:, 2:]) / 2
    followed = good.sum(axis=1) >= SMALLEST_POINTS
    followed &= spread <= 0.1 * widths  # else they go their own ways: an edge, or something in front of the face
    followed &= sizes[:, 0] >= SMALLEST_PX
    boxes = np.concatenate([corners, sizes], axis=1).tolist()
    return [Box(*box) if is_followed else None for box, is_followed in zip(boxes, followed.tolist(), strict=True)]


def lengths(vectors: np.ndarray) -> np.ndarray:
    """The lengths (...) of vectors (..., 2)."""
    return np.hypot(vectors[..., 0], vectors[..., 1])


def masked_median(values: np.ndarray, good: np.ndarray) -> np.ndarray:
    """Median (N,) of the good ones in each row (N, K); where there is none, the result is not finite.

    >>> masked_median(np.array([[5.0, 1.0, 9.0, 2.0]]), np.array([[True, True, False, True]]))
    array([2.])
    """
    ordered = np.where(good, values, np.inf)
    ordered.sort(axis=1)
    counts, rows = good.sum(axis=1), np.arange(len(values))
    low = ordered[rows, np.maximum(counts - 1, 0) // 2]
    high = ordered[rows, np.minimum(counts // 2, values.shape[1] - 1)]
    return (low + high) / 2
