"""What a source gives: one picture after the other, or the reason why there is none."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol, Self

import numpy as np

from transport.pixels import Pixels

if TYPE_CHECKING:
    from capture.packet_copy import PacketCopy
    from capture.still_scene import StillScene
    from transport.frame import Recorded

Room = Callable[..., np.ndarray]
"""(height, width) -> (height, width, 3) uint8 to be filled: a slot of shared memory. Asked again, it gives the same.

(height, width, colours) is asked by sources that give planes: an array for these (transport/pixels.py).
"""


class Picture(NamedTuple):
    """`image` is (H, W, 3) uint8 BGR, the array that the room gave; or the planes in it, if the source gives these.

    `captured_ns` is when the picture was taken, or is due, by `time.monotonic_ns()`. Where that lies ahead, the capture
    stage holds the picture back until then, and hears meanwhile that the run stops.
    `corrupt`: the decoder marks it as damaged. `bookmark`: what the source needs to give this picture again without
    all before it; empty where it says nothing. `recorded` is where it is in the recording of the source's packets.
    """

    image: np.ndarray | Pixels
    captured_ns: int
    media_ms: float | None = None
    name: str = ""
    corrupt: bool = False
    bookmark: bytes = b""
    recorded: Recorded | None = None


class Place(NamedTuple):
    """Where a source goes on, after `pictures` of it were read in an earlier life of this process, or before a loss.

    `bookmarks` came with some of them, as (number of the picture, bookmark), the newest first. `copy` takes the packets
    that are read from there on, where they are recorded.
    """

    pictures: int = 0
    bookmarks: tuple[tuple[int, bytes], ...] = ()
    copy: PacketCopy | None = None


BEGINNING = Place()


class SourceLost(Exception):
    """A live source went away; its text says why. Open it again after a while."""


class NotYet(Exception):
    """There is no picture so far. The source lives: read again. So a slow camera does not look like a hanging one."""


class Undecodable(Exception):
    """One picture of a source is broken. The next `read` goes on behind it."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name = name
        self.reason = reason


class Source(Protocol):
    """One camera, film or folder. Use it from one thread at a time; closes itself as a context manager.

    `live`: the newest picture is the one that matters; otherwise every picture counts.
    `fps`: the nominal rate in pictures/s; 0 where there is none, as in a folder of images.
    `planes`: pictures may be given as the decoder's planes; who sets that reads them as Pixels.
    `still`: which pictures go on while nothing moves; None: all. A source that does not ask it gives all.
    """

    live: bool
    fps: float
    planes: bool = False
    still: StillScene | None = None

    @property
    def decodes(self) -> str:
        """What decodes its pictures, as the option `decode` names it; empty where FFmpeg does not."""
        return ""

    def read(self, room: Room) -> Picture | None:
        """The next picture, written into the room; None at the end. Raises SourceLost, NotYet or Undecodable."""

    def skipped(self) -> int:
        """How many pictures have come since this was last asked that are not to be looked at (`fps`)."""
        return 0

    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
