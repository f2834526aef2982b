"""Decodes anything that FFmpeg reads, files and network streams alike, into BGR pictures.

PyAV rather than cv2.VideoCapture: on a file cut off in the middle cv2 gives 42 of the 44 pictures that ffprobe counts,
a clip whose size changes is squeezed into its first size, and all colours are taken for BT.601. At the same cost:
640x480 0.69 ms of CPU per picture (cv2 0.66), 1280x720 2.1 ms (cv2 2.0), one thread each.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

import cv2
import numpy as np

from capture.patience import Patience
from capture.picture import NotYet, Room, SourceLost

if TYPE_CHECKING:
    from av import Packet, VideoFrame, VideoStream
    from av.container import InputContainer

    from capture.http_file import HttpFile

USUAL_FPS = 25.0  # taken where a stream does not tell its rate
_TURNS = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, -90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, -180: cv2.ROTATE_180}


class NoVideo(Exception):
    """What was opened has no pictures in it."""


class Decoder:
    """The first video track of a file or stream, opened.

    `fps` is the nominal rate, `duration_s` what the container says of itself (None if it says nothing), `damaged`
    the number of packets that could not be decoded so far, `tells_length` whether the container knows where it ends.
    A live source brings `patience`, and `timeouts_s` to open and to read. Raises av.error.FFmpegError, whose text
    contains the address with its password, or NoVideo.
    """

    def __init__(
        self,
        address: str | HttpFile,
        options: dict[str, str] | None = None,
        timeouts_s: tuple[float, float] | None = None,
        patience: Patience | None = None,
    ) -> None:
        import av

        av.logging.set_level(None)  # FFmpeg's own lines name the address with its password
        self._patience = patience
        self._read_timeout_s = timeouts_s[1] if timeouts_s else math.inf
        self._container = av.open(address, "r", options=options or {}, timeout=timeouts_s)
        tracks = [track for track in self._container.streams.video if not _is_cover(track)]
        if not tracks:
            self._container.close()
            raise NoVideo
        self._track = tracks[0]
        self._track.thread_type = "SLICE"  # frame threads hold pictures back
        self._track.codec_context.thread_count = 1
        self.fps = float(self._track.average_rate or self._track.guessed_rate or USUAL_FPS)
        self.duration_s = _duration_s(self._container, self._track)
        self.tells_length = _tells_length(self._container, self._track)
        self.damaged = 0

    def frames(self) -> Iterator[VideoFrame]:
        """The decoded pictures in the order they are shown. Packets that cannot be decoded are passed over.

        Ends at the end, and where a file turns out to be cut off. Of a live source it raises SourceLost where the
        stream breaks or has had no picture for too long, and NotYet where it may only be slow: ask for frames again.
        """
        import av

        asked_s = time.monotonic()
        try:
            for packet in self._container.demux():
                frames = self._decode(packet) if packet.stream_index == self._track.index else []
                if self._patience:
                    self._watch(self._patience, frames)
                yield from frames
                asked_s = time.monotonic()
        except av.error.FFmpegError as error:
            if self._patience:
                silent = broke_off(error, asked_s, self._read_timeout_s)
                if silent and self._patience.left_s:
                    raise NotYet from None
                raise SourceLost(_silence(self._patience) if silent else why(error)) from None
            self.damaged += 1
            yield from self._decode(None)  # the pictures that it still holds for their order

    @staticmethod
    def _watch(patience: Patience, frames: list[VideoFrame]) -> None:
        if frames:
            patience.heard()
        elif not patience.left_s:  # sound only, or all damaged
            raise SourceLost(_silence(patience))

    def _decode(self, packet: Packet | None) -> list[VideoFrame]:
        import av

        try:
            return self._track.decode(packet)
        except av.error.FFmpegError:
            self.damaged += 1
            return []

    def close(self) -> None:
        self._container.close()


def write_bgr(frame: VideoFrame, room: Room) -> np.ndarray:
    """Write a picture as BGR into the room, upright: turned as a phone's clip asks for. Gives what the room gave."""
    bgr = frame.to_ndarray(format="bgr24", threads=1)  # a view; copied once, into the room
    turn = _TURNS.get(frame.rotation)
    height, width = bgr.shape[:2]
    if turn is None:
        slot = room(height, width)
        np.copyto(slot, bgr)
    else:
        slot = room(height, width) if turn == cv2.ROTATE_180 else room(width, height)
        cv2.rotate(bgr, turn, dst=slot)
    return slot


def broke_off(error: Exception, since_s: float, timeout_s: float) -> bool:
    """Whether an error is PyAV's own clock ending the call; in the midst of parsing it looks like invalid data."""
    import av

    return isinstance(error, av.error.ExitError) or time.monotonic() - since_s >= timeout_s


def why(error: Exception) -> str:
    """An error of FFmpeg in words, without the address that its own text contains."""
    import av

    if isinstance(error, ConnectionRefusedError):
        return "connection refused: is it switched on, and is the port right?"
    if isinstance(error, av.error.HTTPUnauthorizedError):
        return "401 unauthorized: user or password is wrong or missing"
    if isinstance(error, av.error.HTTPNotFoundError):
        return "404 not found: the path of the URL is wrong"
    if isinstance(error, av.error.InvalidDataError):
        return "what comes is no video that FFmpeg can read"
    return str(getattr(error, "strerror", None) or type(error).__name__).lower()


def _silence(patience: Patience) -> str:
    return f"no picture for {patience.limit_s:.3g} s"


def _is_cover(track: VideoStream) -> bool:
    """Whether the track is the one picture on the sleeve of a music file."""
    from av.stream import Disposition

    return bool(track.disposition & Disposition.attached_pic)


def _duration_s(container: InputContainer, track: VideoStream) -> float | None:
    """Of the track where the container knows it (mp4), else of the whole (mkv)."""
    if track.duration and track.time_base:
        return float(track.duration * track.time_base)
    return container.duration / 1e6 if container.duration else None


def _tells_length(container: InputContainer, track: VideoStream) -> bool:
    """Of a fragmented MP4, which may be live, FFmpeg adds up the fragments that it has seen; only its count is 0."""
    fragmented = container.format.name.startswith("mov") and not track.frames
    return bool(container.duration and container.duration > 0) and not fragmented
