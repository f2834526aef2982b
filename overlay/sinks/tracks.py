"""What is known of the pictures of a recording, in two files beside it: one for programs, one for players."""

from __future__ import annotations

from pathlib import Path

import msgspec

from events.event import Event
from events.event_detector import words
from overlay.sinks.jsonl import face_record
from overlay.sinks.lines import Lines
from recordings.being_written import hold
from transport.frame import Frame

EVENT_MS = 3000.0  # an event is shown for so long


class Tracks:
    """The `.jsonl` and the `.vtt` of one video, of which `path` is the name. Times are ms from its first picture.

    The lines have the boxes of each picture with faces, and of the first one without; and each event. The cues have
    who is seen, and are written when that changes. Raises OSError where they cannot be written.
    """

    def __init__(self, path: Path, frame: Frame) -> None:
        self._lines = Lines(path.with_suffix(".jsonl"))
        self._cues = Lines(path.with_suffix(".vtt"))
        for lines in (self._lines, self._cues):
            hold(lines.fileno())
        if path.with_suffix(".vtt").stat().st_size == 0:
            self._write({"video": path.name, "stream": frame.stream, "width": frame.width, "height": frame.height})
            self._cues.write(b"WEBVTT\n\n")
        self._had_faces = False
        self._text, self._since_ms, self._now_ms = "", 0.0, 0.0
        self._events: list[tuple[float, str]] = []  # until when each is shown, and its text

    def show(self, frame: Frame, ms: float) -> None:
        """A picture and where it is in the video."""
        if frame.faces or self._had_faces:
            self._write({"ms": ms, "seq": frame.seq, "faces": [face_record(face) for face in frame.faces]})
        self._had_faces = bool(frame.faces)
        self._events = [event for event in self._events if ms < event[0]]
        named = sorted(
            (-1 if one.track is None else one.track, one.prediction.label) for one in frame.faces if one.prediction
        )
        seen = [f"#{track} {words(label)}" if track >= 0 else words(label) for track, label in named]
        self._say("\n".join([*seen, *(text for _, text in self._events)]), ms)

    def happened(self, event: Event, ms: float) -> None:
        """An event in the picture that was shown last."""
        self._write({"ms": ms, "event": event})
        self._events.append((ms + EVENT_MS, f"{event.rule}: {event.text}".replace("\n", " ")))

    def close(self) -> None:
        """Write the last cue."""
        try:
            self._say("", self._now_ms)
        finally:
            self._lines.close()
            self._cues.close()

    def _say(self, text: str, ms: float) -> None:
        """From now on this is seen."""
        self._now_ms = ms
        if text == self._text:
            return
        if self._text and ms > self._since_ms:
            cue = f"{cue_time(self._since_ms)} --> {cue_time(ms)}\n{_escaped(self._text)}\n\n"
            self._cues.write(cue.encode())
        self._text, self._since_ms = text, ms

    def _write(self, record: dict[str, object]) -> None:
        self._lines.write(msgspec.json.encode(record) + b"\n")


def cue_time(ms: float) -> str:
    """A time as WebVTT has it.

    >>> cue_time(3_723_004.4)
    '01:02:03.004'
    """
    seconds, rest = divmod(round(ms), 1000)
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}.{rest:03}"


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
