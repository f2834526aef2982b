"""Publishes a stream, as it is drawn, to an RTSP server: others watch it there, also while the camera is away."""

from __future__ import annotations

import logging
import random
import threading
import time
from fractions import Fraction
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import cv2
import numpy as np

from configs.errors import InputError
from configs.redact import redact
from overlay.draw import away_picture
from overlay.recorder import fit
from overlay.sinks.sink import Sink
from transport.cores import give_way
from transport.frame import Frame

if TYPE_CHECKING:
    import av

log = logging.getLogger("overlay")

FPS = 15  # pictures per second that are published, the newest each time
TIMEOUT_US = "5000000"  # of a server that does not answer
BACK_OFF_S = (0.5, 15.0)
H264 = {"preset": "ultrafast", "tune": "zerolatency", "crf": "26", "g": str(2 * FPS)}  # 720p: 5 ms a picture
AWAY_AFTER_S = 2.0


class PublishSink(Sink):
    """A thread for each stream encodes its newest picture and sends it; `{stream}` in the URL is its name.

    The server must take what it is sent (ANNOUNCE and RECORD). While it is away it is tried again with back-off;
    while the camera is away a placeholder is sent, so that viewers stay connected.
    """

    def __init__(self, url: str, first: str = "") -> None:
        self._url, self._first = url, first
        self._publishers: dict[str, _Publisher] = {}
        self._leaving: list[_Publisher] = []  # of streams that have ended

    def show(self, frame: Frame, picture: np.ndarray, age_ms: float) -> None:
        if frame.stream not in self._publishers:
            url = self._url_of(frame.stream)
            self._publishers[frame.stream] = _Publisher(frame.stream, url, picture.shape[1], picture.shape[0])
            self._publishers[frame.stream].start()
        self._publishers[frame.stream].newest = time.monotonic(), picture

    def _url_of(self, stream: str) -> str:
        """A URL without `{stream}` is that of the stream `first`; others, which are added later, are below it."""
        url = self._url
        if self._first and stream != self._first and "{stream}" not in url:
            url = f"{url.rstrip('/')}/{{stream}}"
        return url.replace("{stream}", stream)

    def ended(self, stream: str) -> None:
        """Take leave of the server, in the stream's own thread: nobody waits for the network."""
        self._leaving = [publisher for publisher in self._leaving if publisher.is_alive()]
        if stream in self._publishers:
            self._publishers[stream].closing.set()
            self._leaving.append(self._publishers.pop(stream))

    def close(self) -> None:
        for stream in list(self._publishers):
            self.ended(stream)
        for publisher in self._leaving:
            publisher.join(1)  # one that hangs in the network ends with the process


class _Publisher(threading.Thread):
    def __init__(self, stream: str, url: str, width: int, height: int) -> None:
        super().__init__(name=f"to-{stream}", daemon=True)
        self._stream, self._url = stream, url
        self._width, self._height = width + width % 2, height + height % 2
        self.newest: tuple[float, np.ndarray] = (time.monotonic(), np.zeros((height, width, 3), np.uint8))
        self.closing = threading.Event()

    def run(self) -> None:
        import av

        give_way()
        delay_s, away = BACK_OFF_S[0], False
        while not self.closing.is_set():
            try:
                with self._open() as container:
                    log.info("%s: published at %s", self._stream, redact(self._url))
                    delay_s, away = BACK_OFF_S[0], False
                    self._publish(container)
            except (av.error.FFmpegError, OSError) as error:
                if not away:
                    reason = redact(getattr(error, "strerror", None) or str(error))
                    log.warning("%s: %s is away (%s)", self._stream, redact(self._url), reason)
                away = True
                self.closing.wait(delay_s * random.uniform(0.75, 1.25))
                delay_s = min(2 * delay_s, BACK_OFF_S[1])

    def _open(self) -> av.container.OutputContainer:
        import av

        options = {"rtsp_transport": "tcp", "timeout": TIMEOUT_US, "stimeout": TIMEOUT_US}
        return av.open(self._url, "w", format="rtsp", options=options)

    def _publish(self, container: av.container.OutputContainer) -> None:
        import av

        track = container.add_stream("libx264", rate=FPS, options=H264)
        track.width, track.height, track.pix_fmt = self._width, self._height, "yuv420p"
        track.codec_context.time_base = Fraction(1, FPS)
        track.codec_context.thread_count = 1
        began_s, number = time.monotonic(), 0
        while not self.closing.is_set():
            coded = av.VideoFrame.from_ndarray(self._yuv(), format="yuv420p")
            coded.pts, coded.time_base = number, Fraction(1, FPS)
            container.mux(track.encode(coded))
            number = max(number + 1, round((time.monotonic() - began_s) * FPS))
            self.closing.wait(max(0.0, began_s + number / FPS - time.monotonic()))
        container.mux(track.encode(None))

    def _yuv(self) -> np.ndarray:
        came_s, picture = self.newest
        silent_s = time.monotonic() - came_s
        if silent_s > AWAY_AFTER_S:
            picture = away_picture(self._stream, silent_s, self._width, self._height)
        return np.asarray(cv2.cvtColor(fit(picture, self._width, self._height), cv2.COLOR_BGR2YUV_I420), np.uint8)


def check_url(url: str) -> None:
    """Refuse what cannot be published to; raises InputError."""
    try:
        parts = urlsplit(url.replace("{stream}", "x"))
        good = bool(parts.hostname) and bool(parts.path.strip("/")) and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good:
        raise InputError(f"sink {redact(url)!r}: write it as rtsp://HOST/PATH or rtsp://USER:PASSWORD@HOST:PORT/PATH")
