"""A film's packets as a camera sends them over RTSP: H.264 in RTP (RFC 6184), framed for one TCP connection."""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

CLOCK_HZ = 90_000
PAYLOAD_TYPE = 96  # the first of those that SDP names
_FRAGMENT = 1400  # bytes: what fits an Ethernet frame, as cameras send it over TCP, too
_NAL_TYPE, _NAL_IMPORTANCE, _FU_A = 0x1F, 0x60, 28
_FIRST, _LAST = 0x80, 0x40
_HEAD = struct.Struct("!cBHBBHII")  # $, channel, length; of RTP version, marker and type, seq, time, SSRC


class CodedPicture(Struct, frozen=True):
    """One picture of a film: its payloads of RTP, and whether a decoder can begin with it."""

    payloads: list[bytes]
    key: bool


class CodedFilm(Struct, frozen=True):
    """A film's pictures in the order they are sent, its rate, and how SDP writes what a decoder must know first."""

    pictures: list[CodedPicture]
    fps: float
    format: str


def read_film(path: Path) -> CodedFilm:
    """An H.264 film without B-frames from an MP4, which holds each unit (NAL) behind its length of four bytes."""
    import av

    with av.open(str(path)) as film:
        track = film.streams.video[0]
        sets = list(parameter_sets(track.codec_context.extradata or b""))
        pictures = [
            CodedPicture([part for unit in units(bytes(packet)) for part in fragments(unit)], packet.is_keyframe)
            for packet in film.demux(track)
            if packet.size
        ]
        fps = float(track.average_rate or 25)
    written = ",".join(base64.b64encode(one).decode() for one in sets)
    return CodedFilm(pictures, fps, f"packetization-mode=1;sprop-parameter-sets={written}")


def parameter_sets(avcc: bytes) -> Iterator[bytes]:
    """SPS and PPS out of an MP4's description of its H.264 track."""
    at = 5
    for mask in (0x1F, 0xFF):  # of the byte that says how many there are
        count, at = avcc[at] & mask, at + 1
        for _ in range(count):
            (length,) = struct.unpack_from("!H", avcc, at)
            yield avcc[at + 2 : at + 2 + length]
            at += 2 + length


def units(packet: bytes) -> Iterator[bytes]:
    """The units of a picture."""
    at = 0
    while at < len(packet):
        (length,) = struct.unpack_from("!I", packet, at)
        yield packet[at + 4 : at + 4 + length]
        at += 4 + length


def fragments(unit: bytes) -> Iterator[bytes]:
    """A unit as payloads: itself, or if it is too large for one packet, in parts (FU-A)."""
    if len(unit) <= _FRAGMENT:
        yield unit
        return
    indicator, kind = unit[0] & _NAL_IMPORTANCE | _FU_A, unit[0] & _NAL_TYPE
    for at in range(1, len(unit), _FRAGMENT):
        mark = (_FIRST if at == 1 else 0) | (_LAST if at + _FRAGMENT >= len(unit) else 0)
        yield bytes((indicator, mark | kind)) + unit[at : at + _FRAGMENT]


def framed(picture: CodedPicture, seq: int, time: int, ssrc: int) -> bytes:
    """A picture as bytes of the connection, its first packet numbered `seq`; the last one has the marker."""
    last = len(picture.payloads) - 1
    parts: list[bytes] = []
    for number, payload in enumerate(picture.payloads):
        kind = PAYLOAD_TYPE | (0x80 if number == last else 0)
        size, time_now, at = 12 + len(payload), time & 0xFFFFFFFF, (seq + number) & 0xFFFF
        parts += (_HEAD.pack(b"$", 0, size, 0x80, kind, at, time_now, ssrc), payload)
    return b"".join(parts)
