"""A stage's place in one stream: which frames are its own, in which order, and how it gives them away."""

from __future__ import annotations

from transport import header as at
from transport.codec import FrameHeader, decode_header
from transport.pool import Pool
from transport.slot import DONE, NEWEST, holder_of, place_of, publish, tries_of, word


class Station:
    """What one life of a stage has of one stream.

    A slot is this stage's if its word names its place, and nobody has it or a life that is dead. All other lives of
    this process are dead: the supervisor starts none before it has seen the end of the one before. No other process of
    the stage has the stream.
    """

    def __init__(self, stream: str, pool: Pool, place: int, life: int) -> None:
        self.stream, self.pool = stream, pool
        self._place, self._life = place, life
        self._offered = word(place)
        self.expected: int | None = None  # the frame behind the last one that was taken: no other can come before it

    def is_next(self, slot: int, seq: int) -> bool:
        """Whether a frame may be taken without a look at the other slots: it is offered, and none can be before it."""
        return seq == self.expected and self.pool.words[slot] == self._offered and self.pool.seqs[slot] == seq

    def own(self) -> list[int]:
        """The slots that are this stage's and that this life has not taken, in order of seq.

        Looked for twice: while the slots are read one after the other, the stage before may offer the frame of a slot
        that was read already, and then the next one in a slot that was not. What is seen at first bounds the order.
        """
        first = self._own()
        if not first:
            return []
        last = max(seq for seq, _ in first)
        return [slot for seq, slot in sorted(self._own()) if seq <= last]

    def _own(self) -> list[tuple[int, int]]:
        seqs = self.pool.seqs
        return [(seqs[slot], slot) for slot, word in enumerate(self.pool.words.tolist()) if self._is_own(word)]

    def _is_own(self, word: int) -> bool:
        return place_of(word) == self._place and holder_of(word) != self._life

    def tries(self, slot: int) -> int:
        """How many lives had the frame of a slot before."""
        return tries_of(self.pool.words[slot])

    def take(self, slot: int) -> None:
        """Take the frame of a slot that `own` or `is_next` said to be this stage's: nobody else can change that."""
        publish(self.pool.words, slot, word(self._place, self._life, self.tries(slot) + 1))
        self.expected = self.pool.seqs[slot] + 1
        if self.pool.held_ns[slot]:  # a life before kept it
            self.pool.held_ns[slot] = 0

    def keep(self, slot: int, now_ns: int) -> None:
        """Keep a frame for later, and free its ticket. A death while it is kept is none that it may be the cause of."""
        self.pool.held_ns[slot] = now_ns
        publish(self.pool.words, slot, word(self._place, self._life, self.tries(slot) - 1))

    def let_go(self, slot: int, now_ns: int) -> None:
        """A frame that was kept goes on now: from here on a death may be for it again."""
        publish(self.pool.words, slot, word(self._place, self._life, self.tries(slot) + 1))
        self.pool.waited_ns[slot] = now_ns - self.pool.held_ns[slot]
        self.pool.held_ns[slot] = 0

    def known(self, slot: int) -> FrameHeader:
        """What the stage before knew of the frame in a slot that was taken."""
        return decode_header(self.pool.noted(slot, self._place))

    def outcome(self, slot: int) -> int:
        """What became of a frame that was taken, if a life before died after it had said so; else 0."""
        return self.pool.outcomes[slot]

    def holds(self, slot: int) -> bool:
        """Whether this life has the slot: false once the supervisor has counted it as `stopped`."""
        held = self.pool.words[slot]
        return place_of(held) == self._place and holder_of(held) == self._life

    def pass_on(self, slot: int, header: bytes) -> None:
        """Give a frame to the next stage, with what is known of it. Raises ValueError if that is too long."""
        self.pool.note(slot, self._place + 1, header)
        publish(self.pool.words, slot, word(self._place + 1))

    def end(self, slot: int, outcome: int, age_ns: int, faces: int) -> None:
        """End a frame's way. The outcome is the mark that it was shown: a life that finds it does not show it again."""
        pool = self.pool
        pool.ages_ns[slot], pool.faces[slot] = age_ns, faces
        pool.outcomes[slot] = outcome
        self.send_home(slot)

    def send_home(self, slot: int) -> None:
        """Give a frame whose way has ended back to capture."""
        publish(self.pool.words, slot, word(DONE))

    @property
    def is_awaited(self) -> bool:
        """Whether capture waits for word of frames that have ended. Asked when that is marked: see Tickets.collect."""
        return bool(self.pool.head[at.AWAITED])

    def offers(self) -> list[int]:
        """The slots that were given to the next stage and that it has not taken, in order of seq."""
        offered = word(self._place + 1)
        return sorted(
            (slot for slot, word in enumerate(self.pool.words.tolist()) if word == offered),
            key=self.pool.seqs.__getitem__,
        )

    @property
    def over(self) -> bool:
        """Whether the stream has ended, and all its frames are past this stage."""
        return bool(self.pool.head[at.ENDED]) and not any(
            NEWEST <= place_of(word) <= self._place and place_of(word) != DONE for word in self.pool.words.tolist()
        )

    def closed(self) -> None:
        """Say that the last stage's function knows that the stream has ended."""
        self.pool.head[at.CLOSED] = 1
