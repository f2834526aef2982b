"""New faces that wait a moment for their number: whether they are somebody who was hidden is not clear yet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from transport.frame import Box


class Waiting(NamedTuple):
    """A face that was found first at a time, ms, and waits so long, ms, for its number."""

    box: Box
    since_ms: float
    waits_ms: float

    def is_over(self, now_ms: float) -> bool:
        """Whether it has waited so long; it has where a film began anew, too."""
        return not 0 <= now_ms - self.since_ms < self.waits_ms


def waiting(before: Sequence[Waiting], box: Box, now_ms: float, waits_ms: float) -> Waiting:
    """A face that was found now and is to wait so long; who waits already goes on, and no shorter than was said first.

    A face that is covered again is like nobody for a moment. It got a new number then.
    """
    same = [one for one in before if near(box, one.box)]
    since_ms = min((one.since_ms for one in same), default=now_ms)
    return Waiting(box, since_ms, max([waits_ms, *(one.waits_ms for one in same)]))


def near(box: Box, other: Box) -> bool:
    """Whether a box may be that of the same face a search later."""
    apart = math.hypot(box.x + box.width / 2 - other.x - other.width / 2, box.y - other.y)
    return apart <= max(box.height, other.height)
