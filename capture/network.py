"""Pictures of a network camera: rtsp, http, udp and what else FFmpeg receives."""

from __future__ import annotations

import time

from capture.decoder import Decoder, NoVideo, broke_off, why, write_bgr
from capture.picture import Picture, Room, Source, SourceLost
from configs.errors import InputError
from configs.redact import redact
from configs.schema import SourceConfig


class NetworkCamera(Source):
    """A stream from the network, opened. It ends with SourceLost only: a camera has no last picture.

    A picture left the source when it was decoded: what the camera and the way here took before is not known.
    Raises InputError, without the password, if it cannot be reached.
    """

    live = True

    def __init__(self, config: SourceConfig) -> None:
        import av

        began_s = time.monotonic()
        try:
            self._decoder = Decoder(
                config.source, _options(config), timeouts_s=(config.open_timeout_s, config.read_timeout_s)
            )
        except av.error.FFmpegError as error:
            silent = broke_off(error, began_s, config.open_timeout_s)
            reason = f"no answer within {config.open_timeout_s:g} s" if silent else why(error)
            raise InputError(f"{redact(config.source)}: {reason}") from None
        except NoVideo:
            raise InputError(f"{redact(config.source)}: it sends no video") from None
        self.fps = self._decoder.fps
        self._frames = self._decoder.frames()

    def read(self, room: Room) -> Picture:
        """The next picture. Raises SourceLost when the stream ends, breaks or falls silent."""
        for frame in self._frames:
            captured_ns = time.monotonic_ns()
            return Picture(write_bgr(frame, room), captured_ns)
        raise SourceLost("the stream ended")  # a killed server looks just like that

    def close(self) -> None:
        self._decoder.close()


def _options(config: SourceConfig) -> dict[str, str]:
    """FFmpeg's options for a quick start and low delay.

    `fflags=nobuffer`, which is often recommended, is left out: it throws away the packets that were looked at while
    opening, the key frame with them, so that the first picture of a camera with a key frame every 4 s took 4.2 s.
    """
    if not config.source.lower().startswith("rtsp"):
        return {"analyzeduration": "500000"}  # looks at 0.5 s of the stream instead of 5 s to know what it is
    options = {
        "rtsp_transport": config.rtsp_transport,
        "allowed_media_types": "video",
        "analyzeduration": "100000",  # RTSP says by itself what it sends: first picture after 0.2 s, of 0.6 s with 0.5
    }
    if config.rtsp_transport == "tcp":
        options["max_delay"] = "0"  # TCP brings packets in order: nothing to wait for
    return options
