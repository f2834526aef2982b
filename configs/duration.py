"""Spans of time as people write them."""

from __future__ import annotations

import re

from configs.errors import InputError

_SPAN = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|)")


def milliseconds(text: str) -> float:
    """A span such as 150ms, 0.5s or 150 (ms). Raises InputError for anything else.

    >>> milliseconds("150ms"), milliseconds("0.5 s"), milliseconds("80")
    (150.0, 500.0, 80.0)
    """
    found = _SPAN.fullmatch(text.strip())
    if not found or not float(found[1]):
        raise InputError(f"{text!r} is no span of time: write it as 150ms or 0.5s")
    return float(found[1]) * (1000 if found[2] == "s" else 1)
