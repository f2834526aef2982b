"""Opens a source once, as a run would, and tells what it sends and what could be better."""

from __future__ import annotations

import time
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct

from capture.packet_copy import PacketCopy
from capture.picture import NotYet, Place, SourceLost, Undecodable
from capture.sources import kind_of, open_source
from configs.errors import InputError
from configs.schema import SourceConfig
from transport.frame import Recorded
from transport.local_tickets import LocalTickets

if TYPE_CHECKING:
    from av import AudioStream, Packet, VideoStream

LONG_KEY_S = 4.0  # from one key frame to the next: behind a loss nothing is shown for so long, and `record:` cuts there
WIDE_PX = 1280  # faces are searched in pictures of 1280 px at most (detect.width)
SLOW_OPEN_S = 5.0
LEAST_SHARE = 0.8  # of the rate that it tells


class PacketMeter(PacketCopy):
    """Sees the packets that a source brings, in the place of a recording."""

    sound, on, waits = False, True, False

    def __init__(self) -> None:
        self.codec, self.nbytes = "", 0
        self.keys_s: list[Fraction] = []
        self.times_s: list[Fraction] = []
        self._index, self._begins = -1, False

    def begin(self, video: VideoStream, sound: AudioStream | None, live: bool) -> None:
        self.codec, self._index = video.codec_context.name, video.index

    def take(self, packet: Packet) -> None:
        if packet.stream_index != self._index:
            return
        self.nbytes += packet.size
        self._begins |= bool(packet.is_keyframe)
        if (time := packet.dts if packet.dts is not None else packet.pts) is not None and packet.time_base:
            self.times_s.append(time * packet.time_base)
            if self._begins:  # the first packets of RTSP tell no time: theirs is nearly that of the next one
                self.keys_s.append(self.times_s[-1])
            self._begins = False

    def at(self, pts: int | None, time_base: Fraction | None) -> Recorded:
        return Recorded()

    def end(self) -> None: ...

    @property
    def key_interval_s(self) -> float | None:
        """The longest time between two key frames; None: there were not two."""
        return max((float(b - a) for a, b in zip(self.keys_s, self.keys_s[1:], strict=False)), default=None)

    @property
    def since_key_s(self) -> float:
        """How long the newest packet is behind the newest key frame."""
        return float(self.times_s[-1] - self.keys_s[-1]) if self.keys_s else 0.0

    @property
    def mbit_per_s(self) -> float:
        """By the clock of the source."""
        span_s = float(self.times_s[-1] - self.times_s[0]) if self.times_s else 0.0
        return 8e-6 * self.nbytes / span_s if span_s > 0 else 0.0


class CameraCheck(Struct, frozen=True, kw_only=True):
    """What a source sent while it was looked at. Times in s, rates in 1/s, 0 where it has none.

    `key_s` is the time between key frames, `key_is_least` that it is longer than that. `image` is the last picture,
    (H, W, 3) uint8 BGR.
    """

    opened_s: float
    first_s: float
    width: int
    height: int
    fps: float
    told_fps: float
    pictures: int
    damaged: int
    codec: str = ""
    mbit_per_s: float = 0.0
    key_s: float = 0.0
    key_is_least: bool = False
    image: np.ndarray

    @property
    def words(self) -> str:
        """What it sends, in one line."""
        parts = [f"{self.width}x{self.height}"]
        if self.fps:
            parts.append(f"{self.fps:.3g} pictures/s")
        if self.codec:
            rate = f" {self.mbit_per_s:.1f} Mbit/s" if self.mbit_per_s else ""
            parts.append(f"{self.codec}{rate}")
        if self.key_s:
            parts.append(f"a key frame each {'more than ' if self.key_is_least else ''}{self.key_s:.2g} s")
        return f"{', '.join(parts)}; opens in {self.opened_s:.1f} s, first picture after {self.first_s:.1f} s"

    def advice(self, config: SourceConfig) -> Iterator[str]:
        """What could be better, and how."""
        if self.damaged:
            yield f"{self.damaged} of {self.pictures} pictures came damaged: rtsp_transport: tcp loses none on the way"
        if self.key_s > LONG_KEY_S:
            yield (
                f"a key frame each {self.key_s:.0f} s is rare: set its I-frame interval (GOP) to 1 or 2 s; recordings "
                "are cut there, and after a loss nothing is shown until the next"
            )
        if self.width > WIDE_PX and not config.record and kind_of(config.source).has_packets:
            yield (
                f"{self.width} px are more than is searched: watch its sub-stream (640 to 1280 px wide), and record "
                "this one with record:"
            )
        if self.fps and self.fps < LEAST_SHARE * self.told_fps:
            yield f"it tells {self.told_fps:.3g} pictures/s and sends {self.fps:.2g}: is it dark, or its net full?"
        if self.opened_s > SLOW_OPEN_S:
            yield f"it takes {self.opened_s:.0f} s to open: after each loss it is away for at least so long"


def check_camera(config: SourceConfig, seconds: float = 5.0) -> CameraCheck:
    """Look at a source for so long. Raises InputError if it cannot be opened, or sends no picture."""
    meter, room, began_s = PacketMeter(), LocalTickets("check").room, time.monotonic()
    camera = kind_of(config.source).may_come_back
    source = open_source(config, Place(copy=meter if camera and kind_of(config.source).has_packets else None))
    opened_s = time.monotonic() - began_s
    times_s: list[float] = []
    damaged, image = 0, None
    with source:
        while image is None or time.monotonic() < times_s[0] + seconds:
            try:
                picture = source.read(room)
            except NotYet:
                if image is None and time.monotonic() > began_s + opened_s + config.read_timeout_s:
                    raise InputError(f"sends no picture within {config.read_timeout_s:g} s") from None
                continue
            except SourceLost as lost:
                if image is None:
                    raise InputError(str(lost)) from None
                break
            except Undecodable as error:
                if not camera:
                    raise InputError(str(error)) from None
                damaged += 1
                continue
            if picture is None:
                break
            image = np.asarray(picture.image)
            damaged += picture.corrupt
            times_s.append(time.monotonic())
            if not camera:
                break  # a film is read as fast as it can be: one picture tells its size
    if image is None:
        raise InputError("has no picture")
    span_s = times_s[-1] - times_s[0]
    longest_s = meter.key_interval_s
    return CameraCheck(
        opened_s=opened_s,
        first_s=times_s[0] - began_s,
        width=image.shape[1],
        height=image.shape[0],
        fps=(len(times_s) - 1) / span_s if span_s > 0 else source.fps,
        told_fps=source.fps,
        pictures=len(times_s),
        damaged=damaged,
        codec=meter.codec,
        mbit_per_s=meter.mbit_per_s,
        key_s=longest_s or meter.since_key_s,
        key_is_least=longest_s is None,
        image=image,
    )
