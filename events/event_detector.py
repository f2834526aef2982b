"""Watches the frames of all streams and tells what happened in them."""

from __future__ import annotations

import time
from collections.abc import Sequence

import cv2
from msgspec.structs import replace

from configs.labels import NONE, Labels
from events.decisions import Decision, Decisions
from events.event import Event, Ids, unix_s, utc
from events.rule_checker import RuleChecker
from events.rules import Rule
from transport.frame import Box, Face, Frame, time_ms
from transport.pixels import Pixels

PICTURE_PX = 160  # side of a face's picture
MARGIN = 0.35  # of the box, on each side: a mask is judged with the head around it
JPEG_QUALITY = 85


class EventDetector:
    """Frames in, events out, each with its picture as JPEG (empty: it is about no single face)."""

    def __init__(self, rules: Sequence[Rule] = (), labels: Labels = NONE) -> None:
        self._rules, self._labels = rules, labels
        self._checkers: dict[str, list[tuple[Rule, RuleChecker]]] = {}
        self._decisions: dict[str, Decisions] = {}
        self._ids = Ids()

    def see(self, frame: Frame) -> list[tuple[Event, bytes]]:
        """What happened with this frame, as it may be shown: faces are hidden where they must be."""
        events = []
        for decision in self._decisions.setdefault(frame.stream, Decisions()).see(frame, time_ms(frame)):
            events.append((self._decided(frame, decision), face_picture(frame.pixels, decision.face.box)))
        for rule, checker in self._checkers_of(frame.stream):
            for met in checker.see(frame, time_ms(frame)):
                event = self._event(frame, rule.name, met.text, met.face, met.held_s)
                events.append((event, face_picture(frame.pixels, met.face.box) if met.face else b""))
        return events

    def told(self, stream: str, rule: str, text: str) -> Event:
        """An event about something that happened to the pipeline itself."""
        now_s = time.time()
        event = Event(id=self._ids.next(now_s), time=utc(now_s), rule=rule, stream=stream, text=text)
        return self._labelled(event)

    def _labelled(self, event: Event) -> Event:
        """The event, with the run that saw it."""
        labels = self._labels
        return replace(event, site=labels.site, host=labels.host, shard=labels.shard, run=labels.run)

    def forget(self, stream: str) -> None:
        """The stream has ended: a later one of its name has other people."""
        self._checkers.pop(stream, None)
        self._decisions.pop(stream, None)

    def _checkers_of(self, stream: str) -> list[tuple[Rule, RuleChecker]]:
        """The rules that are for this stream, each with what it remembers of it."""
        if stream not in self._checkers:
            fitting = [rule for rule in self._rules if not rule.streams or stream in rule.streams]
            self._checkers[stream] = [(rule, RuleChecker(rule)) for rule in fitting]
        return self._checkers[stream]

    def _decided(self, frame: Frame, decision: Decision) -> Event:
        assert decision.face.prediction is not None
        label = words(decision.face.prediction.label)
        text = f"{label}, before: {words(decision.before)}" if decision.before else label
        return self._event(frame, "decision", text, decision.face, decision.held_s, decision.before)

    def _event(
        self, frame: Frame, rule: str, text: str, face: Face | None, held_s: float, before: str | None = None
    ) -> Event:
        said = face.prediction if face else None
        event = Event(
            id=self._ids.next(time.time()),
            time=utc(unix_s(frame.captured_ns)),
            rule=rule,
            stream=frame.stream,
            text=text,
            track=face.track if face else None,
            label=said.label if said else None,
            before=before,
            confidence=round(said.confidence, 4) if said else None,
            duration_s=round(held_s, 3),
        )
        return self._labelled(event)


def words(label: str) -> str:
    """A label as people say it.

    >>> words("no_mask")
    'no mask'
    """
    return label.replace("_", " ")


def face_picture(pixels: Pixels, box: Box) -> bytes:
    """A face of the picture with some of what is around it, as JPEG; empty if it is outside."""
    side = max(box.width, box.height) * (1 + 2 * MARGIN)
    left, top = box.x + (box.width - side) / 2, box.y + (box.height - side) / 2
    x0, y0 = max(0, round(left)), max(0, round(top))
    x1, y1 = min(pixels.width, round(left + side)), min(pixels.height, round(top + side))
    if x1 <= x0 or y1 <= y0:
        return b""
    crop = pixels.crop(x0, y0, x1, y1)
    scale = min(1.0, PICTURE_PX / max(crop.shape[:2]))
    size = max(1, round(crop.shape[1] * scale)), max(1, round(crop.shape[0] * scale))
    small = cv2.resize(crop, size, interpolation=cv2.INTER_AREA) if scale < 1 else crop
    return cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
