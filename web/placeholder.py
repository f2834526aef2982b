"""What stands in place of a camera's picture while there is none: plainly no camera's picture."""

from __future__ import annotations

import textwrap

import cv2

from overlay.draw import message_picture
from tell.status import StreamStatus


def placeholder(stream: str, status: StreamStatus | None, size: tuple[int, int], now_ns: int) -> bytes:
    """A JPEG of that (width, height), which says since when and why, and when it is tried again."""
    width, height = size
    lines = [stream, *explain(status, now_ns)]
    return cv2.imencode(".jpg", message_picture(lines, width, height))[1].tobytes()


def explain(status: StreamStatus | None, now_ns: int) -> list[str]:
    """Why there is no picture, in words."""
    if status is None:
        return ["removed"]
    if status.state == "away":
        lines = [f"away for {_seconds(now_ns - status.away_since_ns)}" if status.away_since_ns else "away"]
        if status.next_try_ns > now_ns:
            lines.append(f"next try in {_seconds(status.next_try_ns - now_ns)}")
        elif status.next_try_ns:
            lines.append("trying again now")
        return lines + ([textwrap.shorten(status.away, 80, placeholder=" …")] if status.away else [])
    words = {"opening": "being opened", "ended": "ended", "failed": "cannot be used", "paused": "paused"}
    return [words.get(status.state, "no picture comes")]


def _seconds(span_ns: int) -> str:
    """A span in words.

    >>> _seconds(2_400_000_000), _seconds(200_000_000_000)
    ('2 s', '3 min')
    """
    seconds = span_ns / 1e9
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} min"
