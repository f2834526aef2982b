"""What a receiver of events is: something beyond this machine that takes them one by one."""

from __future__ import annotations

from typing import Protocol

from events.event import Event


class Receiver(Protocol):
    """Takes events, one after the other."""

    def send(self, event: Event, picture: bytes | None) -> bool:
        """True: taken; False: it will never take this one.

        Raises NotTaken while it answers but takes nothing, and any other OSError while it cannot be reached.
        """

    def close(self) -> None: ...


class NotTaken(OSError):
    """A receiver answered, but did not take the event. `after_s`: when it asked to be tried again; 0: it did not."""

    def __init__(self, reason: str, after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.after_s = after_s
