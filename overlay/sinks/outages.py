"""What a sink cannot write now: said once, told as an event, tried again, counted; the run goes on."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from configs.errors import InputError

if TYPE_CHECKING:
    from overlay.sinks.sink import Sink

log = logging.getLogger("overlay")

FIRST_S, LONGEST_S = 1.0, 30.0  # waits before a place that could not be written is tried again

Tell = Callable[[str, str, str], None]
"""(stream, rule, text): make an event of it."""


@dataclass(slots=True)
class _Outage:
    stream: str
    why: str
    delay_s: float
    next_try_s: float
    lost: int = 0
    said: bool = False  # by another process


class Outages:
    """The places (files, folders) of all sinks that cannot be written now.

    Of a camera nothing else would come of ending the run: its other sinks and the other cameras go on. Of a file that
    is processed a part would be missing from the result, which can be made again: that ends the run, at once where no
    camera is in it, else at its end. `streams` is how many the run has: one that has not come yet may be a camera.
    `counts["not_written"]` is how many frames, lines or pictures were lost so.
    """

    def __init__(self, tell: Tell, counts: dict[str, int], streams: int = 1) -> None:
        self._tell, self._counts = tell, counts
        self._now: dict[str, _Outage] = {}
        self._awaited = streams  # that have had no frame yet
        self._seen: set[str] = set()
        self._live: set[str] = set()
        self._had_camera = False
        self._unfinished = ""  # what of a file's result is missing
        counts["not_written"] = 0

    @property
    def is_live(self) -> bool:
        """Whether a camera is in the run, or was."""
        return self._had_camera

    def saw(self, stream: str, live: bool) -> None:
        """A frame of that stream came. Raises InputError where it is the last one, and none is a camera's after all."""
        if live:
            self._live.add(stream)
            self._had_camera = True
        if stream not in self._seen:
            self._seen.add(stream)
            self._awaited -= 1
            self._end_of_films()

    def _end_of_films(self) -> None:
        if self._unfinished and not self._had_camera and self._awaited <= 0:
            raise InputError(self._unfinished)

    def attempt(self, sink: Sink, stream: str, write: Callable[[], None]) -> None:
        """Let a sink write, unless its place failed a moment ago. Raises what it raises where the run must end.

        One that writes in threads sees to that itself (overlay/sinks/beside.py).
        """
        if sink.is_beside:
            write()
            return
        place = sink.place(stream)
        outage = self._now.get(place)
        if self.waits(place):
            self.lost(place)
            return
        try:
            write()
        except (OSError, InputError) as error:
            sink.let_go(stream)
            self.failed(place, stream, error)
        else:
            if outage:
                self.worked(place)

    def waits(self, place: str) -> bool:
        """Whether it failed a moment ago: it is not tried yet."""
        outage = self._now.get(place)
        return outage is not None and time.monotonic() < outage.next_try_s

    def told(self, stream: str, text: str) -> None:
        """Make an event of what is said of a recording."""
        self._tell(stream, "recording", text)

    def failed(
        self,
        place: str,
        stream: str,
        error: Exception,
        lost: int = 1,
        live: bool | None = None,
        said: bool = False,
    ) -> None:
        """It could not be written. Raises InputError where that ends the run. `live`: a camera's; None: see for it.

        `said`: the process that writes there has said so.
        """
        self._miss(place, error, stream in self._live if live is None else live)
        self.began(place, stream, str(error), lost, said)

    def _miss(self, place: str, error: Exception, live: bool) -> None:
        """Of a file a part of the result is missing."""
        if not live:
            why = str(error) if isinstance(error, InputError) else f"{place}: cannot be written ({error})"
            self._unfinished = self._unfinished or why
            self._end_of_films()

    def finish(self, sink: Sink, stream: str) -> None:
        """The stream has ended: let the sink finish what it has of it. Raises InputError where that ends the run."""
        place = sink.place(stream)
        outage = self._now.pop(place, None) if place != sink.place("") else None  # else others write there, too
        if outage is not None:
            self._say_unwritten(place, outage)
        try:
            sink.ended(stream)
        except (OSError, InputError) as error:
            log.warning("%s: could not be finished (%s)", place, error)
            sink.let_go(stream)
            self._miss(place, error, stream in self._live)

    def forget(self, stream: str) -> None:
        """All sinks have finished the stream: one of its name that comes later is a new one."""
        self._live.discard(stream)
        self._seen.discard(stream)

    def began(self, place: str, stream: str, why: str, lost: int = 0, said: bool = False) -> None:
        """It cannot be written for now: said, if it was not before."""
        outage = self._now.get(place)
        is_new = outage is None
        outage = outage or _Outage(stream, why, FIRST_S, 0.0, said=said)
        self._now[place] = outage
        outage.next_try_s = time.monotonic() + outage.delay_s
        outage.delay_s = min(2 * outage.delay_s, LONGEST_S)
        self.lost(place, lost)
        if is_new and not said:
            log.warning("%s: recording stopped (%s); the run goes on, it is tried again", stream or place, why)
        if is_new:
            self._tell(stream, "recording", f"recording stopped: {why}")

    def lost(self, place: str, count: int = 1) -> None:
        """So much could not be written there meanwhile."""
        self._counts["not_written"] += count
        if place in self._now:
            self._now[place].lost += count

    def worked(self, place: str) -> None:
        """It can be written again."""
        outage = self._now.pop(place, None)
        if outage is not None:
            text = f"records again, {outage.lost} lost meanwhile" if outage.lost else "records again"
            if not outage.said:
                log.info("%s: %s (%s)", outage.stream or place, text, place)
            self._tell(outage.stream, "recording", text)

    def close(self) -> None:
        """The run ends; raises InputError where the result of a file is not whole."""
        for place, outage in self._now.items():
            self._say_unwritten(place, outage)
        if self._unfinished:
            raise InputError(self._unfinished)

    @staticmethod
    def _say_unwritten(place: str, outage: _Outage) -> None:
        log.warning("%s: could not be written to the end, %d lost (%s)", place, outage.lost, outage.why)
