"""What a sink is: a place where shown frames go."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from events.event import Event
from overlay.drawn import Drawn
from overlay.sinks.outages import Outages
from transport.frame import Frame

_NOTHING = np.empty((0, 0, 3), np.uint8)


class Sink(ABC):
    """The base of all sinks. A sink opens what it needs when its first frame comes.

    `show` and `happened` raise OSError or InputError while they cannot write; overlay/sinks/outages.py says what
    becomes of it then.
    `wants_pixels` is False for a sink that never looks at the picture: with only such sinks nothing is drawn.
    `wants_frames` is False for one that takes events only: `show` is not called.
    `wants_events` is True for one that takes events: without such a sink nothing watches for them.
    """

    wants_frames = True
    wants_pixels = True
    wants_events = False
    is_beside = False  # True for one that gives another its frames in threads

    outages: Outages
    """Of all sinks of the stage, which sets it. For sinks that write in a thread; what is raised goes there anyway."""

    def place(self, stream: str) -> str:
        """Where the frames of a stream go, in words: streams of the same place can be written or not together."""
        return f"{type(self).__name__} {stream}"

    def let_go(self, stream: str) -> None:  # noqa: B027 - most sinks hold nothing
        """What was begun of a stream could not be written: close it; the next frame begins anew."""

    def is_ending(self, stream: str) -> bool:
        """The stream has ended, or was removed. Whether what waits of it is still being written: it is asked again
        soon, and `ended` is called when that is over.
        """
        return False

    def ended(self, stream: str) -> None:  # noqa: B027
        """The stream has ended, or was removed: finish what was begun of it and forget it. May raise as `show`.

        May be called twice, and for a stream that had no frame; one of the same name that comes later is a new one.
        """

    def take(self, frame: Frame, drawn: Drawn | None, age_ms: float) -> None:
        """Take one frame, drawn if any sink wants pixels; what works beside the frames has it drawn there."""
        self.show(frame, drawn.image if drawn is not None and self.wants_pixels else _NOTHING, age_ms)

    @abstractmethod
    def show(self, frame: Frame, picture: np.ndarray, age_ms: float) -> None:
        """Take one frame; `picture` is its image with everything drawn on it, read-only, as all sinks share it.

        It may be kept; the frame's pixels may not, which are in a slot that another frame gets. Of a sink that does not
        want pixels `picture` is empty.
        """

    def happened(self, event: Event, picture: bytes) -> None:  # noqa: B027 - most sinks take pictures only
        """Take an event; `picture` is the JPEG of the face it is about, empty where there is none."""

    def idle(self, silent_s: dict[str, float]) -> None:  # noqa: B027 - most sinks have nothing to do then
        """Called about twice a second. `silent_s` has the live streams that are away, and for how long, s."""

    def close(self) -> None:  # noqa: B027
        """Finish what was begun. Called once, also after `show` has raised."""
