"""Where a face has been in the last second, and so where it may be after it was hidden."""

from __future__ import annotations

import math
from collections import deque

from transport.frame import Box

EVERY_MS = 60.0  # between two places that are kept
KEPT_MS = 1000.0  # behind the newest
UNCERTAIN_MS = 250.0  # the newest places are not believed: what comes in front of a face pulls its box along
SPARSE_MS = 125.0  # but those that are so far apart: searches found them, and 250 ms may be all that is known
FASTEST = 4.0  # heights of a face in a second; who seems to be faster was not followed well
REACH = 0.4  # heights of the face from where it is expected; at once
REACH_PER_S = 1.5  # and with each second more
LONGER = 1.3  # of the way that is expected: who is hidden may have walked faster


class Course:
    """Places of one face. Times are of the pictures, ms; px of the pictures that are followed."""

    def __init__(self) -> None:
        self._places: deque[tuple[float, float, float, float]] = deque()  # ms, middle, height
        self._found_ms = -math.inf

    def add(self, at_ms: float, box: Box, found: bool = False) -> None:
        """Take in where it is now: it was followed there, or a search has found it there."""
        places = self._places
        if found:
            self._found_ms = at_ms
        if places and 0 <= at_ms - places[-1][0] < EVERY_MS:
            return
        places.append((at_ms, box.x + box.width / 2, box.y + box.height / 2, box.height))
        while min(at_ms, self._found_ms) - places[0][0] > KEPT_MS:
            places.popleft()

    def miss(self, at_ms: float, box: Box) -> float:
        """How far from where it may be a box is at a later time: 0 where it is expected, above 1 out of reach.

        It may have stopped anywhere on the way that it would have walked, or have turned round there.
        """
        certain = self._certain()
        then_ms, x, y, height = certain[-1]
        speed_x, speed_y = self._speed(certain)
        later_s = max(0.0, at_ms - then_ms) / 1000
        way_x, way_y = LONGER * later_s * speed_x, LONGER * later_s * speed_y
        apart_x, apart_y = box.x + box.width / 2 - x, box.y + box.height / 2 - y
        length = way_x**2 + way_y**2
        share = min(1.0, max(0.0, (apart_x * way_x + apart_y * way_y) / length)) if length else 0.0
        apart = math.hypot(apart_x - share * way_x, apart_y - share * way_y)
        return apart / (height * (REACH + REACH_PER_S * later_s))

    def apart(self, box: Box) -> float:
        """How many heights a box is from where it was."""
        _, x, y, height = self._certain()[-1]
        return math.hypot(box.x + box.width / 2 - x, box.y + box.height / 2 - y) / height

    @property
    def height(self) -> float:
        """Of the face before it was hidden; its width is less already where something comes in front from a side."""
        return self._certain()[-1][3]

    def _certain(self) -> list[tuple[float, float, float, float]]:
        """The places without the newest, where they are not sparse, and without those since it was last found."""
        until_ms = min(self._places[-1][0] - (0.0 if self._is_sparse else UNCERTAIN_MS), self._found_ms)
        return [one for one in self._places if one[0] <= until_ms] or [self._places[0]]

    @property
    def _is_sparse(self) -> bool:
        """Whether pictures come rarely: at 5 a second who walked by fast had no speed, and was new each time."""
        return len(self._places) > 1 and self._places[-1][0] - self._places[-2][0] >= SPARSE_MS

    def _speed(self, certain: list[tuple[float, float, float, float]]) -> tuple[float, float]:
        """px/s."""
        (first_ms, x0, y0, _), (last_ms, x1, y1, height) = certain[0], certain[-1]
        if last_ms - first_ms < EVERY_MS:
            return 0.0, 0.0
        speed_x, speed_y = (1000 * (x1 - x0) / (last_ms - first_ms), 1000 * (y1 - y0) / (last_ms - first_ms))
        slower = min(1.0, FASTEST * height / max(math.hypot(speed_x, speed_y), 1e-9))
        return slower * speed_x, slower * speed_y
