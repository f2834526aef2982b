"""Records a source's own packets: cuts them into segments at key frames, and tells where each picture is in them."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from capture.packet_writer import PacketWriter, Segment
from capture.parameter_sets import parameter_sets
from capture.segment_names import SegmentNames
from configs.errors import InputError
from recordings.packet_file import SOUND, VIDEO, Parcel, Tracks
from recordings.retention import Keep
from transport.frame import Recorded

if TYPE_CHECKING:
    from av import AudioStream, Packet, VideoStream

log = logging.getLogger("capture")

WITH_SETS = ("h264", "hevc")  # codecs whose packets may bring their parameters, and which MP4 needs in front
USUAL_STEP_S = 0.04  # taken for the time between pictures where nothing tells it
# Steps of the source's clock beyond these are jumps: what follows is no part of the segment. A small step back is what
# RTSP makes of the first word about the camera's clock.
JUMP_S, BACK_S = 60, Fraction(1, 2)
AGAIN_S = (1.0, 30.0)  # first and longest wait before a place that could not be written is tried again
BOTH_S = 2  # so long sound for the end of a segment is waited for when the next one has begun
NEAR_NS = 1_000_000_000  # a picture of another stream that is later than all that was recorded: the next one comes
TIMELESS = 50  # packets at the beginning that may tell no time: of RTSP the first one
_KNOWN = 8  # segments in which a decoded picture may still be


class PacketRecording(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the packets of a source are recorded: `FOLDER/STREAM-20261125T133000Z.mp4`, a new one each `segment_s`.

    `sound` says whether its sound is recorded, too. What is too old or too much is deleted (recordings/retention.py).
    """

    folder: str
    segment_s: float
    keep_days: float = 0.0
    keep_gb: float = 0.0
    sound: bool = False


class PacketCopy:
    """Takes each packet that a source reads, and has them written by a thread.

    Nothing here waits for the disk: packets that find no room in the queue are counted (`lost`), and the recording goes
    on in a new segment at the next key frame. Only a film waits until they can be written, unless it is `paced` as a
    camera is (`waits`). While it is not `on` packets go by.
    """

    def __init__(self, recording: PacketRecording, stream: str, paced: bool = False) -> None:
        self._stream, self._paced = stream, paced
        self._segment_s = Fraction(round(1000 * recording.segment_s), 1000)
        self.waits = False
        self.sound = recording.sound
        self._template = Path(recording.folder) / f"{stream}.mp4"
        self._writer = PacketWriter(self._template, Keep(recording.keep_days, recording.keep_gb))
        self._lock = threading.Lock()  # the thread that reads may be in the camera's library when all ends
        self.on = True
        self.unfit = ""  # why the source cannot be recorded at all
        self._tracks: Tracks | None = None
        self._indices: dict[int, int] = {}  # of the source's streams -> the tracks of the recording
        self._parameters = b""
        self._resized = False
        self._segment: Segment | None = None
        self._before: Segment | None = None  # the one before, while sound of its end may come
        self._known: deque[Segment] = deque(maxlen=_KNOWN)
        self._last_dts: dict[int, Fraction] = {}
        self._timeless: list[Packet] = []  # the first ones, until one of them tells a time
        self._dropped, self._has_begun = 0, False
        self._names = SegmentNames(self._template)
        self._again_s, self._delay_s = 0.0, AGAIN_S[0]
        self._slow = ""
        self._is_out, self._lost_before = False, 0  # whether nothing can be written, and packets lost before that

    @property
    def _why(self) -> str:
        """Why nothing is recorded now."""
        return self._writer.error or self._slow or self.unfit

    @property
    def counts(self) -> dict[str, int]:
        """Packets so far."""
        return {"recorded": self._writer.recorded, "not_recorded": self._writer.lost + self._dropped}

    def begin(self, video: VideoStream, sound: AudioStream | None, live: bool) -> None:
        """The source was opened, again perhaps: what these streams bring follows. All before it is finished."""
        with self._lock:
            self._end()
            self.waits = not live and not self._paced
            self.unfit, self._tracks, self._resized = "", None, False
            try:
                self._tracks = Tracks(video, sound if self.sound else None)
            except InputError as error:
                self.unfit = str(error)
                return
            if self._tracks.left_out:
                log.warning("%s: recorded without sound: %s", self._stream, self._tracks.left_out)
            parameters = self._tracks.parameters
            self._parameters = parameter_sets(self._tracks.codec, parameters) or parameters
            self._indices = {video.index: VIDEO}
            if sound is not None and self._tracks.has_sound:
                self._indices[sound.index] = SOUND

    def take(self, packet: Packet) -> None:
        """A packet that was read."""
        track = self._indices.get(packet.stream_index)
        if track is None or not self.on:
            return
        with self._lock:
            if self._tracks is None or not self.on:
                return
            if track == SOUND:
                if packet.pts is not None:
                    self._take_sound(self._parcel(packet, track))
            elif packet.pts is None and packet.dts is None and VIDEO not in self._last_dts:
                self._timeless.append(packet)
                self.unfit = "its packets tell no times" if len(self._timeless) > TIMELESS else ""
            else:
                timeless, self._timeless = self._timeless[-TIMELESS:], []
                for number, early in enumerate(timeless):
                    self._take_picture(self._parcel(early, track, packet, len(timeless) - number), early)
                self._take_picture(self._parcel(packet, track), packet)
                self.unfit = ""
            self._tell()

    def at(self, pts: int | None, time_base: Fraction | None) -> Recorded:
        """Where in the recording a decoded picture is; one that is in none says why."""
        if self._why:
            return Recorded(why=self._why)
        if pts is None or time_base is None:
            return Recorded()
        shown = pts * time_base
        for segment in reversed(self._known):
            if segment.began <= shown <= segment.last:
                return Recorded(segment.path.name, round(float(1000 * (shown - segment.began)), 3))
        return Recorded()

    def when(self, captured_ns: int) -> Recorded:
        """Where in the recording is what was to be seen at that time; of another stream than the one recorded."""
        if self._why:
            return Recorded(why=self._why)
        for segment in reversed(self._known):
            if segment.began_ns <= captured_ns <= segment.last_ns + NEAR_NS:
                return Recorded(segment.path.name, (captured_ns - segment.began_ns) / 1e6)
        return Recorded()

    def end(self) -> None:
        """The source was closed."""
        with self._lock:
            self._end()
            self._tracks = None

    def close(self) -> str:
        """Finish all; gives why the last segment could not be written, or nothing."""
        self.end()
        self.on = False
        self._writer.close()
        self._tell()
        return self._writer.error

    def _parcel(self, packet: Packet, track: int, later: Packet | None = None, steps: int = 0) -> Parcel:
        """The packet on its own, with the times that it does not tell: by the packet that comes so many steps later,
        or else by the one before."""
        time_base, pts, dts, last = packet.time_base, packet.pts, packet.dts, self._last_dts.get(track)
        step = packet.duration or max(1, round(USUAL_STEP_S / time_base))
        if later is not None:  # the first packets of RTSP
            known = later.dts if later.dts is not None else later.pts
            assert known is not None
            pts = dts = known - steps * step
        elif pts is None and dts is None:
            assert last is not None
            dts = round(last / time_base) + step
        elif dts is None:  # Matroska tells when a picture is shown; FFmpeg reckons the rest, not of the first ones
            assert pts is not None
            dts = pts - 2 * step if last is None else math.floor(last / time_base) + max(1, step // 16)
        assert dts is not None
        pts = dts if pts is None else pts
        return Parcel(track, bytes(packet), pts, dts, packet.duration or 0, time_base, bool(packet.is_keyframe))

    def _take_picture(self, parcel: Parcel, packet: Packet) -> None:
        now, last = parcel.dts * parcel.time_base, self._last_dts.get(VIDEO)
        if last is not None and not last - BACK_S < now <= last + JUMP_S:
            self._end()
        elif last is not None and now <= last:
            dts = math.floor(last / parcel.time_base) + 1
            parcel = replace(parcel, dts=dts, pts=max(dts, parcel.pts))
            now = dts * parcel.time_base
        self._last_dts[VIDEO] = now
        if parcel.key:
            self._at_key_frame(parcel, packet)
        self._finish_before(parcel)
        segment = self._segment
        if segment is None or segment.failed or parcel.seconds < segment.began:
            # Nothing is recorded now; or it is shown before the key frame and needs the pictures before that.
            self._dropped += self._has_begun
        elif self._writer.put(segment, parcel, self.waits):
            if not segment.last_ns:
                self._known.append(segment)
            segment.last, segment.last_ns = max(segment.last, parcel.seconds), time.monotonic_ns()
            self._slow = ""
        else:
            self._slow = f"{segment.path.parent}: cannot be written (the disk is too slow)"
            self._dropped += 1
            self._end()

    def _take_sound(self, parcel: Parcel) -> None:
        now, last = parcel.dts * parcel.time_base, self._last_dts.get(SOUND)
        if last is not None and last - JUMP_S < now <= last:
            return
        self._last_dts[SOUND] = now
        self._finish_before(parcel)
        for segment in (self._segment, self._before):
            if segment is not None and parcel.seconds >= segment.began and not segment.failed:
                self._dropped += not self._writer.put(segment, parcel, self.waits)
                break

    def _at_key_frame(self, parcel: Parcel, packet: Packet) -> None:
        """Begin a new segment where one is due."""
        changed, segment = self._new_parameters(parcel, packet), self._segment
        if segment is not None and segment.failed:
            self._wait_after(segment)
        elif segment is not None and not changed and parcel.seconds - segment.began < self._segment_s:
            return
        if self._before is not None:
            self._writer.end(self._before)
        self._before, self._segment = segment, None
        assert self._tracks is not None
        if time.monotonic() < self._again_s or (self._tracks.codec in WITH_SETS and not self._parameters):
            return
        self._has_begun = True
        unix_s, began = time.time(), parcel.seconds
        path, parameters = self._names.new(unix_s), self._parameters
        self._segment = Segment(path, self._tracks, began, unix_s, parameters, self._resized, began)
        self._segment.began_ns = time.monotonic_ns()

    def _new_parameters(self, parcel: Parcel, packet: Packet) -> bool:
        """Note the parameters that a key frame brings; whether they are others than those before."""
        assert self._tracks is not None
        found = b""
        if packet.has_sidedata("new_extradata"):
            found = bytes(packet.get_sidedata("new_extradata"))
        elif self._tracks.codec in WITH_SETS:
            found = parameter_sets(self._tracks.codec, parcel.data)
        changed = bool(found and self._parameters and found != self._parameters)
        self._parameters = found or self._parameters
        self._resized = self._resized or changed
        return changed

    def _finish_before(self, parcel: Parcel) -> None:
        """End the segment before this one when its sound is all there, or none comes."""
        if self._before is None or self._tracks is None:
            return
        late = parcel.seconds - self._segment.began if self._segment is not None else BOTH_S
        if not self._tracks.has_sound or late >= (0 if parcel.track == SOUND else BOTH_S):
            self._writer.end(self._before)
            self._before = None

    def _end(self) -> None:
        """End the segment; the next one begins at the next key frame."""
        for segment in (self._before, self._segment):
            if segment is not None:
                self._writer.end(segment)
        self._before = self._segment = None
        self._last_dts.clear()
        self._timeless.clear()

    def _tell(self) -> None:
        """Say once that nothing can be written, and once that it is written again."""
        error, lost = self._writer.error or self._slow, self._writer.lost + self._dropped
        if error and not self._is_out:
            log.warning("%s: recording stopped (%s); it is tried again", self._stream, error)
        elif self._is_out and not error:
            log.info("%s: records again, %d packets lost", self._stream, lost - self._lost_before)
        self._is_out = bool(error)
        if not error:
            self._lost_before = lost

    def _wait_after(self, segment: Segment) -> None:
        """A segment could not be written: try again after a while, longer each time."""
        if segment.flows:
            self._delay_s = AGAIN_S[0]
        self._again_s = time.monotonic() + self._delay_s
        self._delay_s = min(2 * self._delay_s, AGAIN_S[1])
