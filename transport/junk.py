"""What comes over a link and is no message of this run: it is ignored and said, not for each one."""

from __future__ import annotations

import time
from collections.abc import Callable

from configs.plural import counted
from transport.codec import WireError

SAY_EVERY_S = 10.0


class Junk:
    """Says the first of what was ignored, and what came since then at the next one after ten seconds.

    A program that floods a socket had filled the log with a line for each message: 2,000 in a second.

    >>> now_s = 0.0
    >>> junk = Junk(print, clock_s=lambda: now_s)
    >>> for now_s in (0.0, 1.0, 2.0, 12.0):
    ...     junk(WireError(f"at {now_s} s"))
    ignored a message: at 0.0 s
    ignored a message: at 12.0 s; 2 others since the last one that was named
    """

    def __init__(self, say: Callable[[str], None], clock_s: Callable[[], float] = time.monotonic) -> None:
        self._say, self._clock_s = say, clock_s
        self._said_s: float | None = None
        self._others = 0

    def __call__(self, error: WireError) -> None:
        now_s = self._clock_s()
        if self._said_s is not None and now_s - self._said_s < SAY_EVERY_S:
            self._others += 1
            return
        since = f"; {counted(self._others, 'other')} since the last one that was named" if self._others else ""
        self._say(f"ignored a message: {error}{since}")
        self._said_s, self._others = now_s, 0
