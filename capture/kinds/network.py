"""Pictures of a network camera that FFmpeg receives: rtsp, rtmp, udp, live HLS and others."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from msgspec.structs import replace

from capture.decoder import Decoder, NoVideo
from capture.ffmpeg_error import broke_off, why
from capture.kind import Kind
from capture.origin import is_corrupt, luma_of, write_picture
from capture.patience import Patience
from capture.picture import NotYet, Picture, Place, Room, Source, SourceLost
from capture.playout import TOLERANCE_S, Playout
from capture.sieve import TICK_S, Sieve
from configs.address import check_address, written
from configs.errors import InputError
from configs.redact import redact
from configs.schema import SourceConfig

if TYPE_CHECKING:
    from av import VideoFrame

    from capture.http_file import HttpFile, HttpParts
    from capture.packet_copy import PacketCopy

_SCHEMES = ("rtsp", "rtsps", "http", "https", "udp", "rtp", "tcp", "rtmp", "rtmps")  # what PyAV's wheel receives


class NetworkKind(Kind):
    """A URL of anything but a web server."""

    name, called, written = "network", "a network camera", "rtsp://..."
    modules = ("av",)
    options = ("fps", "still_fps", "decode", "wait", "open_timeout_s", "read_timeout_s", "rtsp_transport")
    may_come_back = True
    has_packets = True

    def fits(self, text: str) -> bool:
        return "://" in text

    def check(self, config: SourceConfig) -> None:
        scheme = config.source.split("://")[0].lower()
        if scheme not in _SCHEMES:
            raise InputError(f"{redact(config.source)}: unknown kind of URL; known are {', '.join(_SCHEMES)}")
        check_address(config.source)
        if config.rtsp_transport != SourceConfig(source="").rtsp_transport and not scheme.startswith("rtsp"):
            raise InputError(f"rtsp_transport is for rtsp URLs; {redact(config.source)} is none")

    def open(self, config: SourceConfig, place: Place) -> Source:
        return open_camera(replace(config, source=written(config.source)), place.copy)


class NetworkCamera(Source):
    """A live stream, opened. It ends with SourceLost only: a camera has no last picture.

    A picture counts as captured when it was decoded, or where pictures come in bursts, when it is due by its own
    timestamp: what the camera and the way here took before is not known.
    """

    live = True

    def __init__(
        self,
        decoder: Decoder,
        patience: Patience,
        playout: Playout | None = None,
        body: HttpFile | HttpParts | None = None,
        fps: float | None = None,
    ) -> None:
        self._decoder, self._patience, self._playout, self._body = decoder, patience, playout, body
        self._sieve = Sieve(fps)
        self.fps = decoder.fps
        self._frames = self._decoder.frames()

    def read(self, room: Room) -> Picture:
        """The next picture. Raises SourceLost when the stream ends, breaks or falls silent, NotYet if it is slow."""
        self._patience.begin()
        began_s, is_late = time.monotonic(), False
        try:
            for frame in self._frames:
                now_s = time.monotonic()
                if not self._keeps(frame, now_s if frame.time is None else frame.time):
                    is_late = now_s - began_s > TICK_S
                    if is_late:
                        break
                    continue
                image, due_ns = write_picture(frame, room, self.planes), self._due_ns(frame)
                return Picture(image, due_ns, corrupt=is_corrupt(frame), recorded=self._decoder.recorded(frame))
        except NotYet:
            self._frames = self._decoder.frames()
            raise
        except SourceLost as lost:
            raise SourceLost(self._broke or str(lost)) from None
        if is_late:
            raise NotYet
        raise SourceLost(self._broke or "the stream ended")  # a killed server looks just like that

    def _keeps(self, frame: VideoFrame, time_s: float) -> bool:
        """Whether a picture of that time is to be looked at. Who does not skip one has not copied it either."""
        if not self._sieve.keeps(time_s):
            return False
        return self.still is None or is_corrupt(frame) or self.still.keeps(lambda: luma_of(frame), time_s)

    @property
    def _broke(self) -> str | None:
        return self._body.broke if self._body else None

    def _due_ns(self, frame: VideoFrame) -> int:
        now_ns = time.monotonic_ns()
        if self._playout is None:
            return now_ns
        return round(self._playout.due_s(frame.time, now_ns / 1e9) * 1e9)

    def skipped(self) -> int:
        return self._sieve.taken()

    @property
    def decodes(self) -> str:
        return self._decoder.decodes

    def close(self) -> None:
        self._decoder.close()
        if self._body:
            self._body.close()


def open_camera(config: SourceConfig, copy: PacketCopy | None = None) -> NetworkCamera:
    """A camera that FFmpeg opens by its address. Raises InputError, without the password, if it cannot be reached."""
    patience = Patience(config.read_timeout_s)
    timeouts_s = (config.open_timeout_s, config.read_timeout_s)
    decoder = opened_decoder(config, config.source, network_options(config, copy), timeouts_s, patience, copy=copy)
    even = config.source.lower().startswith(("rtsp", "rtmp"))  # what these bring late is made up for at once
    return NetworkCamera(decoder, patience, None if even else playout(config, bursts=False), fps=config.fps)


def opened_decoder(
    config: SourceConfig,
    address: str | HttpFile,
    options: dict[str, str],
    timeouts_s: tuple[float, float] | None = None,
    patience: Patience | None = None,
    parts: HttpParts | None = None,
    copy: PacketCopy | None = None,
) -> Decoder:
    """FFmpeg's reading of an address or of what is sent. Raises InputError, without the password."""
    import av

    body = parts if isinstance(address, str) else address
    began_s = time.monotonic()
    try:
        return Decoder(address, options, timeouts_s, patience, parts, copy, config.decode)
    except av.error.FFmpegError as error:
        if body:
            reason = body.broke or why(error)
        elif timeouts_s and broke_off(error, began_s, config.open_timeout_s):
            reason = f"no answer within {config.open_timeout_s:g} s"
        else:
            reason = _why_refused(config, error)
    except NoVideo:
        reason = "it sends no video" if body else _why_refused(config)
    raise InputError(f"{redact(config.source)}: {reason}") from None


def _why_refused(config: SourceConfig, error: Exception | None = None) -> str:
    from capture.refusal import why_refused  # brings urllib and ssl, which a camera that is there does not need

    return why_refused(config.source, error, config.open_timeout_s)


def playout(config: SourceConfig, bursts: bool) -> Playout:
    """The pace of a live stream; with an age budget nothing that is later than it is made up for."""
    return Playout(bursts, config.max_age_ms / 1000 or TOLERANCE_S)


def network_options(config: SourceConfig, copy: PacketCopy | None = None) -> dict[str, str]:
    """FFmpeg's options for a quick start and low delay.

    `fflags=nobuffer`, which is often recommended, is left out: it throws away the packets that were looked at while
    opening, the key frame with them, so that the first picture of a camera with a key frame every 4 s took 4.2 s.
    """
    if not config.source.lower().startswith("rtsp"):
        return {"analyzeduration": "500000"}  # looks at 0.5 s of the stream instead of 5 s to know what it is
    options = {
        "rtsp_transport": config.rtsp_transport,
        "allowed_media_types": "video+audio" if copy and copy.sound else "video",
        "analyzeduration": "100000",  # RTSP says by itself what it sends: first picture after 0.2 s, of 0.6 s with 0.5
    }
    if config.rtsp_transport == "tcp":
        options["max_delay"] = "0"  # TCP brings packets in order: nothing to wait for
    return options
