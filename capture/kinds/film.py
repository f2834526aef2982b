"""Pictures of a video file: every one that ffprobe counts, in order."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from capture.decoder import Decoder, NoVideo, is_corrupt, why, write_bgr
from capture.kind import Kind
from capture.picture import Picture, Place, Room, Source
from configs.errors import InputError
from configs.plural import counted
from configs.schema import SourceConfig

if TYPE_CHECKING:
    from av import VideoFrame

log = logging.getLogger("capture")

_SHORT_S = 1.0  # a file of which this much less can be shown than it promises is said to be cut off
# A step of the timestamps that is longer is no gap but a jump of the clock; where clocks begin anew as FFmpeg has it.
_JUMP_S, _JUMP_WHERE_CLOCKS_BEGIN_ANEW_S = 3600.0, 10.0


class FilmKind(Kind):
    """A path of a file; and any text that means nothing else, so that it is missed as one."""

    name, called, written = "video", "a video file", "a video file"
    options = ("realtime", "loop")

    def fits(self, text: str) -> bool:
        return True

    def check(self, config: SourceConfig) -> None:
        if not os.path.exists(config.source):
            raise InputError(f"{config.source}: no such file or folder")
        if not os.path.isfile(config.source):
            raise InputError(f"{config.source}: neither a file nor a folder")
        if not os.access(config.source, os.R_OK):
            raise InputError(f"{config.source}: no permission to read it")

    def open(self, config: SourceConfig, place: Place) -> Source:
        return Film(Path(config.source), config.loop, place.pictures)


class Film(Source):
    """A video file, opened at picture number `start`; with `loop` it begins again at its end, for ever.

    `media_ms` starts at 0, always grows, and goes on growing over the seam of a loop. Where the film's own clock jumps
    the next picture follows as any other. A file that is damaged or cut off plays to where it can, and says so once.
    Raises InputError if it is no video.
    """

    live = False

    def __init__(self, path: Path | str, loop: bool = False, start: int = 0) -> None:
        self._path = path
        self._loop = loop
        self._warned = False
        self._decoder = self._open()
        self.fps = self._decoder.fps
        self._frames = self._play(start)
        try:
            self._first = next(self._frames, None)  # a header is no proof that there are pictures
        except InputError:
            self._decoder.close()
            raise

    def read(self, room: Room) -> Picture | None:
        """The next picture, or None at the end."""
        following = self._first or next(self._frames, None)
        self._first = None
        if following is None:
            return None
        frame, media_ms = following
        return Picture(write_bgr(frame, room), time.monotonic_ns(), media_ms, corrupt=is_corrupt(frame))

    def close(self) -> None:
        self._decoder.close()

    def _play(self, start: int) -> Iterator[tuple[VideoFrame, float]]:
        """Pictures and positions in ms. The first `start` of them are decoded and passed over: a seek is not exact."""
        began_ms, skip = 0.0, start
        while True:
            count, length_ms = 0, 0.0
            for frame, position_ms in self._positions():
                count, length_ms = count + 1, position_ms + 1000 / self.fps
                if skip:
                    skip -= 1
                else:
                    yield frame, began_ms + position_ms
            if not count:
                raise InputError(f"{self._path}: no picture in it could be decoded")
            self._warn_if_cut_off(count, length_ms)
            if not self._loop:
                return
            rounds, skip = divmod(skip, count)
            began_ms += (1 + rounds) * length_ms
            self._decoder.close()
            self._decoder = self._open()

    def _positions(self) -> Iterator[tuple[VideoFrame, float]]:
        """Pictures with the time since the first one, ms. Timestamps that are missing, go back or jump are bridged."""
        step_ms = 1000 / self.fps
        longest_ms = 1000 * (_JUMP_WHERE_CLOCKS_BEGIN_ANEW_S if self._decoder.jumps else _JUMP_S)
        zero_ms, position_ms = None, -step_ms  # the time stamp of position 0, the position of the picture before
        for frame in self._decoder.frames():
            if frame.time is None:
                position_ms += step_ms
            else:
                stamp_ms = frame.time * 1000
                if zero_ms is None or not 0 < stamp_ms - zero_ms - position_ms <= longest_ms:
                    zero_ms = stamp_ms - position_ms - step_ms
                position_ms = stamp_ms - zero_ms
            yield frame, position_ms

    def _warn_if_cut_off(self, count: int, played_ms: float) -> None:
        extent, damaged = self._decoder.extent, self._decoder.damaged
        lost_s = max(extent.lead_s, extent.missing_s)
        if self._warned or not (damaged or lost_s > _SHORT_S):
            return
        self._warned = True
        played_s = played_ms / 1000
        whole_s = extent.lead_s + played_s + extent.missing_s
        log.warning(
            "%s is damaged or cut off: %s, %.1f s of %.1f s, %s passed over",
            self._path, counted(count, "picture"), played_s, whole_s, counted(damaged, "damaged packet"),
        )  # fmt: skip

    def _open(self) -> Decoder:
        import av

        try:
            return Decoder(f"file:{self._path}")  # `file:`, because a name may hold a colon
        except av.error.InvalidDataError:
            raise InputError(f"{self._path}: {_no_video_because(Path(self._path))}") from None
        except av.error.FFmpegError as error:
            raise InputError(f"{self._path}: cannot be opened ({why(error)})") from None
        except NoVideo:
            raise InputError(f"{self._path}: no pictures in it, only sound or text") from None


def _no_video_because(path: Path) -> str:
    with path.open("rb") as file:
        head = file.read(12)
    if not head:
        return "the file is empty"
    if head[4:8] == b"ftyp":  # recorders write the index last
        return "the index of this mp4 is missing or broken; it was cut off while being recorded or copied"
    return "not a video that FFmpeg can read"
