"""The newest JPEG of each stream that somebody looks at; a placeholder while there is none."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Iterator, Set
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec

from tell.status import StreamStatus
from web.placeholder import placeholder

STALE_S = 2.0  # an older picture is not shown as if it were one of now
PLACEHOLDER_S = 1.0  # between two placeholders: they tell the seconds


@dataclass(frozen=True, slots=True)
class Picture:
    """A JPEG, and what is known about it. `is_real` is False for a placeholder."""

    number: int
    jpeg: bytes
    seq: int = -1
    captured_ns: int = 0
    age_ms: float = 0.0
    is_real: bool = True
    made_s: float = 0.0


class _About(msgspec.Struct):
    seq: int
    captured_ns: int
    age_ms: float
    width: int
    height: int


class Pictures:
    """`subscribe` and `unsubscribe` are told which streams somebody looks at; `status` knows how a stream is."""

    def __init__(
        self,
        subscribe: Callable[[str], None],
        unsubscribe: Callable[[str], None],
        status: Callable[[str], StreamStatus | None],
    ) -> None:
        self._subscribe, self._unsubscribe, self._status = subscribe, unsubscribe, status
        self._lookers: Counter[str] = Counter()
        self._newest: dict[str, Picture] = {}
        self._sizes: dict[str, tuple[int, int]] = {}
        self._changed: dict[str, asyncio.Event] = {}
        self._number = 0
        self.sent = 0  # pictures given to viewers

    def came(self, stream: str, about: bytes, jpeg: bytes) -> None:
        """Take in what the overlay sent."""
        if stream not in self._lookers:  # it was under way when the last viewer went
            return
        known = msgspec.json.decode(about, type=_About)
        self._sizes[stream] = known.width, known.height
        self._put(stream, jpeg, seq=known.seq, captured_ns=known.captured_ns, age_ms=known.age_ms)

    def keep(self, streams: Set[str]) -> None:
        """Forget the sizes of all other streams: they were removed."""
        for gone in self._sizes.keys() - streams:
            del self._sizes[gone]

    def _put(self, stream: str, jpeg: bytes, **about: float) -> None:
        self._number += 1
        self._newest[stream] = Picture(self._number, jpeg, made_s=time.monotonic(), **about)  # type: ignore[arg-type]
        changed = self._changed.pop(stream, None)
        if changed is not None:
            changed.set()

    @contextmanager
    def looking(self, stream: str) -> Iterator[None]:
        """While this holds, pictures of the stream are asked for."""
        self._lookers[stream] += 1
        if self._lookers[stream] == 1:
            self._subscribe(stream)
        try:
            yield
        finally:
            self._lookers[stream] -= 1
            if not self._lookers[stream]:
                del self._lookers[stream]
                self._unsubscribe(stream)
                self._newest.pop(stream, None)
                self._changed.pop(stream, None)

    async def next(self, stream: str, after: int = 0) -> Picture:
        """The newest picture, once it is another than number `after`; while the stream gives none, a placeholder."""
        while True:
            newest = self._newest.get(stream)
            if newest is not None and newest.number != after and time.monotonic() - newest.made_s < STALE_S:
                self.sent += 1
                return newest
            changed = self._changed.setdefault(stream, asyncio.Event())
            silent_s = time.monotonic() - newest.made_s if newest else STALE_S
            status = self._status(stream)
            if newest is not None and status is not None and status.state == "flowing" and not status.live:
                silent_s = 0.0  # a file whose pictures take long: the one that is shown is the newest there is
            try:
                async with asyncio.timeout(PLACEHOLDER_S if silent_s >= STALE_S - PLACEHOLDER_S else STALE_S):
                    await changed.wait()
            except TimeoutError:
                self._make_placeholder(stream)

    def _make_placeholder(self, stream: str) -> None:
        newest, status = self._newest.get(stream), self._status(stream)
        if newest is not None and newest.is_real:
            slow = status is not None and status.state == "flowing" and not status.live
            if slow or time.monotonic() - newest.made_s < STALE_S:
                return
        if newest is not None and not newest.is_real and time.monotonic() - newest.made_s < 0.9 * PLACEHOLDER_S:
            return
        jpeg = placeholder(stream, status, self._sizes.get(stream, (640, 360)), time.monotonic_ns())
        self._put(stream, jpeg, is_real=False)
