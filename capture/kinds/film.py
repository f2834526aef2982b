"""Pictures of a video file: every one that ffprobe counts, in order."""

from __future__ import annotations

import contextlib
import itertools
import logging
import math
import os
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from capture.bookmark import Bookmark, decode
from capture.decoder import Decoder, NoVideo
from capture.ffmpeg_error import why
from capture.kind import Kind
from capture.origin import checksum_of, is_at, is_corrupt, write_picture
from capture.picture import BEGINNING, NotYet, Picture, Place, Room, Source
from capture.sieve import Sieve
from capture.timeline import Timeline
from configs.errors import InputError
from configs.plural import counted
from configs.schema import SourceConfig

if TYPE_CHECKING:
    from av import VideoFrame

log = logging.getLogger("capture")

_TICK_S = 0.5  # so long a read passes over pictures before it says that there is none yet
_BOOKMARK_EVERY_S = 1.0  # the least time between two: so much work, and the way from a key frame, is done again
_SHORT_S = 1.0  # a file of which this much less can be shown than it promises is said to be cut off
# A step of the timestamps that is longer is no gap but a jump of the clock; where clocks begin anew as FFmpeg has it.
_JUMP_S, _JUMP_WHERE_CLOCKS_BEGIN_ANEW_S = 3600.0, 10.0


class FilmKind(Kind):
    """A path of a file; and any text that means nothing else, so that it is missed as one."""

    name, called, written = "video", "a video file", "a video file"
    modules = ("av",)
    options = ("realtime", "loop", "fps", "decode")
    has_packets = True

    def fits(self, text: str) -> bool:
        return True

    def check(self, config: SourceConfig) -> None:
        if not os.path.exists(config.source):
            raise InputError(f"{config.source}: no such file or folder")
        if not os.path.isfile(config.source):
            raise InputError(f"{config.source}: neither a file nor a folder")
        if not os.access(config.source, os.R_OK):
            raise InputError(f"{config.source}: no permission to read it")

    def size(self, config: SourceConfig) -> tuple[int, int] | None:
        sizes = []

        def room(height: int, width: int) -> np.ndarray:
            sizes.append((width, height))
            return np.empty((height, width, 3), np.uint8)

        with contextlib.closing(Film(Path(config.source))) as film:
            film.read(room)
        return sizes[0] if sizes else None

    def open(self, config: SourceConfig, place: Place) -> Source:
        return Film(Path(config.source), config.loop, place, config.fps, config.decode)


class Film(Source):
    """A video, opened at its place; with `loop` it begins again at its end, for ever.

    `media_ms` starts at 0, always grows, and goes on growing over the seam of a loop. Where the film's own clock jumps
    the next picture follows as any other. A file that is damaged or cut off plays to where it can, and says so once.
    Once a second a picture brings a bookmark, from which the film is read on without all that comes before. Where that
    fails all is decoded again, and `read` raises NotYet meanwhile. Raises InputError if it is no video.
    """

    live = False

    def __init__(
        self,
        path: Path | str,
        loop: bool = False,
        place: Place = BEGINNING,
        fps: float | None = None,
        decode: str = "cpu",
    ) -> None:
        self._path, self._decode_on = path, decode
        self._loop = loop
        self._sieve = Sieve(fps)
        self._warned = False
        self._copy = place.copy
        if self._copy:
            self._copy.on = not place.pictures  # what an earlier life has read it has recorded, too
        self._decoder = self._open()
        self.fps = self._decoder.fps
        self._timeline = self._begin()
        self._count, self._began_ms = 0, 0.0  # pictures of this round, and where it began
        self._bookmarked_s = -math.inf
        self._passes_over = 0  # pictures, because no way leads past them; 0 once that is said
        self._frames = self._play(place)
        try:
            first = next(self._frames, None)  # a header is no proof that there are pictures
        except InputError:
            self._decoder.close()
            raise
        self._frames = itertools.chain([first], self._frames)

    def read(self, room: Room) -> Picture | None:
        """The next picture, or None at the end. Raises NotYet while pictures are passed over."""
        began_s = time.monotonic()
        for frame in self._frames:
            if frame is not None:
                return self._picture(frame, room)
            if time.monotonic() - began_s > _TICK_S:
                if self._passes_over:
                    log.info(
                        "%s: no key frame leads back: %d pictures are decoded again", self._path, self._passes_over
                    )
                    self._passes_over = 0
                raise NotYet
        return None

    def skipped(self) -> int:
        return self._sieve.taken()

    @property
    def decodes(self) -> str:
        return self._decoder.decodes

    def close(self) -> None:
        self._decoder.close()

    def _picture(self, frame: VideoFrame, room: Room) -> Picture:
        image, now_ns = write_picture(frame, room, self.planes), time.monotonic_ns()
        media_ms = self._began_ms + self._timeline.now.position_ms
        bookmark, recorded = self._bookmark(frame), self._decoder.recorded(frame)
        return Picture(image, now_ns, media_ms, "", is_corrupt(frame), bookmark, recorded)

    def _bookmark(self, frame: VideoFrame) -> bytes:
        """How to get to this picture again; empty if one came a short while ago, or if there is no way."""
        now_s = time.monotonic()
        if now_s - self._bookmarked_s < _BOOKMARK_EVERY_S or self._count == 1:
            return b""
        key_frame = self._decoder.key_frame(frame)
        if key_frame is None or (not key_frame.byte and self._timeline.bridged):  # its time stamp may come twice
            return b""
        self._bookmarked_s = now_s
        count, damaged, before = self._count - 1, self._decoder.damaged, self._timeline.before
        return Bookmark(key_frame, checksum_of(frame), count, damaged, before, self._began_ms).encode()

    def _play(self, place: Place) -> Iterator[VideoFrame | None]:
        """The pictures from its place on; None for each that is passed over before."""
        frames, skip = None, place.pictures
        for number, bookmark in place.bookmarks:
            if frames := (yield from self._seek(decode(bookmark))):
                skip -= number
                break
            self._decoder.close()
            self._decoder = self._open()
        self._passes_over = 0 if frames else skip
        while True:
            for frame in frames or self._decoder.frames():
                self._count += 1
                self._timeline.next(frame.time)
                if not self._sieve.keeps(self._timeline.now.position_ms / 1000):
                    yield None
                    continue
                if skip:
                    self._sieve.taken()  # they were counted when this was read first
                elif self._copy:
                    self._copy.on = True
                yield None if skip else frame
                skip = max(0, skip - 1)
            if not self._count:
                raise InputError(f"{self._path}: no picture in it could be decoded")
            self._warn_if_cut_off(self._count, self._timeline.length_ms)
            if not self._loop:
                return
            # With a rate a round has fewer pictures to skip than it has: all rounds are read then.
            rounds, skip = (0, skip) if self._sieve.fps else divmod(skip, self._count)
            self._began_ms += (1 + rounds) * self._timeline.length_ms
            self._decoder.close()
            self._decoder, frames = self._open(), None
            self._timeline, self._count = self._begin(), 0
            self._sieve.begin()

    def _seek(self, bookmark: Bookmark) -> Generator[None, None, Iterator[VideoFrame] | None]:
        """The pictures from a bookmark on; None if the way to it is closed. Gives None for each that is passed over."""
        sought = bookmark.frame
        for frames in self._decoder.near(sought):
            for frame in frames:
                if is_at(frame, sought):
                    if checksum_of(frame) != bookmark.checksum:
                        break
                    self._timeline.now, self._count = bookmark.before, bookmark.count
                    self._began_ms, self._decoder.damaged = bookmark.began_ms, bookmark.damaged
                    self._sieve.begin()  # it keeps the picture that is sought, and all others as it did
                    return itertools.chain([frame], frames, self._decoder.parts_to_come())
                if frame.pts is not None and sought.pts is not None and frame.pts > sought.pts:
                    break
                yield None
        return None

    def _begin(self) -> Timeline:
        """The time of a round."""
        return Timeline(1000 / self.fps, 1000 * (_JUMP_WHERE_CLOCKS_BEGIN_ANEW_S if self._decoder.jumps else _JUMP_S))

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
            # `file:`, because a name may hold a colon
            return Decoder(f"file:{self._path}", copy=self._copy, decode=self._decode_on)
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
