"""What goes over a socket: every message of the pipeline, to bytes and back. No pickle.

A message is one part, or two where a frame carries its pixels: a version byte and msgpack, then raw BGR.
Whatever arrives is checked here (version, types, sizes); behind this door it is trusted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import numpy as np
from msgspec import Struct

from transport.frame import Face, Frame

VERSION = b"\x05"
MAX_SIDE_PX = 1 << 16


class WireError(ValueError):
    """Bytes that are not a message of this version of maskstream."""


class End(Struct, frozen=True, tag="end"):
    """No more frames of this stream follow. Comes back to capture when the last stage has seen it."""

    stream: str


class Sweep(Struct, frozen=True, tag="sweep"):
    """Walks behind the frames; frames before `before_seq` that are not back when it is back are lost."""

    stream: str
    before_seq: int


class Ticket(Struct, frozen=True, array_like=True):
    """What became of a frame: its outcome, its age when it ended, and how many faces it had."""

    seq: int
    outcome: str
    age_ns: int
    faces: int


class Return(Struct, frozen=True, tag="return"):
    """Tickets on their way back to capture."""

    stream: str
    tickets: tuple[Ticket, ...]


class SweepRequest(Struct, frozen=True, tag="sweep_request"):
    """From the supervisor to capture: a stage died and is back, find out what it took with it."""

    stream: str


class Open(Struct, frozen=True, tag="open"):
    """Walks ahead of the frames of a stream that was added while the run went on: where its memory and tickets are.

    `gone` are those that were removed before, by where their tickets returned to: what is kept of them can go. A name
    may be used again, and this message may be older than what uses it; a place to return to never is.
    """

    stream: str
    segment: str
    returns: str
    gone: list[str]


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
    `says` what it says of itself right now.
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


class Refused(Struct, frozen=True, tag="refused"):
    """From a worker to the supervisor: what the user gave cannot be used, and why (one line)."""

    process: str
    reason: str


class _FrameHeader(Struct, frozen=True, tag="frame"):
    stream: str
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
    slot: int | None


Message = Frame | End | Sweep | Return | SweepRequest | Open | Pause | Command | Ready | Beat | Refused
Pixels = Callable[[str, int, int, int, int], "np.ndarray | None"]
"""(stream, slot, seq, height, width) -> the picture in shared memory, None if it is no longer that frame's."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(
    _FrameHeader | End | Sweep | Return | SweepRequest | Open | Pause | Command | Ready | Beat | Refused  # type: ignore[arg-type]
)


def encode(message: Message, with_pixels: bool = False) -> list[Any]:
    """The parts of a message. A frame's pixels go along if asked for, or if they are in no slot."""
    if not isinstance(message, Frame):
        return [VERSION + _encoder.encode(message)]
    carried = with_pixels or message.slot is None
    height, width = message.image.shape[:2]
    header = _FrameHeader(
        stream=message.stream,
        seq=message.seq,
        captured_ns=message.captured_ns,
        height=height,
        width=width,
        faces=message.faces,
        media_ms=message.media_ms,
        name=message.name,
        live=message.live,
        corrupt=message.corrupt,
        candidates=message.candidates,
        slot=None if carried else message.slot,
    )
    parts: list[Any] = [VERSION + _encoder.encode(header)]
    if carried:
        parts.append(np.ascontiguousarray(message.image))
    return parts


def decode(parts: Sequence[Any], pixels: Pixels | None = None) -> Message | None:
    """The message in these parts; None for a frame whose slot was given to another one meanwhile.

    `pixels` finds pictures that lie in shared memory. Raises WireError for anything that is no message.
    """
    head = parts[0]
    if head[:1] != VERSION:
        raise WireError(f"message of version {head[:1].hex() or 'none'}, this is version {VERSION.hex()}")
    try:
        message = _decoder.decode(memoryview(head)[1:])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError(f"not a message: {error}") from None
    if not isinstance(message, _FrameHeader):
        return message
    if not (0 < message.height < MAX_SIDE_PX and 0 < message.width < MAX_SIDE_PX and message.seq >= 0):
        raise WireError(f"frame of {message.width}x{message.height} px with seq {message.seq}")
    image = _carried(message, parts) if message.slot is None else _in_slot(message, pixels)
    if image is None:
        return None
    return Frame(
        stream=message.stream,
        seq=message.seq,
        captured_ns=message.captured_ns,
        image=image,
        faces=message.faces,
        media_ms=message.media_ms,
        name=message.name,
        live=message.live,
        corrupt=message.corrupt,
        candidates=message.candidates,
        slot=message.slot,
    )


def _carried(header: _FrameHeader, parts: Sequence[Any]) -> np.ndarray:
    shape = (header.height, header.width, 3)
    size = header.height * header.width * 3
    if len(parts) != 2 or memoryview(parts[1]).nbytes != size:
        raise WireError(f"frame of {header.width}x{header.height} px without its {size} bytes of pixels")
    image = np.frombuffer(parts[1], np.uint8).reshape(shape)
    image.setflags(write=False)  # the view on a received buffer is writable: so OpenCV itself refuses to draw on it
    return image


def _in_slot(header: _FrameHeader, pixels: Pixels | None) -> np.ndarray | None:
    if pixels is None or header.slot is None:
        raise WireError("frame in shared memory on a link that carries pixels")
    return pixels(header.stream, header.slot, header.seq, header.height, header.width)
