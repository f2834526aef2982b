"""Writes what is known about each frame as one line of JSON: the results for another program to read."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import numpy as np

from overlay.sinks.lines import Lines
from overlay.sinks.sink import Sink
from overlay.target import target, writing
from transport.frame import Face, Frame
from transport.stage import EVER, RunStart


class JsonlSink(Sink):
    """One line per shown frame, in order, complete in the file as soon as the frame is shown.

    `corrupt` is there, and true, where the decoder marks the picture as damaged: then nothing was looked for in it.
    `faces` is empty when no face was found, which is not the same as no mask; `label` is null for a face that
    was not classified yet, `unsure` for one whose answers do not agree. `box` is [x, y, width, height] in pixels of
    the frame. `track` is the number of a person, null where nothing is followed; `label_age_ms` tells how
    old the newest answer is that the label rests on. What was written since `began` is the run's own, and
    stays: of an earlier life of the stage, or of a stream of that name before, whose `seq` began at 0, too.
    `shared`: other processes of the run write lines of other streams into the file.
    """

    wants_pixels = False

    def __init__(self, template: str, began: RunStart = EVER, shared: bool = False) -> None:
        self._template, self._began, self._shared = template, began, shared
        self._files: dict[Path, Lines] = {}

    def place(self, stream: str) -> str:
        return str(target(self._template, stream))

    def show(self, frame: Frame, picture: np.ndarray, age_ms: float) -> None:
        path = target(self._template, frame.stream)
        with writing(path):
            if path not in self._files:
                self._files[path] = Lines(path, self._began, self._shared)
            self._files[path].write(line(frame, age_ms))

    def ended(self, stream: str) -> None:
        path = target(self._template, stream)
        if path in self._files and "{stream}" in self._template:  # else it is that of all streams
            self._files.pop(path).close()

    def close(self) -> None:
        for file in self._files.values():
            file.close()


def line(frame: Frame, age_ms: float) -> bytes:
    """The frame as a line of JSON, its end of line included."""
    captured_s = time.time() - (time.monotonic_ns() - frame.captured_ns) / 1e9
    captured = datetime.fromtimestamp(captured_s, UTC).isoformat(timespec="milliseconds")
    record = {
        "stream": frame.stream,
        "seq": frame.seq,
        "name": frame.name,
        "captured": captured.replace("+00:00", "Z"),
        "media_ms": frame.media_ms,
        "age_ms": round(age_ms, 3),
        "width": frame.width,
        "height": frame.height,
        "faces": [face_record(face) for face in frame.faces],
    }
    if frame.corrupt:
        record["corrupt"] = True
    return msgspec.json.encode(record) + b"\n"


def face_record(face: Face) -> dict[str, object]:
    """What is known of a face, as the JSON lines have it."""
    prediction = face.prediction
    return {
        "track": face.track,
        "box": face.box,
        "label": prediction.label if prediction else None,
        "label_age_ms": round(prediction.age_ms, 3) if prediction else None,
        "confidence": prediction.confidence if prediction else None,
        "probabilities": prediction.probabilities if prediction else None,
    }
