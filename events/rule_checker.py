"""Checks one rule in one stream: whether it is met now, by whom, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

from configs.plural import counted
from events.rules import Rectangle, Rule
from share.told import is_mask
from transport.frame import UNSURE, Face, Frame

GONE_MS = 500.0  # a person who is not found for so long is no longer there; shorter gaps are the detector's
FORGOTTEN_MS = 5000.0  # a track that was not seen for so long does not come back: detect forgets it sooner


@dataclass(slots=True)
class _Seen:
    face: Face
    seen_ms: float
    since_ms: float  # with this label
    middle: tuple[float, float]
    reported: str = ""  # the label that was told


@dataclass(frozen=True, slots=True)
class Met:
    """A rule that is met now; `face` is of the person it is about, None: of all."""

    face: Face | None
    held_s: float
    text: str


class RuleChecker:
    """One rule in one stream. Times are of the pictures, ms."""

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._persons: dict[int, _Seen] = {}
        self._hidden: dict[int, _Seen] = {}  # those who are not there now, and may come back with the same number
        self._since_ms: float | None = None
        self._silent_until_ms = float("-inf")

    def see(self, frame: Frame, now_ms: float) -> list[Met]:
        """Take in a frame; how the rule is met with it."""
        crossed = self._take_in(frame, now_ms)
        if now_ms < self._silent_until_ms <= now_ms + self._rule.cool_down_ms:
            return []
        if self._rule.kind == "label":
            met = self._labelled(now_ms)
        elif self._rule.kind == "line":
            met = crossed
        else:
            met = self._together(now_ms)
        if met:
            self._silent_until_ms = now_ms + self._rule.cool_down_ms
        return met[:1]

    def _take_in(self, frame: Frame, now_ms: float) -> list[Met]:
        """Remember who is there; who crossed the line with this frame."""
        height, width = frame.height, frame.width
        crossed = []
        for face in frame.faces:
            if face.track is None:
                continue
            box = face.box
            middle = (box.x + box.width / 2) / width, (box.y + box.height / 2) / height
            before = self._persons.get(face.track) or self._hidden.pop(face.track, None)
            if self._rule.zone and not _inside(middle, self._rule.zone):
                self._persons.pop(face.track, None)
                continue
            self._persons[face.track] = _seen(face, now_ms, middle, before)
            if before is not None and self._rule.line:
                way = _crosses(before.middle, middle, self._rule.line)
                if way:
                    crossed.append(Met(face, 0.0, f"{self._rule.name}: to the {way}"))
        gone = [track for track, seen in self._persons.items() if not 0 <= now_ms - seen.seen_ms <= GONE_MS]
        self._hidden |= {track: self._persons.pop(track) for track in gone}
        self._hidden = {
            track: seen for track, seen in self._hidden.items() if 0 <= now_ms - seen.seen_ms <= FORGOTTEN_MS
        }
        return crossed

    def _labelled(self, now_ms: float) -> list[Met]:
        for seen in self._persons.values():
            held_ms, label = now_ms - seen.since_ms, _label(seen.face)
            if label == self._rule.label and held_ms >= self._rule.held_ms and seen.reported != label:
                seen.reported = label
                return [Met(seen.face, held_ms / 1000, f"{self._rule.name}: for {held_ms / 1000:.1f} s")]
        return []

    def _together(self, now_ms: float) -> list[Met]:
        text = self._exceeded()
        if text is None:
            self._since_ms = None
            return []
        if self._since_ms is None or self._since_ms > now_ms:
            self._since_ms = now_ms
        held_ms = now_ms - self._since_ms
        return [Met(None, held_ms / 1000, f"{self._rule.name}: {text}")] if held_ms >= self._rule.held_ms else []

    def _exceeded(self) -> str | None:
        """What exceeds the rule's bound, in words."""
        limit = self._rule.more_than or 0.0
        if self._rule.kind == "people":
            return counted(len(self._persons), "person") if len(self._persons) > limit else None
        decided = [
            label for label in (_label(seen.face) for seen in self._persons.values()) if label not in ("", UNSURE)
        ]
        if len(decided) < self._rule.at_least:
            return None
        without = sum(not is_mask(label) for label in decided) / len(decided)
        return f"{without:.0%} of {len(decided)} without a mask as it should be" if without > limit else None


def _seen(face: Face, now_ms: float, middle: tuple[float, float], before: _Seen | None) -> _Seen:
    """A person as it is now. What was told of it stays told until it is sure to have another label."""
    if before is None:
        return _Seen(face, now_ms, now_ms, middle)
    label = _label(face)
    held = label == _label(before.face) and now_ms - before.seen_ms <= GONE_MS
    reported = before.reported if label in ("", UNSURE, before.reported) else ""
    return _Seen(face, now_ms, before.since_ms if held else now_ms, middle, reported)


def _label(face: Face) -> str:
    return face.prediction.label if face.prediction else ""


def _inside(point: tuple[float, float], zone: Rectangle) -> bool:
    return zone[0] <= point[0] <= zone[2] and zone[1] <= point[1] <= zone[3]


def _side(point: tuple[float, float], line: Rectangle) -> float:
    """Greater than 0 on the right hand of one who looks from the line's first end to its second, y pointing down."""
    x0, y0, x1, y1 = line
    return (x1 - x0) * (point[1] - y0) - (y1 - y0) * (point[0] - x0)


def _crosses(before: tuple[float, float], now: tuple[float, float], line: Rectangle) -> str:
    """`right` or `left`, as one sees it who looks along the line; empty: it was not crossed.

    >>> _crosses((0.4, 0.5), (0.6, 0.5), (0.5, 1.0, 0.5, 0.0)), _crosses((0.4, 0.5), (0.45, 0.5), (0.5, 1.0, 0.5, 0.0))
    ('right', '')
    """
    was, side = _side(before, line), _side(now, line)
    way = (*before, *now)
    between = _side(line[:2], way) * _side(line[2:], way) <= 0  # on the line's length, not beyond its ends
    if (was > 0) != (side > 0) and between:
        return "right" if side > 0 else "left"
    return ""
