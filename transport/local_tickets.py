"""Tickets of a stream whose pictures stay in this process: each has memory of its own, and there is no end of them."""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from collections.abc import Callable

import numpy as np

from transport.frame import Frame, Recorded
from transport.pixels import Colours, Pixels, bytes_of, shape_of
from transport.tickets import Stopping, Tickets

_POLL_S = 0.1


class LocalTickets:
    """What capture is given in place of `Tickets` where no other process takes the frames.

    Whoever keeps a frame keeps its picture. `dropped` counts pictures by the reason for which no frame came of them.
    """

    def __init__(self, stream: str) -> None:
        self.stream = stream
        self.captured = 0
        self.bookmarks: tuple[tuple[int, bytes], ...] = ()
        self.paused = False
        self.still_ns = 0
        self.dropped: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._stopped = False

    def stop(self) -> None:
        """No more pictures are wanted."""
        self._stopped = True
        self.wake()

    def wake(self) -> None:
        """Have who waits look again."""
        with self._changed:
            self._changed.notify_all()

    def stopping(self) -> bool:
        """Whether no more pictures are wanted."""
        return self._stopped

    def oldest_ms(self) -> float | None:
        """See Tickets: nobody knows here when a frame is drawn."""
        return None

    def mark(self, bookmark: bytes) -> None:
        """See Tickets: there is no next life that could read on."""

    def passed_by(self, count: int) -> None:
        """Note down pictures that came and were not to be looked at."""
        self.dropped["skipped"] += count

    def paced(self, fps: float) -> None:
        """See Tickets."""

    def state(self, name: str) -> None:
        """See Tickets: what there is to tell is in the log."""

    def room(self, height: int, width: int, colours: Colours | None = None) -> np.ndarray:
        """Memory for a picture, as Pool.room gives it."""
        flat = np.empty(bytes_of(height, width, colours), np.uint8)
        shape = shape_of(height, width, colours)
        return flat[: math.prod(shape)].reshape(shape)

    def number(
        self,
        image: np.ndarray | Pixels,
        captured_ns: int,
        media_ms: float | None = None,
        name: str = "",
        live: bool = False,
        corrupt: bool = False,
        recorded: Recorded | None = None,
    ) -> Frame:
        """The picture as a frame."""
        if self.stopping():
            raise Stopping
        pixels = image if isinstance(image, Pixels) else Pixels(image)
        pixels.array.setflags(write=False)
        self.captured += 1
        return Frame(
            self.stream, self.captured - 1, captured_ns, pixels,
            media_ms=media_ms, name=name, live=live, corrupt=corrupt, recorded=recorded,
        )  # fmt: skip

    def fly(self, frame: Frame) -> Frame:
        """See Tickets."""
        return frame

    def drop(self, frame: Frame, outcome: str) -> None:
        """End a numbered frame that was not sent."""
        self.dropped[outcome] += 1

    def skip(self, outcome: str) -> None:
        """Count a picture that gave no frame (undecodable)."""
        self.captured += 1
        self.dropped[outcome] += 1

    def wait(self, until: Callable[[], bool], patience_s: float = math.inf, lazily: bool = False) -> bool:
        """Wait until something holds; False if out of patience. Raises Stopping."""
        deadline = time.monotonic() + patience_s
        with self._changed:
            while not until():
                if self._stopped:
                    raise Stopping
                left_s = deadline - time.monotonic()
                if left_s < 0:
                    return False
                self._changed.wait(min(_POLL_S, left_s))
        return True

    def has_free(self) -> bool:
        """Whether a frame may be sent: always."""
        return True


AnyTickets = Tickets | LocalTickets
"""What capture is given."""
