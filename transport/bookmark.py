"""What a source noted down to be read on from, in the stream's shared memory: it survives the process that wrote it.

There are two places, used in turns, each with a checksum: a death in the midst of writing one leaves the other.
"""

from __future__ import annotations

import struct
import zlib

_HEAD = struct.Struct("=QII")  # number of the picture, bytes of the bookmark, checksum of number and bookmark
_PLACE = 512
LONGEST = _PLACE - _HEAD.size  # bytes of a bookmark; those of films have a hundred
BYTES = 2 * _PLACE


class Bookmarks:
    """The two places, in `memory` of so many BYTES; zeros hold none."""

    def __init__(self, memory: memoryview) -> None:
        self._places = [memory[:_PLACE], memory[_PLACE:BYTES]]

    def write(self, number: int, bookmark: bytes) -> None:
        """Keep a bookmark that leads to picture `number`. Raises ValueError if it is too long."""
        if len(bookmark) > LONGEST:
            raise ValueError(f"a bookmark of {len(bookmark)} bytes; there is room for {LONGEST}")
        valid = [_read(place) for place in self._places]
        oldest = min((0, 1), key=lambda place: -1 if valid[place] is None else valid[place][0])  # type: ignore[index]
        place = self._places[oldest]
        place[_HEAD.size : _HEAD.size + len(bookmark)] = bookmark
        place[: _HEAD.size] = _HEAD.pack(number, len(bookmark), _checksum(number, bookmark))

    def read(self, captured: int) -> tuple[tuple[int, bytes], ...]:
        """Those that lead to no picture that is still to come, as (number of the picture, bookmark), newest first."""
        found = [read for place in self._places if (read := _read(place)) is not None and read[0] <= captured]
        return tuple(sorted(found, reverse=True))


def _read(place: memoryview) -> tuple[int, bytes] | None:
    number, length, checksum = _HEAD.unpack(place[: _HEAD.size])
    if not 0 < length <= LONGEST:
        return None
    bookmark = bytes(place[_HEAD.size : _HEAD.size + length])
    return (number, bookmark) if checksum == _checksum(number, bookmark) else None


def _checksum(number: int, bookmark: bytes) -> int:
    return zlib.crc32(bookmark, zlib.crc32(number.to_bytes(8, "little")))
