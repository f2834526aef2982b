"""Pictures of a camera that sends MJPEG over HTTP (multipart/x-mixed-replace)."""

from __future__ import annotations

import time

import numpy as np

from capture.http_client import Broken, HttpClient, Reply
from capture.multipart import Multipart, TooLarge
from capture.patience import Patience
from capture.picture import NotYet, Picture, Room, Source, SourceLost
from capture.sieve import Sieve
from capture.still import decode_image

TICK_S = 1.0  # so long a read waits at most before it says that there is nothing yet


class MjpegCamera(Source):
    """An MJPEG stream, opened. It ends with SourceLost only. Each picture is captured when it has arrived."""

    live = True
    fps = 0.0  # no such stream tells its rate

    def __init__(
        self, client: HttpClient, reply: Reply, boundary: str, patience: Patience, fps: float | None = None
    ) -> None:
        self._client, self._reply, self._patience = client, reply, patience
        self._parts, self._sieve = Multipart(boundary), Sieve(fps)

    def read(self, room: Room) -> Picture:
        """The next picture. Raises SourceLost, NotYet, or Undecodable for a broken one."""
        began_s = time.monotonic()
        while (image := self._kept(self._next())) is None:
            if time.monotonic() - began_s > TICK_S:
                raise NotYet
        slot = room(*image.shape[:2])
        np.copyto(slot, image)
        return Picture(slot, time.monotonic_ns())

    def skipped(self) -> int:
        return self._sieve.taken()

    def _kept(self, data: bytes) -> np.ndarray | None:
        """The picture, unless it is not to be looked at."""
        now_s = time.monotonic()
        if not self._sieve.keeps(now_s):
            return None
        image = decode_image(data, "a picture of the stream")
        return image if self.still is None or self.still.keeps_bgr(image, now_s) else None

    def _next(self) -> bytes:
        """The next part that is an image, or does not say what it is."""
        self._patience.begin()
        try:
            while True:
                while (part := self._parts.part()) is None:
                    data = self._reply.read(min(TICK_S, self._patience.left_s))
                    if not data:
                        raise SourceLost("the stream ended")
                    self._parts.feed(data)
                media_type, body = part
                if media_type.startswith("image/") or not media_type:
                    self._patience.heard()
                    return body
        except TimeoutError:
            if self._patience.left_s:
                raise NotYet from None
            raise SourceLost(f"no picture for {self._patience.limit_s:.3g} s") from None
        except TooLarge:
            raise SourceLost("a part of the stream is too large for a picture") from None
        except Broken as error:
            raise SourceLost(str(error)) from None

    def close(self) -> None:
        self._reply.close()
        self._client.close()
