"""Where a film can be read on from: a key frame, and how far the film had got there."""

from __future__ import annotations

import zlib

import msgspec
import numpy as np

from capture.timeline import Moment


class KeyFrame(msgspec.Struct, frozen=True, array_like=True):
    """A picture that is decoded without any before it, and how a decoder gets to it.

    `pts` and `dts` are its time stamps in units of its track (None: it has none), `byte` is where its packet lies in
    the file (0: that is not known). `part_byte` and `part_track` are where the part of an MPEG-TS begins that
    it lies in, and the id of the track before that; 0: the first part. `beside` are the ids of tracks that are no part
    to come.
    """

    pts: int | None
    dts: int | None
    byte: int
    part_byte: int = 0
    part_track: int = 0
    beside: tuple[int, ...] = ()


class Bookmark(msgspec.Struct, frozen=True, array_like=True):
    """A key frame, the checksum of its pixels, and how far the film had got before it.

    `count` pictures of this round and `damaged` packets, `before` the moment of the picture before it, `began_ms` the
    position of the round.
    """

    frame: KeyFrame
    checksum: int
    count: int
    damaged: int
    before: Moment
    began_ms: float

    def encode(self) -> bytes:
        """A hundred bytes or two."""
        return msgspec.json.encode(self)


def decode(data: bytes) -> Bookmark:
    """Raises msgspec.MsgspecError for what is none."""
    return msgspec.json.decode(data, type=Bookmark)


def checksum(image: np.ndarray) -> int:
    """Of pixels, uint8 without gaps. 1920x1080 in BGR: 3 ms, on two shared cores, 26 November 2026."""
    return zlib.crc32(image)  # type: ignore[arg-type]
