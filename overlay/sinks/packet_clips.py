"""Clips of events, cut out of the recorded packets: nothing is encoded, the pictures are those of the camera."""

from __future__ import annotations

import logging
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from events.event import unix_s
from overlay.sinks.clips import LONGEST
from overlay.target import free_name
from recordings.packet_file import SOUND, VIDEO, PacketFile, Parcel, Tracks
from recordings.retention import Keep, prune, stamped
from transport.cores import give_way
from transport.frame import Frame, time_ms

if TYPE_CHECKING:
    from av import Packet
    from av.container import InputContainer

log = logging.getLogger("overlay")

# A segment's last second is written with the next one, and the disk may be slow. At the end all is written already.
PATIENCE_S, PATIENCE_AT_THE_END_S = 15.0, 1.0
_LOOK_S = 0.5
_STEP_S = Fraction(1, 25)  # taken for the length of a picture where a packet does not tell it


@dataclass(frozen=True, slots=True)
class Moment:
    """A picture: its time by the clock of its stream, ms, and where it is in which recording."""

    time_ms: float
    file: str
    ms: float


@dataclass(slots=True)
class _Stream:
    before: deque[Moment] = field(default_factory=deque)
    clip: list[Moment] | None = None
    began_unix_s: float = 0.0
    until_ms: float = 0.0
    live: bool = False


@dataclass(frozen=True, slots=True)
class _Job:
    stream: str
    live: bool
    began_unix_s: float
    spans: list[tuple[Path, float, float]]  # video, and from where to where, ms


class PacketClips:
    """`FOLDER/clips/STREAM-20261125T133000Z.mp4` for each event, or for several that follow each other closely.

    A clip begins at the key frame before its time. A thread cuts it when what belongs to it is on the disk. `made` is
    called there with the stream, whether that is a camera's, and what went wrong, if anything.
    """

    def __init__(
        self,
        folder: Path,
        before_s: float,
        after_s: float,
        keep: Keep,
        made: Callable[[str, bool, OSError | None], None],
    ) -> None:
        self._folder, self._before_ms, self._after_ms, self._keep = folder, 1000 * before_s, 1000 * after_s, keep
        self._made, self._patience_s = made, PATIENCE_S
        self._streams: dict[str, _Stream] = {}
        self._waiting: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="clips", daemon=True)
        self._thread.start()

    def show(self, frame: Frame) -> None:
        """A picture that is in a recording."""
        assert frame.recorded is not None
        stream = self._streams.setdefault(frame.stream, _Stream())
        stream.live = frame.live
        now = Moment(time_ms(frame), frame.recorded.file, frame.recorded.ms)
        if stream.clip is not None:
            last = stream.clip[-1]
            if not last.time_ms <= now.time_ms < stream.until_ms:
                self._finish(frame.stream, stream)
            elif now.file == last.file and len(stream.clip) > 1 and stream.clip[-2].file == now.file:
                stream.clip[-1] = now
            else:
                stream.clip.append(now)
        stream.before.append(now)
        while not 0 <= now.time_ms - stream.before[0].time_ms <= self._before_ms:
            stream.before.popleft()

    def happened(self, name: str, captured_ns: int) -> None:
        """An event in the picture that was shown last, which was captured then."""
        stream = self._streams.get(name)
        if stream is None or not stream.before:
            return
        now_ms = stream.before[-1].time_ms
        if stream.clip is None:
            stream.clip = _ends_of_files(stream.before)
            stream.began_unix_s = unix_s(captured_ns) - (now_ms - stream.clip[0].time_ms) / 1000
        longest_ms = self._before_ms + LONGEST * self._after_ms
        stream.until_ms = min(now_ms + self._after_ms, stream.clip[0].time_ms + longest_ms)

    def ended(self, name: str) -> None:
        """The stream has ended: what was begun becomes a clip, soon."""
        stream = self._streams.pop(name, None)
        if stream is not None and stream.clip is not None:
            self._finish(name, stream)

    def close(self) -> None:
        """Wait for what was begun."""
        for name in list(self._streams):
            self.ended(name)
        self._patience_s = PATIENCE_AT_THE_END_S
        self._waiting.put(None)
        self._thread.join()

    def _finish(self, name: str, stream: _Stream) -> None:
        spans: dict[str, tuple[float, float]] = {}
        for moment in stream.clip or ():
            first, _ = spans.get(moment.file, (moment.ms, 0.0))
            spans[moment.file] = first, moment.ms
        places = [(self._folder / file, first, last) for file, (first, last) in spans.items()]
        self._waiting.put(_Job(name, stream.live, stream.began_unix_s, places))
        stream.clip = None

    def _run(self) -> None:
        give_way()
        made = 0
        while (job := self._waiting.get()) is not None:
            try:
                name = self._folder / "clips" / f"{job.stream}.mp4"
                path = free_name(stamped(name, job.began_unix_s))
                if cut(path, job.spans, job.began_unix_s, lambda: self._patience_s):
                    made += 1
                    prune(name, self._keep, path)
                    self._made(job.stream, job.live, None)
                else:
                    log.warning("%s: no clip of an event: the recording of it is not there", job.stream)
            except OSError as error:
                self._made(job.stream, job.live, error)
        log.info("%s: %d clips", self._folder / "clips", made)


def _ends_of_files(moments: deque[Moment]) -> list[Moment]:
    """The first and the last moment in each file."""
    return [
        moment
        for number, moment in enumerate(moments)
        if number in (0, len(moments) - 1)
        or moments[number - 1].file != moment.file
        or moments[number + 1].file != moment.file
    ]


def cut(
    path: Path, spans: list[tuple[Path, float, float]], began_unix_s: float, patience_s: Callable[[], float]
) -> bool:
    """Copy the packets of videos, each from the key frame before a time to another time, ms, into one video.

    The last one may still be written: its packets are waited for. False if there are none. Raises OSError.
    """
    import av

    clip: PacketFile | None = None
    offset = Fraction(0)  # where the video that is being copied begins in the clip, by the clock of the first one
    try:
        for number, (source, first_ms, last_ms) in enumerate(spans):
            is_last = number == len(spans) - 1
            opened = _with(source, last_ms if is_last else 0.0, patience_s)
            if opened is None:
                continue
            with opened as film:
                video, sound = film.streams.video[0], next(iter(film.streams.audio), None)
                assert video.time_base is not None
                film.seek(round(Fraction(first_ms) / 1000 / video.time_base), stream=video)
                end, step = Fraction(0), _STEP_S
                for packet in film.demux([stream for stream in (video, sound) if stream]):
                    parcel = _parcel(packet, offset, VIDEO if packet.stream_index == video.index else SOUND)
                    if parcel is None:
                        continue
                    if clip is None:
                        if parcel.track == SOUND:
                            continue
                        clip = PacketFile(path, Tracks(video, sound), parcel.seconds, began_unix_s)
                        began = parcel.seconds
                    if is_last and parcel.dts * parcel.time_base - offset > Fraction(last_ms) / 1000:
                        break
                    if parcel.track == VIDEO:
                        step = parcel.duration * parcel.time_base or step
                        end = max(end, parcel.seconds + step)
                    if parcel.seconds >= began:
                        clip.add(parcel)
                offset = max(offset, end)
    except av.error.FFmpegError as error:
        if clip is not None:
            clip.abandon()
        raise error if isinstance(error, OSError) else OSError(error.errno, error.strerror) from error
    if clip is None:
        return False
    clip.close()
    return True


def _with(source: Path, last_ms: float, patience_s: Callable[[], float]) -> InputContainer | None:
    """A recording, opened when a time is in it, or when that is not to be expected any more; None: it is not there."""
    import av

    began_s = time.monotonic()
    while True:
        try:
            with av.open(f"file:{source}") as film:
                packets = film.demux(film.streams.video[0])
                shown = (packet.pts * packet.time_base for packet in packets if packet.pts is not None)
                reached_ms = 1000 * max(shown, default=Fraction(0))
            if reached_ms >= last_ms or time.monotonic() - began_s > patience_s():
                return av.open(f"file:{source}")
        except (av.error.FFmpegError, IndexError):  # not there, or no whole fragment in it yet
            if time.monotonic() - began_s > patience_s():
                return None
        time.sleep(_LOOK_S)


def _parcel(packet: Packet, offset: Fraction, track: int) -> Parcel | None:
    """A packet of a recording, later by the offset."""
    if packet.pts is None or packet.dts is None or not packet.size:
        return None
    shift = round(offset / packet.time_base)
    times = packet.pts + shift, packet.dts + shift, packet.duration or 0
    return Parcel(track, bytes(packet), *times, packet.time_base, bool(packet.is_keyframe))
