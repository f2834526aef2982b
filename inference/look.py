"""What a followed face looks like, so little that it is known again for two seconds, among the few who are near.

It is no identification: a picture of 24 rows with the head around the face, in memory while the face is followed and a
short time longer (inference/hidden.py), and told to nobody.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from transport.frame import Box

LOOK_PX = 24  # rows and columns of a look; 16 rows are the height of the face
AROUND = 1.5  # heights of the face that a look shows: hair, neck, and what is beside
TONES_COUNT = 5.0  # how much other colours make two faces unlike
PART_COUNTS = 0.06  # less, where only a part of the face is alike: the rest may be covered
KEPT = 4  # looks of a face
FREE = 2  # of them are kept however they look: the first shows half of a face that comes in
THE_SAME = 0.7  # correlation of a look that takes the place of another one


class Part(NamedTuple):
    """Rows and columns of a look that are sought in those of another one; their colours are compared in bands."""

    rows: slice
    columns: slice
    there: tuple[slice, slice]
    bands: int
    counts: float


ALL = slice(0, LOOK_PX)
WHOLE = Part(slice(3, 21), slice(5, 19), (ALL, ALL), 3, 0.0)
PARTS = (
    WHOLE,
    Part(slice(3, 21), slice(5, 13), (ALL, slice(0, 18)), 3, PART_COUNTS),  # the left half: something covers the other
    Part(slice(3, 21), slice(11, 19), (ALL, slice(6, 24)), 3, PART_COUNTS),
    Part(slice(3, 13), slice(5, 19), (slice(0, 16), ALL), 2, PART_COUNTS),  # hair and eyes: of a mask put on or off
)


class Look(NamedTuple):
    """A face in the middle of (24, 24): `grey` to compare its structure, `tones` (24, 24, 2) its colours; float32."""

    grey: np.ndarray
    tones: np.ndarray


class Looks:
    """A few looks of one face that differ: turned, with a mask, with glasses.

    One that is like another takes its place; else the one goes that was not seen for longest. A third one that is like
    none counts when it is seen again: so a head that passes in front of a face just before it is hidden becomes none.
    """

    def __init__(self) -> None:
        self._looks: list[Look] = []
        self._before: list[Look] = []
        self._unproven: Look | None = None

    def __bool__(self) -> bool:
        return bool(self._looks)

    def add(self, look: Look) -> None:
        """Take in the newest look."""
        same = [place for place, one in enumerate(self._looks) if in_place(one, look) >= THE_SAME]
        self._before = self._looks
        seen_again = self._unproven is not None and in_place(self._unproven, look) >= THE_SAME
        if len(self._looks) >= FREE and not same and not seen_again:
            self._unproven = look
            return
        kept = [one for place, one in enumerate(self._looks) if place not in same[:1]]
        self._looks, self._unproven = [*kept, look][-KEPT:], None

    def doubt_newest(self) -> None:
        """Forget the newest look: what it shows was in front of the face."""
        self._looks = self._before or self._looks

    @property
    def are_some(self) -> bool:
        """Whether there are as many as are kept however they look."""
        return len(self._looks) >= FREE

    def similarity(self, look: Look) -> float:
        """To the one that is most like it."""
        looks = [*self._looks, *(one for one in self._before if all(one is not other for other in self._looks))]
        return max(similarity(one, look) for one in looks)

    def sure_similarity(self, look: Look) -> float:
        """To the one that is most like it, without the newest: what comes in front of a face is in that already."""
        return max(similarity(one, look) for one in self._before or self._looks)


def look_at(bgr: np.ndarray, box: Box) -> Look:
    """The look of a face in a picture (H, W, 3) uint8."""
    small = around(bgr, box).astype(np.float32)
    blue, green, red = cv2.split(small)
    sums = blue + green + red + 30  # so that what is black has no colour
    return Look(cv2.cvtColor(small, cv2.COLOR_BGR2GRAY), cv2.merge([(red - green) / sums, (green - blue) / sums]))


def around(bgr: np.ndarray, box: Box) -> np.ndarray:
    """The face and what is beside it, (24, 24, 3), by its height: its width is less where something covers a side.

    What is outside the picture is like its edge.
    """
    rows, columns = bgr.shape[:2]
    side = AROUND * box.height
    x, y = box.x + (box.width - side) / 2, box.y + (box.height - side) / 2
    x0, y0, x1, y1 = round(x), round(y), round(x + side), round(y + side)
    inner = bgr[max(0, y0) : max(min(rows, y1), 1), max(0, x0) : max(min(columns, x1), 1)]
    if not inner.size:
        return np.zeros((LOOK_PX, LOOK_PX, 3), np.uint8)
    sides = (max(0, -y0), max(0, y1 - rows), max(0, -x0), max(0, x1 - columns))
    if any(sides):
        inner = cv2.copyMakeBorder(inner, *sides, cv2.BORDER_REPLICATE)
    return cv2.resize(inner, (LOOK_PX, LOOK_PX), interpolation=cv2.INTER_AREA)


def similarity(one: Look, other: Look) -> float:
    """How alike two looks are; 1 for the same, little above 0 for two persons."""
    return max(part_similarity(part, *pair) for part in PARTS for pair in ((one, other), (other, one)))


def part_similarity(part: Part, one: Look, other: Look) -> float:
    """Of a part of a look with the place in another one that it is most like: structure, less what colours differ."""
    found = cv2.matchTemplate(other.grey[part.there], one.grey[part.rows, part.columns], cv2.TM_CCOEFF_NORMED)
    _, structure, _, (x, y) = cv2.minMaxLoc(found)
    tones = one.tones[part.rows, part.columns]
    rows, columns = tones.shape[:2]
    bands = (tones - other.tones[part.there][y : y + rows, x : x + columns]).reshape(part.bands, -1, 2).mean(axis=1)
    return structure - TONES_COUNT * float(np.abs(bands).mean()) - part.counts


def in_place(one: Look, other: Look) -> float:
    """The correlation of two faces as they lie in their looks."""
    face, other_face = (look.grey[WHOLE.rows, WHOLE.columns] for look in (one, other))
    return float(cv2.matchTemplate(face, other_face, cv2.TM_CCOEFF_NORMED)[0, 0])
