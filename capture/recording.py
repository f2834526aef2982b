"""What is recorded of a source while it is looked at: its own packets, or those of another stream of the camera."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import Literal, Self

from msgspec.structs import asdict

from capture.packet_copy import PacketCopy, PacketRecording
from capture.picture import Picture
from capture.second_stream import SecondStream
from capture.sources import kind_of
from configs.duration import milliseconds
from configs.errors import InputError
from configs.plural import counted
from configs.redact import redact
from configs.schema import OverlayConfig, SourceConfig
from transport.frame import Recorded

log = logging.getLogger("capture")

USUAL_SEGMENT_S = 60.0  # short enough to be deleted or sent by itself


class CapturedSource(SourceConfig, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A source as its capture is told of it: with how its packets are recorded, if they are."""

    recording: PacketRecording | None = None


def captured(source: SourceConfig, overlay: OverlayConfig, still_fps: float | Literal["all"] = "all") -> CapturedSource:
    """A source as its capture is told of it; raises InputError for what cannot be as it is asked.

    `still_fps` is what holds where the source leaves it open.
    """
    folder = next((sink.partition(":")[2] for sink in overlay.sinks if sink.startswith("record:")), "")
    recording = None
    if source.record and not folder:
        raise InputError("record: of a source is recorded by --sink record:FOLDER/, which is not given")
    if folder:
        kind = kind_of(source.source)
        if not kind.has_packets and not source.record:
            raise InputError(
                f"sink record: takes a film or a network camera; {redact(source.source)} is {kind.called}: "
                "record it with --sink file:OUT.mp4"
            )
        segment_s = milliseconds(overlay.segment) / 1000 if overlay.segment else USUAL_SEGMENT_S
        recording = PacketRecording(
            folder=folder,
            segment_s=segment_s,
            keep_days=0.0 if overlay.upload else overlay.record_days,  # what was uploaded, its process deletes
            keep_gb=0.0 if overlay.upload else overlay.record_gb,
            sound=overlay.record_sound,
        )
    if not isinstance(source.still_fps, str) and (source.mode == "every" or overlay.privacy != "none"):
        why = "mode: every" if source.mode == "every" else "overlay.privacy"
        raise InputError(f"{redact(source.source)}: still_fps: with {why} each picture goes on; leave it out, or all")
    asked = asdict(source)
    if source.still_fps == "auto" and "still_fps" in kind_of(source.source).options:
        asked["still_fps"] = still_fps
    return CapturedSource(**asked, recording=recording)


class Recording:
    """The recording of one stream, begun and finished as a context manager; of nothing, if nothing is asked for.

    `copy` is what takes the packets of the source that is looked at; None: they are not recorded. Leaving it raises
    InputError where a part of a film could not be written.
    """

    def __init__(
        self, config: CapturedSource, stream: str, counts: dict[str, int], delays: Callable[[], Iterator[float]]
    ) -> None:
        self._config, self._stream, self._counts, self._delays = config, stream, counts, delays
        self._copy: PacketCopy | None = None
        self._second: SecondStream | None = None

    def __enter__(self) -> Self:
        config = self._config
        if config.recording:
            self._copy = PacketCopy(config.recording, self._stream, paced=config.realtime)
            if config.record:
                self._second = SecondStream(config, self._copy, self._stream, self._delays)
                self._second.start()
        return self

    @property
    def copy(self) -> PacketCopy | None:
        return None if self._second else self._copy

    def check(self) -> None:
        """Raises InputError if the source, which was opened, cannot be recorded."""
        if self.copy and self.copy.unfit:
            raise InputError(f"{redact(self._config.source)}: {self.copy.unfit}: record it with --sink file:OUT.mp4")

    def place(self, picture: Picture, captured_ns: int) -> Recorded | None:
        """Where a picture is in the recording; None: there is none."""
        if self._copy is None:
            return None
        self._counts |= self._copy.counts
        return self._copy.when(captured_ns) if self._second else picture.recorded

    def pause(self, paused: bool) -> None:
        """Let the other stream be, too, or go on with it."""
        if self._second:
            self._second.paused = paused

    def __exit__(self, _: object, raised: object, __: object) -> None:
        if self._second:
            self._second.stop()
        if self._copy is None:
            return
        error = self._copy.close()
        self._counts |= self._copy.counts
        log.info("%s: %s recorded", self._stream, counted(self._copy.counts["recorded"], "packet"))
        if error and self._copy.waits and raised is None:
            raise InputError(error)
