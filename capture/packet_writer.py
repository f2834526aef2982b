"""Writes the packets of one stream into files, in a thread: a disk that is slow or full never holds up the decoder."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from recordings.packet_file import PacketFile, Parcel, Tracks, size_of
from recordings.retention import Keep, prune

HELD_BYTES = 32 << 20  # packets that wait for the disk: a minute of a camera of 4 Mbit/s
BESIDE = (".jsonl", ".vtt")  # what the overlay writes beside a segment goes with it
_WAIT_S = 0.5


@dataclass(slots=True, eq=False)
class Segment:
    """One file of a recording: where, of what, and by which clocks it begins. The writer fills in the rest.

    `parameters` are those of its pictures, which are of another size than the source's first ones if it is `resized`.
    `last` is the latest time of a picture in it so far, s by the clock of the source, as `began` is.
    `began_ns` and `last_ns` are when its first and its newest picture came, by time.monotonic_ns().
    `failed` says why it could not be written; `flows`: a part of it has been written.
    """

    path: Path
    tracks: Tracks
    began: Fraction
    began_unix_s: float
    parameters: bytes = b""
    resized: bool = False
    last: Fraction = Fraction(0)
    began_ns: int = 0
    last_ns: int = 0
    failed: str = ""
    flows: bool = False
    file: PacketFile | None = field(default=None, repr=False)


class PacketWriter:
    """A queue of packets and the thread that writes them. `recorded` and `lost` count packets.

    `template` is the name of the recordings before a time is added, `keep` how long they stay.
    """

    def __init__(self, template: Path, keep: Keep) -> None:
        self._template, self._keep = template, keep
        self._changed = threading.Condition()
        self._queue: deque[tuple[Segment, Parcel | None]] = deque()
        self._held_bytes = 0
        self._closed = False
        self.recorded = self.lost = 0
        self.error = ""  # why the newest segment that was tried could not be written
        self._thread = threading.Thread(target=self._run, name="packets", daemon=True)
        self._thread.start()

    def put(self, segment: Segment, parcel: Parcel, wait: bool) -> bool:
        """Have a packet written; False if too many wait already. `wait`: until there is room."""
        with self._changed:
            while self._held_bytes > HELD_BYTES and not self._closed:
                if not wait:
                    return False
                self._changed.wait(_WAIT_S)
            self._queue.append((segment, parcel))
            self._held_bytes += len(parcel.data)
            self._changed.notify_all()
        return True

    def end(self, segment: Segment) -> None:
        """Have a segment finished: no packet of it comes any more."""
        with self._changed:
            self._queue.append((segment, None))
            self._changed.notify_all()

    def close(self) -> None:
        """Wait until all is written."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self._thread.join()

    def _run(self) -> None:
        while True:
            with self._changed:
                while not self._queue and not self._closed:
                    self._changed.wait()
                if not self._queue:
                    return
                segment, parcel = self._queue.popleft()
                if parcel is not None:
                    self._held_bytes -= len(parcel.data)
                    self._changed.notify_all()
            self._write(segment, parcel)

    def _write(self, segment: Segment, parcel: Parcel | None) -> None:
        if segment.failed:
            self.lost += parcel is not None
            return
        try:
            if parcel is None:
                self._finish(segment)
                return
            file = segment.file or self._begin(segment, parcel)
            file.add(parcel)
        except OSError as error:
            self.lost += parcel is not None
            self._fail(segment, error)
            return
        self.recorded += 1
        if file.flows and not segment.flows:
            segment.flows, self.error = True, ""

    def _begin(self, segment: Segment, first: Parcel) -> PacketFile:
        tracks, parameters = segment.tracks, segment.parameters
        size = size_of(tracks.codec, parameters, first.data) if segment.resized else None
        file = PacketFile(segment.path, tracks, segment.began, segment.began_unix_s, parameters, size)
        segment.file = file
        prune(self._template, self._keep, segment.path, BESIDE)
        return file

    def _finish(self, segment: Segment) -> None:
        if segment.file is not None:
            segment.file.close()
            segment.file, segment.flows, self.error = None, True, ""

    def _fail(self, segment: Segment, error: OSError) -> None:
        segment.failed = self.error = f"{segment.path}: cannot be written ({error.strerror or error})"
        if segment.file is not None:
            segment.file.abandon()
            segment.file = None
