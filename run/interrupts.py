"""The signals that end a run."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def interrupts(stop: Callable[[], None]) -> Iterator[None]:
    """Call `stop` at each of SIGNALS while this holds, then do as before. Main thread only.

    A SIGHUP that is ignored stays so: that is what `nohup` is for. An ignored SIGINT is heard: a shell without job
    control ignores it for what it starts in the background, and who sends it there (`kill -INT`) wants the run to end.
    """

    def interrupt(number: int, frame: FrameType | None) -> None:
        stop()

    heard = [number for number in SIGNALS if (number, signal.getsignal(number)) != (signal.SIGHUP, signal.SIG_IGN)]
    signal.pthread_sigmask(
        signal.SIG_UNBLOCK, heard
    )  # some that start a run have them blocked; stages would inherit it
    before = {number: signal.signal(number, interrupt) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
