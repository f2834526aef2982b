"""A run without processes, sockets or time: the protocol's own code, every write of which may be the last one.

Each life of a process is a greenlet. It gives the turn away before each write to shared memory, in the middle of each
look at several slots, and whenever it asks for messages; so others come in between any two writes, and a kill is a
turn that never comes. Messages are taken in any order; some get lost, some come twice, and much later. All else is
decided by whoever resumes the lives (driver.py, test_protocol.py). What must always hold is asserted here.
"""

from __future__ import annotations

import contextlib
import os
import random
from collections import Counter

import msgspec
from greenlet import getcurrent, greenlet

from run.streams import emptiest
from simulation.lives import capture_life, stage_life
from simulation.memory import Death
from simulation.records import LAST, STAGES, Process, Stream, faces_of
from transport.codec import Open, Pause, encode
from transport.journal import settle_rest
from transport.ledger import read_ledger
from transport.pool import Pool, create_segment
from transport.slot import FIRST, FREE, MAX_TRIES, holder_of, place_of, tries_of
from transport.spec import Spec, StreamPlace


class World:
    """The supervisor's part, and everything that the lives see.

    `batch` frames at most are gathered; detect keeps so many frames of a stream for later (`keeps`). `processes` says
    how many each row of the table has: as many as there are lanes, or one for all.
    """

    def __init__(
        self,
        seed: int,
        loss: float = 0.02,
        double: float = 0.02,
        batch: int = 3,
        keeps: int = 0,
        processes: tuple[int, ...] = (1, 1, 1),
    ) -> None:
        self.random = random.Random(seed)
        self.loss, self.double, self.batch, self.keeps = loss, double, batch, keeps
        self.now_ns = 10**12
        self.lives = 0
        self.streams: dict[str, Stream] = {}
        self.rows = [
            [Process(f"{name}.{index + 1}", place=place, index=index) for index in range(count)]
            for place, (name, count) in enumerate(zip(STAGES, processes, strict=True), FIRST)
        ]
        self.stages = [process for row in self.rows for process in row]
        self.late: list[tuple[Process, bytes]] = []
        self.hands: dict[tuple[int, int], str] = {}
        self.main = getcurrent()
        self.counts: Counter[str] = Counter()
        self.made = 0
        for stage in self.stages:
            self.start(stage)

    # What may happen.

    @property
    def processes(self) -> list[Process]:
        return [*self.stages, *(stream.capture for stream in self.streams.values())]

    def process_of(self, stream: Stream, place: int) -> Process:
        """The process that has the stream's frames there."""
        row = self.rows[place - FIRST]
        return row[stream.place.lane % len(row)]

    def alive(self) -> list[Process]:
        return [process for process in self.processes if process.greenlet is not None]

    def dead(self) -> list[Process]:
        return [process for process in self.processes if process.greenlet is None and not process.done]

    def resume(self, process: Process, turns: int = 0) -> None:
        """Let a life do so many writes, and what it does up to the next one."""
        self.counts["turns"] += 1
        self.now_ns += 200_000
        if self.late and self.random.random() < 0.05:
            late, message = self.late.pop(self.random.randrange(len(self.late)))
            late.inbox.append(message)
        process.turns = turns
        process.greenlet.switch()
        if process.greenlet is not None and process.greenlet.dead:
            process.greenlet, process.done = None, True
            self._bury(process)
        self.check()

    def kill(self, process: Process) -> None:
        """A life ends where it stands; some of what it was told of, and of what it told, goes with it."""
        self.counts["deaths"] += 1
        if process.stream is None:
            self._note_death(process)
        doomed, process.greenlet = process.greenlet, None
        process.life = 0
        with contextlib.suppress(Death):
            doomed.throw(Death)
        self._bury(process)
        process.inbox = [message for message in process.inbox if self.random.random() < 0.5]
        self.check()

    def _bury(self, process: Process) -> None:
        self.hands = {slot: name for slot, name in self.hands.items() if name != process.name}
        for pool in process.pools:
            pool.close()
        process.pools.clear()

    def _note_death(self, process: Process) -> None:
        place = process.place
        twice = 0
        for stream in self.streams.values():
            for slot in range(stream.pool.count):
                held = stream.pool.words[slot]
                if (place_of(held), holder_of(held)) == (place, process.life):
                    seq = stream.pool.seqs[slot]
                    is_kept, tries = stream.pool.held_ns[slot] > 0, tries_of(held)
                    if stream.pool.outcomes[slot] == 0:
                        stream.deaths[seq, place] += tries > 0 or not is_kept
                        stream.sure_deaths[seq, place] += tries > 0 and not is_kept
                        twice += stream.sure_deaths[seq, place] >= MAX_TRIES and not is_kept
                        if place == LAST and seq in stream.shown:
                            stream.twice.add(seq)
        assert twice <= 1, "a frame that a life died with was given to the next one beside others"

    def start(self, process: Process) -> None:
        """The supervisor starts the next life."""
        self.lives += 1
        process.life = self.lives
        if process.stream is not None:
            life = greenlet(lambda: capture_life(self, process, process.life))
        else:
            spec = self._spec(process)
            life = greenlet(lambda: stage_life(self, process, spec))
        process.greenlet = life

    def _spec(self, process: Process) -> Spec:
        behind = self.rows[process.place - FIRST + 1] if process.place < LAST else []
        return Spec(
            process=process.name, row="", function="", config=msgspec.Raw(b""), inbox="", control="", feeds="",
            outboxes=tuple(stage.name for stage in behind),
            streams={name: stream.place for name, stream in self.streams.items()},
            processes=len(self.rows[process.place - FIRST]), index=process.index,
            batch=self.batch, place=process.place, life=process.life,
        )  # fmt: skip

    def add(self, name: str, tickets: int, length: int, live: bool) -> None:
        """A stream; its name may be that of one that has ended."""
        assert name not in self.streams
        self.made += 1
        fd = create_segment(name, tickets + 2, self.keeps)
        stream = Stream(name, fd, Pool(fd), length, live)
        taken = [other.place.lane for other in self.streams.values() if not other.pool.finished]
        lane = emptiest(max(map(len, self.rows)), taken)
        stream.place = StreamPlace(f"{name}/{self.made}", stream.pool.id, name, lane)
        stream.capture = Process(f"capture-{name}", stream)
        self.streams[name] = stream
        for stage in self.stages:
            stage.inbox.append(encode(Open(name, stream.place.segment, stream.place.id, name, lane)))
        self.start(stream.capture)

    def pause(self, name: str, paused: bool) -> None:
        self.streams[name].capture.inbox.append(encode(Pause(name, paused)))

    def remove(self, name: str) -> None:
        """Its source is told to end."""
        self.streams[name].stopping = True

    def forget(self, name: str) -> None:
        """All of a stream is home, its memory goes: the account must be that of what was seen."""
        stream = self.streams.pop(name)
        assert stream.pool.finished
        assert [place_of(word) for word in stream.pool.words] == [FREE] * stream.pool.count, "a slot is not home"
        assert not any(stream.pool.held_ns), "a frame that was kept has no ticket for ever"
        assert settle_rest(stream.pool) == 0
        assert LAST in stream.told_ended, "it is answered that a stream is gone whose files are not closed"
        self._check_account(stream)
        stream.pool.close()
        os.close(stream.fd)
        self.counts["streams"] += 1

    def _check_account(self, stream: Stream) -> None:
        ledger = read_ledger(stream.pool)
        assert ledger.balanced, ledger
        assert ledger.in_flight == 0, ledger
        assert ledger.shown == len(set(stream.shown) - stream.lost), (ledger, stream.shown)
        assert ledger.dropped.get("stale", 0) == len(stream.stale), (ledger, stream.stale)
        assert ledger.dropped.get("lost", 0) == len(stream.lost), (ledger, stream.lost)
        assert ledger.faces == sum(len(faces_of(0, seq, LAST)) for seq in set(stream.shown) - stream.lost), ledger
        if not stream.live:
            assert "superseded" not in ledger.dropped
            assert ledger.dropped.get("stopped", 0) <= stream.stopping
            assert stream.stopping or ledger.captured >= stream.length
        self.counts["frames"] += ledger.captured
        self.counts["lost"] += len(stream.lost)
        self.counts["twice"] += len(stream.shown) - len(set(stream.shown))

    # What must hold after each step.

    def check(self) -> None:
        for stream in self.streams.values():
            ledger = read_ledger(stream.pool)
            assert ledger.balanced, ledger
            assert ledger.in_flight <= stream.pool.count

    # The end of it.

    def drain(self, limit: int = 20_000) -> None:
        """Nobody dies any more: all comes home, and all streams end."""
        for stream in self.streams.values():
            self.remove(stream.name)
        for _ in range(limit):
            if not self.streams:
                break
            for process in self.dead():
                self.start(process)
            self.resume(self.random.choice(self.alive()), self.random.randrange(30))
            if self.random.random() < 0.01:
                self.now_ns += 1_100_000_000
            self.reap()
        stuck = {name: list(map(hex, stream.pool.words)) for name, stream in self.streams.items()}
        assert not stuck, f"not all is home: {stuck}"
        for process in self.alive():  # what it has open would stay for ever: a life that stands still is not freed
            self.kill(process)

    def reap(self) -> list[str]:
        """Forget the streams that have ended."""
        ended = [stream.name for stream in self.streams.values() if stream.capture.done]
        for name in ended:
            self.forget(name)
        return ended
