"""Spans of time as people write them."""

from __future__ import annotations

import re

from configs.errors import InputError

_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|)")
_MS = {"": 1, "ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def milliseconds(text: str) -> float:
    """A span such as 150ms, 0.5s, 10m, 2h, 7d or 150 (ms). Raises InputError for anything else.

    >>> milliseconds("150ms"), milliseconds("0.5 s"), milliseconds("80")
    (150.0, 500.0, 80.0)
    """
    found = _SPAN.fullmatch(text.strip())
    if not found or not float(found[1]):
        raise InputError(f"{text!r} is no span of time: write it as 150ms, 0.5s, 10m, 2h or 7d")
    return float(found[1]) * _MS[found[2]]
