"""How wide the pictures of cameras are searched: as wide as there is time for."""

from __future__ import annotations

import itertools
from bisect import bisect_left

WIDTHS_PX = (320, 480, 640, 960, 1280)
SHARE = 0.5  # of the threads' time that searches may take, each stream searched as seldom as is allowed
ROOM = 0.9  # of that, before a wider one is tried: else two widths would take turns


class Widths:
    """Chooses how wide the next search is. Where a box is busy a search takes longer, and the width goes down.

    `threads` search at once, each stream at least each `late_s` seconds.
    """

    def __init__(self, threads: int, late_s: float) -> None:
        self._most_s = SHARE * threads * late_s
        self._usual_s: list[float | None] = [None] * len(WIDTHS_PX)  # how long a search takes
        # What the next width takes more; one that was not tried as much as it is wider: haar took 87 ms at 640 px and
        # 43 at 320 (125 photographs).
        self._growth = [after / before for before, after in itertools.pairwise(WIDTHS_PX)]
        self._at = 0

    def took(self, width_px: int, seconds: float, counts: float) -> None:
        """A search of a picture of that width took so long; `counts` is its share beside those before."""
        at = min(bisect_left(WIDTHS_PX, width_px), len(WIDTHS_PX) - 1)
        usual_s = self._usual_s[at]
        new_s = seconds if usual_s is None else usual_s + counts * (seconds - usual_s)
        self._usual_s[at] = new_s
        if at and (below_s := self._usual_s[at - 1]):
            most = (WIDTHS_PX[at] / WIDTHS_PX[at - 1]) ** 2  # more only where the box was idle for one of them
            self._growth[at - 1] = min(new_s / below_s, most)

    def choose(self, streams: int, widest_px: int) -> int:
        """The width for the next search, of a picture that is `widest_px` wide, while so many streams are searched."""
        usual_s = self._usual_s[self._at]
        if usual_s is not None:
            all_s = max(1, streams) * usual_s
            wider = self._at + 1 < len(WIDTHS_PX) and WIDTHS_PX[self._at] < widest_px
            if self._at and all_s > self._most_s:
                self._at -= 1
            elif wider and all_s * self._growth[self._at] <= ROOM * self._most_s:
                self._at += 1
        return min(WIDTHS_PX[self._at], widest_px)
