"""Records the shown frames as an H.264 video that plays in a browser, also when the recorder was killed."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import time
from collections.abc import Iterator
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from configs.errors import InputError
from configs.plural import counted
from overlay.sinks.sink import Sink
from overlay.sinks.target import Targets, free_name, left_by_this_run, writing
from transport.frame import Frame

if TYPE_CHECKING:
    import av

log = logging.getLogger("overlay")

# A multiple of milliseconds and of 30000/1001 frames per second; MPEG-4 allows no denominator above 65535.
TIME_BASE = Fraction(1, 60000)
PICTURE_MS = 500.0  # how long a picture from a folder is seen
FIRST_STEP_MS = 40.0  # taken for the time between frames while only one is known
USUAL_STEP_MS = 1000.0  # a longer one is a pause, and says nothing of the next
# A frame of an MP4 lasts 2**31 - 1 units at most, here 9 h 56 min. Of a longer one FFmpeg makes 1 unit, and 1 unit of
# each frame behind it: all that came after 10 h without a camera lay within a millisecond.
LONGEST_STEP_MS = 9.9 * 3.6e6

# One fragment per frame, written out at once: a killed recorder leaves a file that plays, without its last frame.
# `hybrid_fragmented` (FFmpeg 7.1) turns it into an ordinary MP4 with one index when it is closed.
CONTAINER = {"movflags": "hybrid_fragmented+frag_every_frame", "flush_packets": "1"}
# 720p, ms of one core and size of the file: ultrafast 4.7 and 2.6, superfast 6.2 and 1.2, veryfast 10.9 and 1.
H264 = {"preset": "superfast", "tune": "zerolatency", "crf": "23"}
MPEG4_BITS_PER_PIXEL = 4
LOOK_S = 1.0  # how often it is looked whether the file is there still


class VideoSink(Sink):
    """One video per path; `{stream}` in the template makes one for each stream."""

    def __init__(self, template: str, goes_on: bool = False) -> None:
        self._targets = Targets(template)
        self._goes_on = goes_on
        self._videos: dict[Path, Video] = {}
        self._broken: set[Path] = set()

    def place(self, stream: str) -> str:
        return str(self._targets.of(stream))

    def show(self, frame: Frame, picture: np.ndarray, age_ms: float) -> None:
        path = self._targets.of(frame.stream)
        with writing(path):
            if path not in self._videos:
                # What was recorded before the disk was full stays as it is: nothing can be added to it.
                begin = free_name(path) if path in self._broken else path
                self._videos[path] = Video(begin, picture, self._goes_on)
            self._videos[path].add(picture, frame)

    def let_go(self, stream: str) -> None:
        path = self._targets.of(stream)
        video = self._videos.pop(path, None)
        if video is not None:
            self._broken.add(path)
            video.abandon()

    def close(self) -> None:
        with ExitStack() as stack:
            for video in self._videos.values():
                stack.callback(video.close)


class Video:
    """A video file that is being written. Its size is that of the first picture, made even; others are fitted into it.

    With `goes_on` the frames that an earlier life of this process recorded in the same file come first, as they are.
    """

    def __init__(self, path: Path, first: np.ndarray, goes_on: bool = False) -> None:
        import av

        self.path = path
        self._clock = Clock()
        self._frames = 0
        earlier = self._set_aside() if goes_on else None
        height, width = (recorded_size(earlier) if earlier else None) or _even_size(first)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")  # FFmpeg opens it with the first frame only
        self._file, self._looked_s = os.stat(path), time.monotonic()
        with coding(path):
            self._container = av.open(_url(path), "w", format="mp4", options=CONTAINER)
            try:
                self._stream = _add_stream(self._container, width, height)
                if earlier:
                    self._take_over(earlier)
            except BaseException:
                self.abandon()
                raise

    def add(self, picture: np.ndarray, frame: Frame) -> None:
        """Append the picture, (H, W, 3) uint8 BGR, at the frame's time."""
        import av

        self._look()
        fitted = fit(picture, self._stream.width, self._stream.height)
        yuv = np.asarray(cv2.cvtColor(fitted, cv2.COLOR_BGR2YUV_I420), np.uint8)
        coded = av.VideoFrame.from_ndarray(yuv, format="yuv420p")
        coded.time_base = TIME_BASE
        coded.pts = round(self._clock.place(frame) / 1000 / TIME_BASE)
        with coding(self.path):
            self._container.mux(self._stream.encode(coded))
        self._frames += 1

    def close(self) -> None:
        """Write the index. After a failed write this fails again, and the file stays as a killed recorder leaves it."""
        with writing(self.path), coding(self.path), self._container:
            self._container.mux(self._stream.encode(None))
            self._looked_s = 0.0
            self._look()
        log.info("%s: %s", self.path, counted(self._frames, "frame"))

    def abandon(self) -> None:
        """Let go of a file that cannot be written any more; it stays as a killed recorder leaves it.

        One without a whole frame goes: else each try on a full disk would leave one.
        """
        with contextlib.suppress(OSError, InputError), coding(self.path):
            self._container.close()
        with contextlib.suppress(OSError, InputError), coding(self.path):
            if os.path.samestat(os.stat(self.path), self._file) and not recorded_size(self.path):
                self.path.unlink()

    def _look(self) -> None:
        """Raise OSError where the file was deleted or replaced: what is written into it is seen by nobody."""
        if time.monotonic() - self._looked_s > LOOK_S:
            self._looked_s = time.monotonic()
            if not os.path.samestat(os.stat(self.path), self._file):
                raise FileNotFoundError(errno.ENOENT, "it was moved or replaced")

    def _set_aside(self) -> Path | None:
        """Give what this run recorded before another name while its frames are copied into the new file."""
        earlier = self.path.with_suffix(".earlier.mp4")
        # It exists already if the last life was killed while copying: then it is the whole and the other a part.
        if not left_by_this_run(earlier):
            if not left_by_this_run(self.path):
                return None
            self.path.replace(earlier)
        return earlier

    def _take_over(self, earlier: Path) -> None:
        if recorded_size(earlier):
            for packet in recorded_packets(earlier):
                assert packet.pts is not None
                self._clock.take_over(float(packet.pts * packet.time_base * 1000))
                packet.stream = self._stream
                self._container.mux(packet)
                self._frames += 1
        earlier.unlink()
        log.info("%s: goes on after %s recorded before", self.path, counted(self._frames, "frame"))


def _url(path: Path) -> str:
    """The path as FFmpeg takes it literally: it takes `12:31.mp4` for a protocol, and `-` for standard output."""
    return f"file:{path}"


@contextlib.contextmanager
def coding(path: Path) -> Iterator[None]:
    """Say in one line what FFmpeg cannot do; what is the system's error stays an OSError."""
    import av

    try:
        yield
    except OSError:
        raise
    except av.error.FFmpegError as error:
        raise InputError(f"{path}: cannot be recorded ({error.strerror}): try another name or size") from error


def recorded_size(path: Path) -> tuple[int, int] | None:
    """Height and width of a video, None if its recorder was killed before the first frame was out."""
    import av

    try:
        with av.open(_url(path)) as recorded:
            coder = recorded.streams.video[0].codec_context
            return (coder.height, coder.width) if coder else None
    except (av.error.InvalidDataError, av.error.EOFError):
        return None


def recorded_packets(path: Path) -> Iterator[av.Packet]:
    """The coded frames of a video as its encoder made them, up to the one that a killed recorder left half-written."""
    import av
    from av.bitstream import BitStreamFilterContext

    with av.open(_url(path)) as recorded:
        stream = recorded.streams.video[0]
        # Inside of an MP4 H.264 has another form than the encoder of the new file says it has.
        as_encoded = BitStreamFilterContext(
            "h264_mp4toannexb" if stream.codec_context.name == "h264" else "null", stream
        )
        try:
            for packet in recorded.demux(stream):
                if packet.is_corrupt or packet.pts is None:  # the last one of demux has no pts
                    return
                yield from as_encoded.filter(packet)
        except av.error.InvalidDataError:
            return


class Clock:
    """Where a frame stands in the video, ms: a file's frames at their own times, a camera's at the time of capture,
    pictures at two per second. Always later than the frame before, by 9.9 hours at most: a file that starts over
    goes on in the video, and a longer pause is cut to that.

    >>> clock = Clock()
    >>> picture = np.zeros((2, 2, 3), np.uint8)
    >>> [clock.place(Frame("clip", 0, 0, picture, media_ms=ms)) for ms in (100.0, 140.0, 0.0, 40.0)]
    [0.0, 40.0, 80.0, 120.0]
    """

    def __init__(self) -> None:
        self._last_ms: float | None = None
        self._step_ms = FIRST_STEP_MS
        self._offset_ms: float | None = None

    def place(self, frame: Frame) -> float:
        if frame.name:
            place_ms = 0.0 if self._last_ms is None else self._last_ms + PICTURE_MS
        else:
            place_ms = self._by_time(frame)
        self.take_over(place_ms)
        return place_ms

    def take_over(self, place_ms: float) -> None:
        """A frame stands there."""
        if self._last_ms is not None and place_ms - self._last_ms <= USUAL_STEP_MS:
            self._step_ms = place_ms - self._last_ms
        self._last_ms = place_ms

    def _by_time(self, frame: Frame) -> float:
        time_ms = frame.captured_ns / 1e6 if frame.media_ms is None else frame.media_ms
        if self._offset_ms is None:
            # A video that goes on has the file's own times already; a camera's clock says nothing about them.
            self._offset_ms = 0.0 if self._last_ms is not None and frame.media_ms is not None else -time_ms
        place_ms = time_ms + self._offset_ms
        if self._last_ms is None or 1 <= place_ms - self._last_ms <= LONGEST_STEP_MS:
            return place_ms
        step_ms = self._step_ms if place_ms - self._last_ms < 1 else LONGEST_STEP_MS
        self._offset_ms += self._last_ms + step_ms - place_ms
        return self._last_ms + step_ms


def fit(picture: np.ndarray, width: int, height: int) -> np.ndarray:
    """The picture as large as it fits into width x height, in the middle of black; one that is a pixel short is padded.

    >>> fit(np.full((50, 100, 3), 255, np.uint8), 100, 100)[:, 50, 0].nonzero()[0][[0, -1]].tolist()
    [25, 74]
    """
    if picture.shape[0] not in (height, height - 1) or picture.shape[1] not in (width, width - 1):
        scale = min(width / picture.shape[1], height / picture.shape[0])
        size = max(1, round(scale * picture.shape[1])), max(1, round(scale * picture.shape[0]))
        picture = cv2.resize(picture, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        top, left = (height - size[1]) // 2, (width - size[0]) // 2
        fitted = np.zeros((height, width, 3), np.uint8)
        fitted[top : top + size[1], left : left + size[0]] = picture
        return fitted
    missing = height - picture.shape[0], width - picture.shape[1]
    if not any(missing):
        return picture
    return cv2.copyMakeBorder(picture, 0, missing[0], 0, missing[1], cv2.BORDER_REPLICATE)


def _even_size(picture: np.ndarray) -> tuple[int, int]:
    """Height and width with the colour planes in mind, which are half as large."""
    height, width = picture.shape[:2]
    return height + height % 2, width + width % 2


def _add_stream(container: av.container.OutputContainer, width: int, height: int) -> av.VideoStream:
    import av

    if "libx264" in av.codecs_available:
        stream = container.add_stream("libx264", rate=25, options=H264)
    else:
        log.warning("this build of PyAV has no libx264: recording MPEG-4 Part 2, which browsers do not play")
        stream = container.add_stream("mpeg4", rate=25, bit_rate=MPEG4_BITS_PER_PIXEL * width * height)
    stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
    coder = stream.codec_context
    coder.time_base = TIME_BASE
    coder.thread_count = 1
    coder.gop_size = 50  # seeking needs a key frame every other second
    # What cvtColor makes: BT.601, 16 to 235. Untold, players take a picture of HD size for BT.709.
    coder.colorspace, coder.color_range = 6, 1
    return stream
