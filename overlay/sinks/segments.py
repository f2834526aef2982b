"""Records for as long as one likes: one video after the other, the oldest ones deleted in time."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass

import numpy as np

from events.event import unix_s
from overlay.recorder import Recorder
from overlay.sinks.sink import Sink
from overlay.target import Targets, free_name, writing
from recordings.being_written import BeingWritten
from recordings.retention import Keep, prune, stamped
from transport.frame import Frame


@dataclass(slots=True)
class _Recording:
    video: Recorder
    began_s: float
    mark: BeingWritten

    def close(self) -> None:
        with self.mark:
            self.video.close()

    def abandon(self) -> None:
        with self.mark:
            self.video.abandon()


class SegmentsSink(Sink):
    """`OUT-20261125T133000Z.mp4`, and the next one after `segment_s`; names tell the time of the first frame, UTC.

    A full disk stops it, as overlay/sinks/outages.py says; the next segment begins when there is room.
    """

    def __init__(self, targets: Targets, segment_s: float, keep: Keep, encoders: tuple[str, ...] = ("x264",)) -> None:
        self._targets, self._segment_s, self._keep, self._encoders = targets, segment_s, keep, encoders
        self._recordings: dict[str, _Recording] = {}

    def place(self, stream: str) -> str:
        return str(self._targets.of(stream))

    def show(self, frame: Frame, picture: np.ndarray, age_ms: float) -> None:
        now_s = unix_s(frame.captured_ns) if frame.media_ms is None else frame.media_ms / 1000
        recording = self._recordings.get(frame.stream)
        if recording is not None and not 0 <= now_s - recording.began_s < self._segment_s:
            self.ended(frame.stream)
            recording = None
        if recording is None:
            path = free_name(stamped(self._targets.of(frame.stream), unix_s(frame.captured_ns)))
            with writing(path):
                video = Recorder(path, picture, self._encoders)
                recording = self._recordings[frame.stream] = _Recording(video, now_s, BeingWritten(path))
                prune(self._targets.of(frame.stream), self._keep, path)
        with writing(recording.video.path):
            recording.video.add(picture, frame)

    def let_go(self, stream: str) -> None:
        recording = self._recordings.pop(stream, None)
        if recording is not None:
            recording.abandon()

    def ended(self, stream: str) -> None:
        if stream in self._recordings:
            self._recordings.pop(stream).close()

    def close(self) -> None:
        with ExitStack() as stack:
            for stream in list(self._recordings):
                stack.callback(self.ended, stream)
