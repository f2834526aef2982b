"""Records another stream than the one that is looked at: the large one of a camera, whose small one is enough to see
who is there. It is read by a thread of its own, which reconnects on its own: each goes on while the other is away."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator

from msgspec.structs import replace

from capture.decoder import Decoder
from capture.ffmpeg_error import why
from capture.kinds.network import NetworkKind, network_options, opened_decoder
from capture.packet_copy import PacketCopy
from capture.patience import Patience
from configs.errors import InputError
from configs.redact import redact
from configs.schema import SourceConfig

log = logging.getLogger("capture")

_LOOK_S = 0.2  # how often a paused stream is looked at


def check_record(config: SourceConfig) -> None:
    """Raises InputError if `record` of a source is no address of a network camera."""
    kind = NetworkKind()
    if not kind.fits(config.record) or config.record.lower().startswith(("http://", "https://")):
        raise InputError(f"record: {redact(config.record)} is no network camera: give an address as rtsp://...")
    kind.check(SourceConfig(source=config.record))


class SecondStream(threading.Thread):
    """Reads the packets of `config.record` until it is told to stop, however often the camera goes away meanwhile."""

    def __init__(
        self, config: SourceConfig, copy: PacketCopy, stream: str, delays: Callable[[], Iterator[float]]
    ) -> None:
        super().__init__(name="second", daemon=True)
        self._config, self._copy, self._stream = replace(config, source=config.record, decode="cpu"), copy, stream
        self._delays, self._stop = delays, threading.Event()
        self.paused = False

    def stop(self) -> None:
        """End soon: the thread may be in the camera's library for as long as that waits."""
        self._stop.set()

    def run(self) -> None:
        delays, away = self._delays(), False
        while not self._stop.is_set():
            if self.paused:
                self._stop.wait(_LOOK_S)
                continue
            reason = ""
            try:
                for came in self._packets():
                    if came and away:
                        log.info("%s: the stream that is recorded is back", self._stream)
                        away, delays = False, self._delays()
            except InputError as error:
                reason = str(error)
            if reason and not self._stop.is_set():
                if not away:
                    log.warning("%s: the stream that is recorded is away (%s)", self._stream, reason)
                away = True
                self._stop.wait(next(delays))

    def _packets(self) -> Iterator[bool]:
        """Reads on; gives something after each packet. Raises InputError where the stream cannot be had, or ends."""
        import av

        config = self._config
        timeouts_s = config.open_timeout_s, config.read_timeout_s
        patience = Patience(config.read_timeout_s)
        options = network_options(config, self._copy)
        decoder: Decoder = opened_decoder(config, config.source, options, timeouts_s, patience, copy=self._copy)
        try:
            if self._copy.unfit:
                raise InputError(f"{redact(config.source)}: {self._copy.unfit}")
            for _ in decoder.packets():
                if self._stop.is_set() or self.paused:
                    return
                yield True
            raise InputError("the stream ended")
        except av.error.FFmpegError as error:
            raise InputError(why(error)) from None
        finally:
            decoder.close()
