"""Counts what became of each frame once, whoever dies when.

Before anything is counted it is written down what each counter will be then. The counters are set to that, not added
to; a life of capture that finds an entry sets them again. So nothing is counted twice, or not at all.
"""

from __future__ import annotations

import math
import time

from transport import header as at
from transport.pool import Pool
from transport.slot import DONE, FREE, NEWEST, place_of, publish, word

LOST, SHOWN, STOPPED = (at.OUTCOMES.index(name) for name in ("lost", "shown", "stopped"))
NO_SLOT = (1 << 64) - 1  # a picture that gave no frame


def count_home(pool: Pool, slot: int, outcome: int) -> None:
    """Count the frame of a slot as what became of it, and free the slot. Only capture, or who comes after all."""
    head, faces, ages = pool.head, 0, at.AGE_BUCKETS
    if outcome == SHOWN:
        now_ns = time.monotonic_ns()
        head[at.FIRST_SHOWN_NS] = head[at.FIRST_SHOWN_NS] or now_ns
        head[at.LAST_SHOWN_NS] = now_ns
        faces, ages = pool.faces[slot], age_bucket(pool.ages_ns[slot])
    _count(pool, slot, outcome, head[at.CAPTURED], faces, pool.corrupt[slot], ages)


def count_skipped(pool: Pool, outcome: int) -> None:
    """Count a picture that gave no frame."""
    _count(pool, NO_SLOT, outcome, pool.head[at.CAPTURED] + 1, 0, 0, at.AGE_BUCKETS)


def _count(pool: Pool, slot: int, outcome: int, captured: int, faces: int, corrupt: int, bucket: int) -> None:
    head = pool.head
    head[at.J_SLOT], head[at.J_OUTCOME], head[at.J_CAPTURED] = slot, outcome, captured
    head[at.J_COUNT] = head[at.COUNTS + outcome] + 1
    head[at.J_FACES], head[at.J_CORRUPT] = head[at.FACES] + faces, head[at.CORRUPT] + corrupt
    head[at.J_BUCKET] = bucket
    head[at.J_AGES] = head[at.AGES + bucket] + 1 if bucket < at.AGE_BUCKETS else 0
    head[at.JOURNAL] = 1
    finish_counting(pool)


def finish_counting(pool: Pool) -> None:
    """Set the counters to what the journal says, if there is an entry."""
    head = pool.head
    if not head[at.JOURNAL]:
        return
    slot, bucket = head[at.J_SLOT], head[at.J_BUCKET]
    head[at.COUNTS + head[at.J_OUTCOME]] = head[at.J_COUNT]
    head[at.CAPTURED] = head[at.J_CAPTURED]
    head[at.FACES], head[at.CORRUPT] = head[at.J_FACES], head[at.J_CORRUPT]
    if bucket < at.AGE_BUCKETS:
        head[at.AGES + bucket] = head[at.J_AGES]
    if slot != NO_SLOT:
        publish(pool.words, slot, word(FREE))
    head[at.JOURNAL] = 0


def settle_rest(pool: Pool) -> int:
    """After the end of all processes: frames that were still under way are `stopped`. Returns how many."""
    recover_captured(pool)
    rest = 0
    for slot in range(pool.count):
        place = place_of(pool.words[slot])
        if place >= NEWEST:
            outcome = (pool.outcomes[slot] if place >= DONE else 0) or STOPPED
            rest += outcome == STOPPED
            count_home(pool, slot, outcome)
        else:
            publish(pool.words, slot, word(FREE))
    return rest


def recover_captured(pool: Pool) -> None:
    """Finish what a dead capture was counting, and the number that it gave last."""
    finish_counting(pool)
    numbered = [pool.seqs[slot] for slot in range(pool.count) if place_of(pool.words[slot]) == NEWEST]
    if numbered:
        pool.head[at.CAPTURED] = max(pool.head[at.CAPTURED], max(numbered) + 1)


def age_bucket(age_ns: int) -> int:
    """The bucket of the age histogram that an age falls into."""
    return min(at.AGE_BUCKETS - 1, max(0, math.ceil(math.log(max(age_ns, 1) / 1e5, at.AGE_STEP))))
