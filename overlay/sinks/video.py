"""Records the shown frames, one video for each stream."""

from __future__ import annotations

import logging
from contextlib import ExitStack

import numpy as np

from overlay.recorder import Recorder
from overlay.sinks.sink import Sink
from overlay.target import Targets, writing
from transport.frame import Frame

log = logging.getLogger("overlay")


class VideoSink(Sink):
    """A video from a stream's first frame to its end, finished there. Nothing that this run recorded is written over
    or read again: after a death of the stage or a full disk, and where the stream's name comes back, it goes on in a
    new part, `OUT.2.mp4`.
    """

    def __init__(self, targets: Targets, encoders: tuple[str, ...] = ("x264",)) -> None:
        self._targets, self._encoders = targets, encoders
        self._recorders: dict[str, Recorder] = {}

    def place(self, stream: str) -> str:
        return str(self._targets.of(stream))

    def show(self, frame: Frame, picture: np.ndarray, age_ms: float) -> None:
        recorder = self._recorders.get(frame.stream) or self._begun(frame.stream, picture)
        with writing(recorder.path):
            recorder.add(picture, frame)

    def _begun(self, stream: str, picture: np.ndarray) -> Recorder:
        path = self._targets.begin(stream, [recorder.path for recorder in list(self._recorders.values())])
        with writing(path):
            recorder = self._recorders[stream] = Recorder(path, picture, self._encoders)
        if path != self._targets.of(stream):
            log.info("%s: goes on in %s, what was recorded stays as it is", self._targets.of(stream), path.name)
        return recorder

    def let_go(self, stream: str) -> None:
        if stream in self._recorders:
            self._recorders.pop(stream).abandon()

    def ended(self, stream: str) -> None:
        if stream in self._recorders:
            self._recorders.pop(stream).close()

    def close(self) -> None:
        with ExitStack() as stack:
            for stream in list(self._recorders):
                stack.callback(self.ended, stream)
