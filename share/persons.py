"""Persons by label, as the overlays of a run count them beside all else that they count."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

PREFIX = "persons_"  # of the names of these counts


def persons_in(counts: Iterable[dict[str, int]]) -> dict[str, int]:
    """Persons by label, of what all overlays of a run have counted.

    >>> persons_in([{"persons_mask": 2, "events_kept": 9}, {"persons_mask": 1, "persons_no_mask": 0}])
    {'mask': 3}
    """
    found: Counter[str] = Counter()
    for each in counts:
        for name, count in each.items():
            if name.startswith(PREFIX):
                found[name.removeprefix(PREFIX)] += count
    return {label: count for label, count in sorted(found.items()) if count > 0}
