"""The parameter sets in a packet of H.264 or H.265: what a decoder must know before the first picture."""

from __future__ import annotations

_START = b"\0\0\1"


def parameter_sets(codec: str, data: bytes) -> bytes:
    """The parameter sets in front of a key frame's picture, each behind a start code.

    Empty where they are not all there, or where the packet has no start codes (Annex B): those of cameras and MPEG-TS
    have them, those of MP4 and Matroska have lengths instead, and their parameters in the container.

    >>> parameter_sets("h264", bytes.fromhex("00000109f0 0000000167640028 00000168ee 0000016588")).hex()
    '00000001676400280000000168ee'
    """
    if not data.startswith((_START, b"\0" + _START)):
        return b""
    sets, found, at = b"", set(), data.find(_START)
    while at >= 0:
        begin = at + len(_START)
        kind = _kind(codec, data[begin : begin + 1])
        if kind == "picture":
            break
        at = data.find(_START, begin)
        if kind:
            found.add(kind)
            sets += b"\0" + _START + data[begin : at if at >= 0 else len(data)].rstrip(b"\0")
    return sets if {"sequence", "of pictures"} <= found else b""


def _kind(codec: str, head: bytes) -> str:
    """What a unit is, by its first byte; empty: anything else."""
    if not head:
        return ""
    if codec == "h264":
        number, first_picture, last_picture = head[0] & 31, 1, 5
        sets = {7: "sequence", 8: "of pictures"}
    else:
        number, first_picture, last_picture = head[0] >> 1 & 63, 0, 31
        sets = {32: "of all", 33: "sequence", 34: "of pictures"}
    return sets.get(number, "picture" if first_picture <= number <= last_picture else "")
