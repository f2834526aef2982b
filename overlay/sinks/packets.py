"""The overlay's part of recording packets: capture writes the videos, this what is known of their pictures."""

from __future__ import annotations

import contextlib
import queue
from pathlib import Path

import numpy as np

from configs.errors import InputError
from events.event import Event
from overlay.sinks.packet_clips import PacketClips
from overlay.sinks.sink import Sink
from overlay.sinks.tracks import Tracks
from overlay.target import writing
from recordings.retention import Keep
from transport.frame import Frame


class PacketsSink(Sink):
    """`FOLDER/STREAM-20261125T133000Z.mp4` is written by the stream's capture. It tells with each picture where that
    is, or why it is in no file; that a recording stopped is said there, and becomes an event here.

    Beside each video its `.jsonl` and `.vtt` (overlay/sinks/tracks.py) are written, and clips of events are cut.
    """

    wants_pixels = False
    wants_events = True

    def __init__(self, folder: str, clips: bool, before_s: float, after_s: float, keep: Keep) -> None:
        self._folder = Path(folder)
        self._clips = PacketClips(self._folder, before_s, after_s, keep, self._clip_made) if clips else None
        self._done: queue.SimpleQueue[tuple[str, bool, OSError | None]] = queue.SimpleQueue()
        self._tracks: dict[str, tuple[Path, Tracks]] = {}
        self._last: dict[str, tuple[int, float]] = {}  # when the last picture was captured, ns, and where it is, ms
        self._out: set[str] = set()  # streams that are not recorded now

    def place(self, stream: str) -> str:
        return str(self._folder / f"{stream}.vtt")

    def show(self, frame: Frame, picture: np.ndarray, age_ms: float) -> None:
        self._tell_of_clips()
        recorded = frame.recorded
        if recorded is None:
            return
        self._tell_of_video(frame)
        if not recorded.file:
            self._last.pop(frame.stream, None)
            return
        self._last[frame.stream] = frame.captured_ns, recorded.ms
        if self._clips:
            self._clips.show(frame)
        path = self._folder / recorded.file
        with writing(path.with_suffix(".vtt")):
            known, tracks = self._tracks.get(frame.stream, (None, None))
            if known != path or tracks is None:
                self._finish(frame.stream)
                tracks = Tracks(path, frame)
                self._tracks[frame.stream] = path, tracks
            tracks.show(frame, recorded.ms)

    def happened(self, event: Event, picture: bytes) -> None:
        if event.stream not in self._last or event.rule == "recording":
            return
        captured_ns, ms = self._last[event.stream]
        if self._clips:
            self._clips.happened(event.stream, captured_ns)
        path, tracks = self._tracks.get(event.stream, (None, None))
        if path is not None and tracks is not None:
            with writing(path.with_suffix(".jsonl")):
                tracks.happened(event, ms)

    def let_go(self, stream: str) -> None:
        with contextlib.suppress(OSError):
            self._finish(stream)

    def _finish(self, stream: str) -> None:
        if stream in self._tracks:
            self._tracks.pop(stream)[1].close()

    def ended(self, stream: str) -> None:
        self._out.discard(stream)
        self._last.pop(stream, None)
        if self._clips:
            self._clips.ended(stream)
        with writing(Path(self.place(stream))):
            self._finish(stream)

    def close(self) -> None:
        for stream in list(self._tracks):
            self.ended(stream)
        if self._clips:
            self._clips.close()
        self._tell_of_clips()

    def _tell_of_video(self, frame: Frame) -> None:
        """What became of the video, which another process writes and has said so."""
        assert frame.recorded is not None
        place, why = str(self._folder / f"{frame.stream}.mp4"), frame.recorded.why
        if why and frame.stream not in self._out:
            self._out.add(frame.stream)
            self.outages.failed(place, frame.stream, InputError(why), live=frame.live, said=True)
        elif why:
            self.outages.lost(place)
        elif frame.stream in self._out and frame.recorded.file:
            self._out.discard(frame.stream)
            self.outages.worked(place)

    def _clip_made(self, stream: str, live: bool, error: OSError | None) -> None:
        """In the thread that cuts: it is told in the stage's own."""
        self._done.put((stream, live, error))

    def _tell_of_clips(self) -> None:
        while not self._done.empty():
            stream, live, error = self._done.get()
            place = str(self._folder / "clips" / stream)
            if error is None:
                self.outages.worked(place)
            else:
                self.outages.failed(place, stream, error, live=live)
