"""Writes frames into an H.264 video that plays in a browser, also when the recorder was killed."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from configs.errors import InputError
from configs.plural import counted
from overlay.encoders import ENCODERS, TIME_BASE, add_track
from overlay.target import writing
from overlay.timeline import Timeline
from transport.frame import Frame

log = logging.getLogger("overlay")

# One fragment per frame, written out at once: a killed recorder leaves a file that plays, without its last frame.
# `hybrid_fragmented` (FFmpeg 7.1) turns it into an ordinary MP4 with one index when it is closed.
CONTAINER = {"movflags": "hybrid_fragmented+frag_every_frame", "flush_packets": "1"}
LOOK_S = 1.0  # how often it is looked whether the file is there still


class Recorder:
    """A video file that is being written. Its size is that of the first picture, made even; others are fitted in.

    `encoders` are names of overlay/encoders.py: the first of them that opens is taken.
    """

    def __init__(self, path: Path, first: np.ndarray, encoders: tuple[str, ...] = ("x264",)) -> None:
        self.path = path
        self._timeline = Timeline()
        self._frames = 0
        height, width = _even_size(first)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")  # FFmpeg opens it with the first frame only
        self._file, self._looked_s = os.stat(path), time.monotonic()
        with coding(path):
            self._open(encoders, width, height)

    def _open(self, encoders: tuple[str, ...], width: int, height: int) -> None:
        """Raises InputError where no encoder opens: a chip encodes so many videos at once, and sizes of its own."""
        import av

        for number, name in enumerate(encoders, 1):
            self._container = av.open(_url(self.path), "w", format="mp4", options=CONTAINER)
            try:
                self._track, self._encoder = add_track(self._container, name, width, height)
                return
            except (av.error.FFmpegError, OSError) as error:
                self._container.close()
                why = f"{ENCODERS[name].name} does not open for {width}x{height} ({error.strerror})"
                if number == len(encoders):
                    self.abandon()
                    raise InputError(f"{self.path}: cannot be recorded: {why}") from error
                log.warning("%s: %s; %s encodes it", self.path, why, ENCODERS[encoders[number]].name)

    def add(self, picture: np.ndarray, frame: Frame) -> None:
        """Append the picture, (H, W, 3) uint8 BGR, at the frame's time."""
        import av

        self._look()
        fitted = fit(picture, self._track.width, self._track.height)
        yuv = np.asarray(cv2.cvtColor(fitted, cv2.COLOR_BGR2YUV_I420), np.uint8)
        # Without a copy, which held the interpreter for 1.1 ms at 1080p; PyAV 18.1 reckons other heights wrongly there.
        made = av.VideoFrame.from_ndarray if self._track.height % 4 else av.VideoFrame.from_numpy_buffer
        coded = made(yuv, format="yuv420p")
        if self._encoder.pixels != "yuv420p":
            coded = coded.reformat(format=self._encoder.pixels)
        coded.time_base = TIME_BASE
        coded.pts = round(self._timeline.place(frame) / 1000 / TIME_BASE)
        with coding(self.path):
            self._container.mux(self._track.encode(coded))
        self._frames += 1

    def close(self) -> None:
        """Write the index. After a failed write this fails again, and the file stays as a killed recorder leaves it."""
        with writing(self.path), coding(self.path), self._container:
            self._container.mux(self._track.encode(None))
            self._looked_s = 0.0
            self._look()
        log.info("%s: %s", self.path, counted(self._frames, "frame"))

    def abandon(self) -> None:
        """Let go of a file that cannot be written any more; it stays as a killed recorder leaves it.

        One without a whole frame goes: else each try on a full disk would leave one.
        """
        with contextlib.suppress(OSError, InputError), coding(self.path):
            self._container.close()
        if self._frames > 1:  # then the first is out, and what is there is not read: it may be hours
            return
        with contextlib.suppress(OSError, InputError), coding(self.path):
            if os.path.samestat(os.stat(self.path), self._file) and not recorded_size(self.path):
                self.path.unlink()

    def _look(self) -> None:
        """Raise OSError where the file was deleted or replaced: what is written into it is seen by nobody."""
        if time.monotonic() - self._looked_s > LOOK_S:
            self._looked_s = time.monotonic()
            if not os.path.samestat(os.stat(self.path), self._file):
                raise FileNotFoundError(errno.ENOENT, "it was moved or replaced")


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
