"""The overlay stage: draws what is known about each frame, gives it to the sinks, and ends its way."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial

from configs.labels import NONE, Labels
from configs.plural import counted
from configs.redact import redact
from configs.schema import OverlayConfig
from events.event import Event
from events.event_detector import EventDetector
from events.rules import Rule, read_rules
from overlay.away import AwayMonitor
from overlay.draw import corner_text
from overlay.drawn import Drawn
from overlay.frame_rate import FrameRate
from overlay.privacy import PrivacyMask
from overlay.sinks import default_sinks, make_sinks
from overlay.sinks.outages import Outages
from overlay.sinks.sink import Sink
from overlay.tally import Tally
from transport.frame import Ended, Frame
from transport.stage import Batches, StageContext

log = logging.getLogger("overlay")


def overlay(config: OverlayConfig, batches: Batches, context: StageContext) -> Iterator[Ended]:
    """Show every frame; a live one that is older than `config.max_age_ms` ends as `stale` instead."""
    with ExitStack() as stack:
        rules = read_rules(config.rules) if config.rules else ()
        sinks = make_sinks(config, context)
        show = Show(sinks, config.corner, rules, context.counts, context.streams, context.labels)
        stack.callback(show.outages.close)
        for sink in sorted(sinks, key=lambda sink: not sink.wants_events):  # the last to close: others tell them things
            stack.callback(sink.close)
        context.facts["sinks"] = ", ".join(map(redact, config.sinks or default_sinks()))
        log.info("showing in %s", context.facts["sinks"])
        privacy = None if config.privacy == "none" else PrivacyMask(config.privacy)
        file = context.folder / f"persons-{context.process}.json" if context.process else None
        away, tally = AwayMonitor(), Tally(context.counts, context.counted, file)
        shown = stale = 0
        for batch in batches:
            for stream in context.ended:
                if show.is_ending(stream):
                    context.finishing.add(stream)
                    continue
                show.ended(stream)
                away.forget(stream)
                tally.forget(stream)
                if privacy:
                    privacy.forget(stream)
            for frame in batch:
                age_ms = (time.monotonic_ns() - frame.captured_ns) / 1e6
                if 0 < config.max_age_ms < age_ms and frame.live:
                    stale += 1
                    yield Ended(frame, "stale")
                    continue
                show(privacy.hidden(frame) if privacy else frame)
                away.heard(frame, time.monotonic())
                tally.see(frame)
                shown += 1
                yield Ended(frame, "shown", round(age_ms * 1e6))
            if away.due(time.monotonic()):
                silent_s = away.silent_s(time.monotonic())
                for sink in sinks:
                    sink.idle(silent_s)
    log.info("%s shown, %d stale", counted(shown, "frame"), stale)


class Show:
    """Draws frames, gives them to the sinks, and tells those that take events what happened in them."""

    def __init__(
        self,
        sinks: list[Sink],
        corner: bool,
        rules: Sequence[Rule],
        counts: dict[str, int],
        streams: int,
        labels: Labels = NONE,
    ) -> None:
        self._sinks, self._corner = sinks, corner
        self._detector = EventDetector(rules, labels) if any(sink.wants_events for sink in sinks) else None
        self._rates: dict[str, FrameRate] = {}
        self.outages = Outages(self._tell, counts, streams)
        for sink in sinks:
            sink.outages = self.outages

    def _tell(self, stream: str, rule: str, text: str) -> None:
        """An event about a sink."""
        if self._detector:
            self._happened(self._detector.told(stream, rule, text), b"")

    def _happened(self, event: Event, face: bytes) -> None:
        for sink in self._sinks:
            if sink.wants_events:
                self.outages.attempt(sink, event.stream, partial(sink.happened, event, face))

    def __call__(self, frame: Frame) -> None:
        age_ms = (time.monotonic_ns() - frame.captured_ns) / 1e6
        fps = self._rates.setdefault(frame.stream, FrameRate()).count(time.monotonic())
        drawn = None
        if any(sink.wants_pixels for sink in self._sinks):
            drawn = Drawn(frame, corner_text(frame.stream, fps, age_ms) if self._corner else "")
        self.outages.saw(frame.stream, frame.live)
        for sink in self._sinks:
            if sink.wants_frames:
                self.outages.attempt(sink, frame.stream, partial(sink.take, frame, drawn, age_ms))
        for event, face in self._detector.see(frame) if self._detector and not frame.corrupt else ():
            self._happened(event, face)

    def is_ending(self, stream: str) -> bool:
        """The stream has ended. Whether sinks still write what waits of it: no other stream is to wait for that."""
        ending = [sink for sink in self._sinks if sink.is_ending(stream)]  # all of them are to begin
        return bool(ending)

    def ended(self, stream: str) -> None:
        """The stream has ended: the sinks finish what they have of it, and nothing of it is remembered."""
        for sink in sorted(self._sinks, key=lambda sink: sink.wants_events):  # those last: others tell them things
            self.outages.finish(sink, stream)
        self.outages.forget(stream)
        self._rates.pop(stream, None)
        if self._detector:
            self._detector.forget(stream)
