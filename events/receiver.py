"""What a receiver of events is: something beyond this machine that takes them, one by one or several at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from events.event import Event

Waiting = tuple[Event, bytes | None]
"""An event that is to be delivered, and the JPEG of the face it is about."""


class Receiver(Protocol):
    """Takes events in their order."""

    def check(self) -> None:
        """Look, before the run begins, whether it takes events. Sends none.

        Raises InputError where it answers that it never will as it was named (a wrong user, table, stream), and OSError
        while it cannot be reached.
        """

    def send(self, events: Sequence[Waiting]) -> list[bool]:
        """What became of the first of them, in their order; of one at least. True: taken; False: it never will.

        Raises NotTaken while it answers but takes nothing, and any other OSError while it cannot be reached.
        """

    def close(self) -> None: ...


class SingleReceiver(Protocol):
    """Takes events one after the other."""

    def send(self, event: Event, picture: bytes | None) -> bool:
        """True: taken; False: it will never take this one. Raises as a Receiver."""

    def close(self) -> None: ...


class OneByOne:
    """A receiver that takes one event after the other, as one that is offered several; it is not looked at before."""

    def __init__(self, receiver: SingleReceiver) -> None:
        self._receiver = receiver

    def check(self) -> None:
        """Nothing: an MQTT broker and a webhook tell only when they are sent something."""

    def send(self, events: Sequence[Waiting]) -> list[bool]:
        return [self._receiver.send(*events[0])]

    def close(self) -> None:
        self._receiver.close()


class NotTaken(OSError):
    """A receiver answered, but did not take the event. `after_s`: when it asked to be tried again; 0: it did not."""

    def __init__(self, reason: str, after_s: float = 0.0) -> None:
        super().__init__(reason)
        self.after_s = after_s
