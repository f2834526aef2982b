"""The shared memory of one stream: the counters, whose each slot is, what is known of its frame, and the pixels.

The segment is an anonymous file in memory (memfd) that the supervisor creates and the workers open through
/proc. It has no name in /dev/shm, so nothing can stay behind: it goes when the last process that maps it goes,
however that one dies. Nor is it bound by the size of /dev/shm, which is 64 MB in many containers.

All numbers are 64 bits wide and aligned, and written one at a time. Capture is the only writer of the counters, but for
those of recordings; a slot is written by whoever its word names (transport/slot.py).
"""

from __future__ import annotations

import math
import mmap
import os
import secrets
from typing import Self

import numpy as np

from transport import bookmark
from transport import header as at
from transport.pixels import Colours, Pixels, bytes_of, shape_of
from transport.slot import Numbers

NOTE_BYTES = 128 << 10  # what can be known of a frame: about a thousand faces. Takes memory only when it is written

_PER_SLOT = 10  # word, seq, outcome, age_ns, faces, corrupt, held_ns, waited_ns, and the size of two notes
_PAGE = mmap.PAGESIZE


class SegmentGone(ValueError):
    """There is no such segment any more, or what is there is another's."""


def create_segment(name: str, slots: int, spare: int = 0) -> int:
    """A new segment without room for pixels yet; returns its file descriptor, which keeps it alive.

    `spare` slots more are for frames that stages keep.
    """
    fd, slots = os.memfd_create(f"maskstream-{name}"), slots + spare
    os.ftruncate(fd, _notes_at(slots) + 2 * slots * NOTE_BYTES)
    with mmap.mmap(fd, _PAGE) as page:
        page[: 8 * at.SLOT_BYTES] = np.array([secrets.randbits(63) | 1, slots, spare], np.uint64).tobytes()
    return fd


def _bookmarks_at(slots: int) -> int:
    return 8 * (at.HEADER + slots * _PER_SLOT)


def _notes_at(slots: int) -> int:
    return _pages(_bookmarks_at(slots) + bookmark.BYTES)


def _pages(nbytes: int) -> int:
    return -(-nbytes // _PAGE) * _PAGE


class Pool:
    """One process's view of a stream's segment, from a file descriptor or a path such as /proc/12/fd/7.

    `head` is the header, `words` says whose each slot is, `seqs` which frame is in it; `outcomes` (of OUTCOMES; 0:
    its way has not ended), `ages_ns`, `faces` are written by who ends its way. `corrupt` is 1 for a damaged picture.
    `held_ns` is since when a stage keeps a frame (0: none does), `waited_ns` how long one did. `count` is how many
    slots there are, `spare` of them for frames that are kept, `id` tells the segment from any other.
    Raises SegmentGone if there is no segment, or not the one with this `id` (0: any).
    """

    def __init__(self, segment: int | str, id: int = 0) -> None:
        try:
            self._fd = os.dup(segment) if isinstance(segment, int) else os.open(segment, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise SegmentGone(f"{segment}: {error.strerror}") from None
        try:
            with mmap.mmap(self._fd, _PAGE) as page:
                own_id, slots, spare = np.frombuffer(page[: 8 * at.SLOT_BYTES], np.uint64).tolist()
            if not 0 < slots <= at.MAX_SLOTS or (id and id != own_id):
                raise SegmentGone(f"{segment} is another's by now")
            self._data_at = _notes_at(slots) + 2 * slots * NOTE_BYTES
            memory = memoryview(mmap.mmap(self._fd, self._data_at))
        except (OSError, ValueError) as error:  # what mmap says of a pipe, or of a file that is too short
            os.close(self._fd)
            raise error if isinstance(error, SegmentGone) else SegmentGone(f"{segment} is no segment") from None
        numbers = memory[: _bookmarks_at(slots)].cast("Q")
        self.bookmarks = bookmark.Bookmarks(memory[_bookmarks_at(slots) : _notes_at(slots)])
        self.count, self.spare, self.id = slots, spare, own_id
        self.head: Numbers = numbers[: at.HEADER]
        arrays: list[Numbers] = [numbers[at.HEADER + i * slots : at.HEADER + (i + 1) * slots] for i in range(_PER_SLOT)]
        self.words, self.seqs, self.outcomes, self.ages_ns, self.faces, self.corrupt = arrays[:6]
        self.held_ns, self.waited_ns = arrays[6:8]
        self.note_sizes = numbers[at.HEADER + 8 * slots : at.HEADER + 10 * slots]
        self.notes = memory[_notes_at(slots) :]
        self._numbers = numbers
        self._data: mmap.mmap | None = None
        self._views: dict[tuple[int, int, int, bool], np.ndarray] = {}

    @property
    def slot_bytes(self) -> int:
        """Bytes that fit into a slot; 0 before the first picture."""
        return self.head[at.SLOT_BYTES]

    @property
    def finished(self) -> bool:
        """Whether the source has ended and all its frames are home."""
        return bool(self.head[at.FINISHED])

    def end(self) -> None:
        """Say that no more frames come. By capture, or when it lives no more."""
        self.head[at.ENDED] = self.head[at.CAPTURED] + 1

    def set_state(self, name: str) -> None:
        """Say how the source is."""
        self.head[at.STATE] = at.STATES.index(name)

    def numbers(self) -> list[int]:
        """All numbers of the header and the slots as they stood at one moment, even while others write them."""
        before = bytes(self._numbers)
        for _ in range(20):
            after = bytes(self._numbers)
            if after == before:
                break
            before = after
        return memoryview(before).cast("Q").tolist()

    def note(self, slot: int, place: int, header: bytes) -> None:
        """Write down what is known of a frame, for whoever will have it at `place`.

        There are two notes for each slot, used in turns: a death in the middle of this one leaves the one that the
        owner of the slot was given. Raises ValueError if it is too long.
        """
        if len(header) > NOTE_BYTES:
            raise ValueError(f"what is known of the frame takes {len(header)} bytes, there is room for {NOTE_BYTES}")
        turn = 2 * slot + (place & 1)
        self.notes[turn * NOTE_BYTES : turn * NOTE_BYTES + len(header)] = header
        self.note_sizes[turn] = len(header)

    def noted(self, slot: int, place: int) -> bytes:
        """What was noted for the owner of a slot at `place`."""
        turn = 2 * slot + (place & 1)
        return bytes(self.notes[turn * NOTE_BYTES : turn * NOTE_BYTES + self.note_sizes[turn]])

    def grow(self, nbytes: int) -> None:
        """Make every slot `nbytes` large. Only capture, and only while no slot is in use: the layout moves.

        A slot takes memory when it is first written: a fast pipeline uses two or three of them.
        """
        slot_bytes = _pages(nbytes)
        os.ftruncate(self._fd, self._data_at + slot_bytes * self.count)
        self.head[at.SLOT_BYTES] = slot_bytes

    def room(self, slot: int, height: int, width: int, colours: Colours | None = None) -> np.ndarray:
        """The uint8 array of a picture in a slot, writable: (height, width, 3), or planes if they have colours.

        Raises ValueError if it does not fit.
        """
        slot_bytes, shape = self.slot_bytes, shape_of(height, width, colours)
        if not 0 <= slot < self.count or bytes_of(height, width, colours) > slot_bytes:
            raise ValueError(f"no room for {width}x{height} px in slot {slot} of {self.count} x {slot_bytes} bytes")
        end = slot_bytes * self.count
        if self._data is None or len(self._data) < end:
            self._data = mmap.mmap(self._fd, end, offset=self._data_at)
            self._views.clear()
        size = math.prod(shape)
        return np.frombuffer(self._data, np.uint8, count=size, offset=slot * slot_bytes).reshape(shape)

    def picture(self, slot: int, height: int, width: int, colours: Colours | None = None) -> Pixels:
        """The same, read-only: for those who may not change it."""
        key = (slot, height, width, colours is None)
        view = self._views.get(key)
        if view is None or len(self._data or ()) < self.slot_bytes * self.count:
            if len(self._views) > 4 * self.count:  # a folder of pictures, each of its own size
                self._views.clear()
            view = self.room(slot, height, width, colours)
            view.setflags(write=False)
            self._views[key] = view
        return Pixels(view, colours, height)

    def close(self) -> None:
        """Let go of the memory. The arrays handed out keep their own hold on it."""
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
