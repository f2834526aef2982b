"""What goes over a socket: every message of the pipeline, to bytes and back. No pickle.

A message is a version byte and msgpack. A frame is told of by its header; its pixels stay in shared memory, and the
same header lies beside them. Whatever arrives is checked here (version, types, sizes); behind this door it is trusted.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from transport.frame import Face, Frame, Recorded
from transport.pixels import Colours, Pixels

VERSION = b"\x07"
MAX_SIDE_PX = 1 << 16


class WireError(ValueError):
    """Bytes that are not a message of this version of maskstream."""


class FrameHeader(Struct, frozen=True, tag="frame"):
    """All of a frame but its pixels, which are in `slot` of its stream's shared memory, the segment with that id.

    A stream may have the name of one that has ended, and a message of that one may come late.
    """

    stream: str
    segment: int
    seq: int
    captured_ns: int
    height: int
    width: int
    faces: tuple[Face, ...]
    media_ms: float | None
    name: str
    live: bool
    corrupt: bool
    candidates: tuple[Face, ...]
    recorded: Recorded | None
    slot: int
    colours: Colours | None  # of planes; None: its pixels are BGR

    def with_pixels(self, pixels: Pixels) -> Frame:
        """The frame, with its picture."""
        return Frame(
            stream=self.stream,
            seq=self.seq,
            captured_ns=self.captured_ns,
            pixels=pixels,
            faces=self.faces,
            media_ms=self.media_ms,
            name=self.name,
            live=self.live,
            corrupt=self.corrupt,
            candidates=self.candidates,
            recorded=self.recorded,
            slot=self.slot,
        )


class Return(Struct, frozen=True, tag="return"):
    """To capture: frames of its stream have ended. Which ones, and how, stands in their slots."""

    stream: str


class Open(Struct, frozen=True, tag="open"):
    """From the supervisor to a stage: a stream was added while the run goes on; where its memory and its capture are.

    `id` is that of the segment (transport/pool.py): its place may be another's by the time that this is read. The
    processes of other lanes than `lane` hear of it, too.
    """

    stream: str
    segment: str
    id: int
    returns: str
    lane: int = 0


class Pause(Struct, frozen=True, tag="pause"):
    """From the supervisor to capture: let the source be, or go on with it."""

    stream: str
    paused: bool


class Command(Struct, frozen=True, tag="command"):
    """From a process beside the frames to the supervisor: change the streams. `source` is JSON, of `add` only."""

    number: int
    action: str
    stream: str
    source: bytes = b""


class Ready(Struct, frozen=True, tag="ready"):
    """From a worker to the supervisor: it can take frames; `facts` is what it says of itself."""

    process: str
    pid: int
    facts: dict[str, str]


class Beat(Struct, frozen=True, tag="beat"):
    """A worker's heartbeat. `busy_since_ns` is 0 when it waits; the rest is of this life of the process.

    `cpu_ns` is what the process has used since it was ready; `counts` is what the stage counts of its own work,
    `gauges` what there is of something right now, `says` what it says of itself right now.
    """

    process: str
    pid: int
    busy_since_ns: int
    frames: int
    batches: int
    busy_ns: int
    cpu_ns: int = 0
    counts: dict[str, int] = {}
    says: dict[str, str] = {}
    gauges: dict[str, int] = {}


class Refused(Struct, frozen=True, tag="refused"):
    """From a worker to the supervisor: what the user gave cannot be used, and why (one line)."""

    process: str
    reason: str


Message = FrameHeader | Return | Open | Pause | Command | Ready | Beat | Refused

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Message)  # type: ignore[arg-type]


def encode(message: Message) -> bytes:
    """A message as bytes."""
    return VERSION + _encoder.encode(message)


def encode_frame(frame: Frame, segment: int) -> bytes:
    """The header of a frame that lies in a slot of a segment, as bytes."""
    assert frame.slot is not None, f"{frame} is in no slot"
    header = FrameHeader(
        stream=frame.stream,
        segment=segment,
        seq=frame.seq,
        captured_ns=frame.captured_ns,
        height=frame.height,
        width=frame.width,
        faces=frame.faces,
        media_ms=frame.media_ms,
        name=frame.name,
        live=frame.live,
        corrupt=frame.corrupt,
        candidates=frame.candidates,
        recorded=frame.recorded,
        slot=frame.slot,
        colours=frame.pixels.colours,
    )
    return VERSION + _encoder.encode(header)


def decode(data: bytes | memoryview) -> Message:
    """The message in these bytes. Raises WireError for anything that is none."""
    if data[:1] != VERSION:
        raise WireError(f"message of version {bytes(data[:1]).hex() or 'none'}, this is version {VERSION.hex()}")
    try:
        message: Message = _decoder.decode(memoryview(data)[1:])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"not a message: {error}") from None
    if isinstance(message, FrameHeader) and not (
        0 < message.height < MAX_SIDE_PX and 0 < message.width < MAX_SIDE_PX and message.seq >= 0 and message.slot >= 0
    ):
        raise WireError(f"frame of {message.width}x{message.height} px with seq {message.seq} in slot {message.slot}")
    if isinstance(message, FrameHeader) and message.colours and not message.colours.fit(message.height, message.width):
        raise WireError(f"planes of {message.width}x{message.height} px, {message.colours}")
    return message


def decode_header(data: bytes) -> FrameHeader:
    """The header that was noted beside a frame's pixels."""
    message = decode(data)
    if not isinstance(message, FrameHeader):
        raise WireError(f"{message} is noted where a frame should be")
    return message
