"""The overlay stage: draws what is known about each frame, gives it to the sinks, and ends its way."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial

from configs.plural import counted
from configs.redact import redact
from configs.schema import OverlayConfig
from events.event import Event
from events.rules import Rule, read_rules
from events.watch import Watch
from overlay.draw import annotate, corner_text
from overlay.privacy import Veil
from overlay.sinks import default_sinks, make_sinks
from overlay.sinks.outages import Outages
from overlay.sinks.sink import Sink
from transport.frame import Ended, Frame
from transport.stage import Batches, StageContext

log = logging.getLogger("overlay")

AWAY_AFTER_S = 2.0  # a live stream that is silent for longer is shown as away
LOOK_EVERY_S = 0.4  # how often silent streams are looked for; less than the 0.5 s between empty batches
RATE_OVER_S = 2.0  # the frame rate in the corner is that of these last seconds


def overlay(config: OverlayConfig, batches: Batches, context: StageContext) -> Iterator[Ended]:
    """Show every frame; a live one that is older than `config.max_age_ms` ends as `stale` instead."""
    with ExitStack() as stack:
        rules = read_rules(config.rules) if config.rules else ()
        sinks = make_sinks(config, context)
        show = Show(sinks, config.corner, rules, context.counts, context.streams)
        stack.callback(show.outages.close)
        for sink in sorted(sinks, key=lambda sink: not sink.wants_events):  # the last to close: others tell them things
            stack.callback(sink.close)
        context.facts["sinks"] = ", ".join(map(redact, config.sinks or default_sinks()))
        log.info("showing in %s", context.facts["sinks"])
        veil = None if config.privacy == "none" else Veil(config.privacy)
        silence = Silence()
        shown = stale = 0
        for batch in batches:
            for frame in batch:
                age_ms = (time.monotonic_ns() - frame.captured_ns) / 1e6
                if 0 < config.max_age_ms < age_ms and frame.live:
                    stale += 1
                    yield Ended(frame, "stale")
                    continue
                show(veil.hidden(frame) if veil else frame)
                silence.heard(frame, time.monotonic())
                shown += 1
                yield Ended(frame, "shown", round(age_ms * 1e6))
            if silence.due(time.monotonic()):
                silent_s = silence.silent_s(time.monotonic())
                for sink in sinks:
                    sink.idle(silent_s)
    log.info("%s shown, %d stale", counted(shown, "frame"), stale)


class Show:
    """Draws frames, gives them to the sinks, and tells those that take events what happened in them."""

    def __init__(
        self, sinks: list[Sink], corner: bool, rules: Sequence[Rule], counts: dict[str, int], streams: int
    ) -> None:
        self._sinks, self._corner = sinks, corner
        self._watch = Watch(rules) if any(sink.wants_events for sink in sinks) else None
        self._rates: dict[str, Rate] = {}
        self.outages = Outages(self._tell, counts, streams)
        for sink in sinks:
            sink.outages = self.outages

    def _tell(self, stream: str, rule: str, text: str) -> None:
        """An event about a sink."""
        if self._watch:
            self._happened(self._watch.told(stream, rule, text), b"")

    def _happened(self, event: Event, face: bytes) -> None:
        for sink in self._sinks:
            if sink.wants_events:
                self.outages.attempt(sink, event.stream, partial(sink.happened, event, face))

    def __call__(self, frame: Frame) -> None:
        age_ms = (time.monotonic_ns() - frame.captured_ns) / 1e6
        fps = self._rates.setdefault(frame.stream, Rate()).count(time.monotonic())
        corner = corner_text(frame.stream, fps, age_ms) if self._corner else ""
        drawn = any(sink.wants_pixels for sink in self._sinks)
        picture = annotate(frame.image, frame.faces, corner) if drawn else frame.image
        self.outages.saw(frame.stream, frame.live)
        for sink in self._sinks:
            if sink.wants_frames:
                self.outages.attempt(sink, frame.stream, partial(sink.show, frame, picture, age_ms))
        for event, face in self._watch.see(frame, frame.image) if self._watch and not frame.corrupt else ():
            self._happened(event, face)


class Rate:
    """Frames per second over the last seconds.

    >>> rate = Rate()
    >>> [rate.count(now_s) for now_s in (0.0, 0.5, 1.0, 9.0)]
    [0.0, 2.0, 2.0, 0.0]
    """

    def __init__(self) -> None:
        self._times_s: deque[float] = deque()

    def count(self, now_s: float) -> float:
        """Count a frame; the answer is the rate."""
        self._times_s.append(now_s)
        while now_s - self._times_s[0] > RATE_OVER_S:
            self._times_s.popleft()
        span_s = now_s - self._times_s[0]
        return (len(self._times_s) - 1) / span_s if span_s > 0 else 0.0


class Silence:
    """Which live streams have gone silent, and when it is time to look again."""

    def __init__(self) -> None:
        self._heard_s: dict[str, float] = {}
        self._looked_s = 0.0

    def heard(self, frame: Frame, now_s: float) -> None:
        if frame.live:
            self._heard_s[frame.stream] = now_s

    def due(self, now_s: float) -> bool:
        """True about twice a second, however fast the batches come."""
        if now_s - self._looked_s < LOOK_EVERY_S:
            return False
        self._looked_s = now_s
        return True

    def silent_s(self, now_s: float) -> dict[str, float]:
        """The streams that are away, and for how long, s."""
        silent = {stream: now_s - heard_s for stream, heard_s in self._heard_s.items()}
        return {stream: seconds for stream, seconds in silent.items() if seconds > AWAY_AFTER_S}
