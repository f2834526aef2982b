"""The shared memory of one stream: slots for pixels, and the counters that survive any process.

The segment is an anonymous file in memory (memfd) that the supervisor creates and the workers open through
/proc. It has no name in /dev/shm, so nothing can stay behind: it goes when the last process that maps it goes,
however that one dies. Nor is it bound by the size of /dev/shm, which is 64 MB in many containers.

Capture is the only writer of the counters and of the slots' states; whoever ends a frame's life writes `outcome`,
`age_ns` and `faces` of its slot, so that a ticket whose message is lost is still counted for what it was. A stage that
keeps a frame for later writes `held`, and when it passes it on, how long that was (`waited_ns`).
"""

from __future__ import annotations

import mmap
import os
from typing import Self

import numpy as np

from transport import bookmark

OUTCOMES = ("", "shown", "superseded", "stale", "lost", "undecodable", "stopped")
"""What can become of a frame. `stopped`: it was under way when the run was told to stop."""
STATES = ("opening", "flowing", "away", "ended", "failed", "paused")
FREE, WRITING, PENDING, FLYING = range(4)
HELD_SLOTS = 64  # for frames that a stage keeps, which free their tickets: 2 s of 30 pictures/s
MAX_SLOTS = 66 + HELD_SLOTS  # tickets <= 64, and two for the reader: the newest picture and the one being written
AGE_BUCKETS = 256
AGE_STEP = 1.06  # bucket i holds ages up to 0.1 ms * 1.06**i: 6 % apart, the last at 4.7 minutes

_HEADER = np.dtype(
    [
        ("slots", "u4"),
        ("state", "u4"),
        ("slot_bytes", "u8"),
        ("captured", "u8"),
        ("counts", "u8", len(OUTCOMES)),
        ("faces", "u8"),
        ("corrupt", "u8"),
        ("spare", "u8"),
        ("paced_fps", "f8"),
        ("finished", "u8"),
        ("first_shown_ns", "u8"),
        ("last_shown_ns", "u8"),
        ("ages", "u8", AGE_BUCKETS),
    ]
)
_SLOT = np.dtype(
    [
        ("seq", "u8"),
        ("age_ns", "u8"),
        ("waited_ns", "u8"),
        ("faces", "u4"),
        ("state", "u2"),
        ("outcome", "u2"),
        ("held", "u2"),
    ],
    align=True,
)
_PAGE = mmap.PAGESIZE
_BOOKMARKS = _HEADER.itemsize + MAX_SLOTS * _SLOT.itemsize
_HEAD_BYTES = -(-(_BOOKMARKS + bookmark.BYTES) // _PAGE) * _PAGE


def create_segment(name: str, slots: int, spare: int = 0) -> int:
    """A new segment without room for pixels yet; returns its file descriptor, which keeps it alive.

    `spare` slots more are for frames that are held.
    """
    fd = os.memfd_create(f"maskstream-{name}")
    os.ftruncate(fd, _HEAD_BYTES)
    pool = Pool(fd)
    pool.header["slots"], pool.header["spare"] = slots + spare, spare
    pool.close()
    return fd


class Pool:
    """One process's view of a stream's segment, from a file descriptor or a path such as /proc/12/fd/7."""

    def __init__(self, segment: int | str) -> None:
        self._fd = os.dup(segment) if isinstance(segment, int) else os.open(segment, os.O_RDWR | os.O_CLOEXEC)
        self._head = mmap.mmap(self._fd, _HEAD_BYTES)
        self.header = np.frombuffer(self._head, _HEADER, count=1)[0]
        self.slots = np.frombuffer(self._head, _SLOT, count=MAX_SLOTS, offset=_HEADER.itemsize)[: self._slots()]
        self.bookmarks = bookmark.Bookmarks(memoryview(self._head)[_BOOKMARKS:])
        self.states, self._seqs = self.slots["state"], self.slots["seq"]  # views, made once
        self._held = self.slots["held"]
        self._data: mmap.mmap | None = None

    def _slots(self) -> int:
        return int(self.header["slots"]) or MAX_SLOTS

    def count(self, state: int) -> int:
        """How many slots are in a state. Of a dozen, a list tells in a third of numpy's time."""
        return self.states.tolist().count(state)

    def first(self, state: int) -> int | None:
        """The first slot in a state; None if there is none."""
        states: list[int] = self.states.tolist()
        return states.index(state) if state in states else None

    def count_flying(self) -> int:
        """How many frames are under way and not held: so many tickets are in use."""
        rows = zip(self.states.tolist(), self._held.tolist(), strict=True)
        return sum(state == FLYING and not held for state, held in rows)

    def slot_of(self, seq: int) -> int | None:
        """The slot in which frame `seq` flies; None if it does not."""
        seqs = self._seqs.tolist()
        slot = seqs.index(seq) if seq in seqs else None  # numbers are unique, but for the 0 of slots not used yet
        return slot if slot is not None and self.states.item(slot) == FLYING else None

    def grow(self, nbytes: int) -> None:
        """Make every slot `nbytes` large. Only capture, and only while no slot is in use: the layout moves.

        A slot takes memory when it is first written: a fast pipeline uses two or three of them.
        """
        slot_bytes = -(-nbytes // _PAGE) * _PAGE
        os.ftruncate(self._fd, _HEAD_BYTES + slot_bytes * len(self.slots))
        self.header["slot_bytes"] = slot_bytes

    @property
    def slot_bytes(self) -> int:
        """Bytes that fit into a slot; 0 before the first picture."""
        return int(self.header["slot_bytes"])

    def pixels(self, slot: int, height: int, width: int) -> np.ndarray:
        """The (height, width, 3) uint8 picture in a slot, writable; raises ValueError if it does not fit."""
        slot_bytes, size = self.slot_bytes, height * width * 3
        if not 0 <= slot < len(self.slots) or size > slot_bytes:
            raise ValueError(
                f"no room for {width}x{height} px in slot {slot} of {len(self.slots)} x {slot_bytes} bytes"
            )
        end = slot_bytes * len(self.slots)
        if self._data is None or len(self._data) < end:
            self._data = mmap.mmap(self._fd, end, offset=_HEAD_BYTES)
        return np.frombuffer(self._data, np.uint8, count=size, offset=slot * slot_bytes).reshape(height, width, 3)

    def read(self, slot: int, seq: int, height: int, width: int) -> np.ndarray | None:
        """The picture of frame `seq`, read-only; None if the slot belongs to another frame by now."""
        if not self.holds(slot, seq):
            return None
        image = self.pixels(slot, height, width)
        image.setflags(write=False)
        return image

    def holds(self, slot: int, seq: int) -> bool:
        """Whether the slot still is that frame's: checked before and after use, so that no torn picture is shown."""
        if not 0 <= slot < len(self.slots):
            raise ValueError(f"no slot {slot} in a pool of {len(self.slots)}")
        return self._seqs.item(slot) == seq and self.states.item(slot) == FLYING

    def end(self, slot: int, seq: int, outcome: str, age_ns: int, faces: int) -> None:
        """Write down what became of a frame, beside its pixels; the message to capture says the same."""
        if self.holds(slot, seq):
            self.slots["age_ns"][slot] = age_ns
            self.slots["faces"][slot] = faces
            self.slots["outcome"][slot] = OUTCOMES.index(outcome)

    def hold(self, slot: int, seq: int) -> None:
        """Write down that a stage keeps a frame."""
        if self.holds(slot, seq):
            self._held[slot] = 1

    def let_go(self, slot: int, seq: int, waited_ns: int) -> None:
        """Write down that a frame that was kept goes on."""
        if self.holds(slot, seq):
            self.slots["waited_ns"][slot] = waited_ns
            self._held[slot] = 0

    def close(self) -> None:
        """Let go of the memory. The arrays handed out keep their own hold on it."""
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
