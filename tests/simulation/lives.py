"""What the lives of a simulated run do: capture reads films and cameras, the stages take, look, add, show."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from msgspec.structs import replace

from simulation.memory import Death, OncePool, Watched, WatchedNotes
from simulation.records import LAST, LOST, Process, Stream, faces_of
from transport.codec import Open, Pause, decode, encode
from transport.frame import Ended, Frame, Held
from transport.pool import Pool, SegmentGone
from transport.post import Post
from transport.slot import FIRST, MAX_TRIES
from transport.spec import Spec, StreamPlace
from transport.tickets import Stopping, Tickets
from transport.trace import Trace

if TYPE_CHECKING:
    from simulation.world import World


def capture_life(world: World, process: Process, life: int) -> None:
    stream, turn = process.stream, turn_of(world, process, life)
    pool = open_pool(world, stream, process, life)

    def messages(timeout_s: float, awaited: bool):
        turn()
        while (message := receive(world, process)) is not None:
            yield message

    tell = world.process_of(stream, FIRST).inbox.append
    tickets = Tickets(stream.name, pool, life, messages, tell, lambda: stream.stopping, Trace())
    source = live if stream.live else film
    try:
        for frame in () if tickets.ended else source(world, stream, tickets, turn):
            tickets.tell(frame.slot)
    except Stopping:
        pass
    tickets.finish()
    pool.close()


def film(world: World, stream: Stream, tickets: Tickets, turn):
    while tickets.captured < stream.length:
        if tickets.paused:
            tickets.wait(lambda: not tickets.paused)
        tickets.wait(tickets.has_free)
        if world.random.random() < 0.02:
            tickets.skip("undecodable")
        else:
            larger = world.random.random() < 0.01
            image = picture(world, stream, tickets, turn, world.random.randrange(1, 1000) if larger else 1)
            yield tickets.fly(tickets.number(image, world.now_ns, corrupt=world.random.random() < 0.1))


def live(world: World, stream: Stream, tickets: Tickets, turn):
    newest = None
    while tickets.captured < stream.length or newest is not None:
        tickets.collect(0, awaited=False)
        if stream.stopping:
            raise Stopping
        if newest is not None and tickets.has_free() and world.random.random() < 0.7:
            frame, newest = newest, None
            yield tickets.fly(frame)
        elif tickets.captured < stream.length and not tickets.paused and world.random.random() < 0.5:
            image = picture(world, stream, tickets, turn, rows=1)  # a larger one would wait for the newest
            frame = tickets.number(image, world.now_ns, live=True)
            if newest is not None:
                tickets.drop(newest, "superseded")
            newest = frame


def picture(world: World, stream: Stream, tickets: Tickets, turn, rows: int) -> np.ndarray:
    """A picture in a room, in which its number is written."""
    image = tickets.room(rows, 6)
    turn()
    image[0, 0] = tickets.captured % 251, stream.pool.id % 251, stream.pool.id % 241
    return image


def stage_life(world: World, process: Process, spec: Spec) -> None:
    turn = turn_of(world, process, spec.life)

    class Inbox:
        def receive(self, timeout_s, on_junk=None):
            turn()
            return receive(world, process)

    class Link:
        def __init__(self, inbox):
            self.inbox = inbox

        def send(self, message):
            turn()
            self.inbox.append(message if isinstance(message, bytes) else encode(message))

        def close(self):
            pass

    def connect(name: str) -> Link:
        if name in spec.outboxes:
            return Link(next(stage.inbox for stage in world.stages if stage.name == name))
        return Link(world.streams[name].capture.inbox if name in world.streams else [])

    def open_segment(spec: Spec, place: StreamPlace) -> Pool:
        stream = world.streams.get(place.segment.partition("/")[0])
        if stream is None or stream.pool.id != place.id:
            raise SegmentGone(place.segment)
        return open_pool(world, stream, process, spec.life)

    post = Post(spec, Inbox(), connect, Trace(), lambda: world.now_ns, open_segment)
    for result in work(world, process, spec.place, feed(world, process, post), turn):
        post.pass_on(result)


def feed(world: World, process: Process, post: Post):
    while True:
        yield post.gather()
        assert not post.held
        ended = post.ended()
        for stream in (world.streams[name] for name in ended if name in world.streams):
            if stream.pool.id == post.stations[stream.name].pool.id:  # else it was an earlier one of this name
                stream.told_ended.add(process.place)
        post.let_go(ended)


def work(world: World, process: Process, place: int, batches, turn):
    """What a stage does: looks at the pixels, adds what it knows, shows. Detect may keep frames for later."""
    kept: list[Frame] = []
    for batch in batches:
        for frame in batch:
            stream = world.streams[frame.stream]
            assert world.process_of(stream, place) is process, "a process of another lane has it"
            assert (stream.pool.id, frame.slot) not in world.hands, "a slot is in two hands"
            world.hands[stream.pool.id, frame.slot] = process.name
            assert stream.sure_deaths[frame.seq, place] < MAX_TRIES, "a third life has it"
            assert place not in stream.told_ended, "a frame of a stream that has ended"
        for frame in batch:
            if place == FIRST and world.keeps:
                kept.append(frame)
                yield Held(frame)
            else:
                yield worked_on(world, frame, place, turn)
        while kept and (len(kept) > world.keeps // 2 or world.random.random() < 0.2):
            yield worked_on(world, kept.pop(0), place, turn)


def worked_on(world: World, frame: Frame, place: int, turn) -> Frame | Ended:
    stream = world.streams[frame.stream]
    mark = [frame.seq % 251, stream.pool.id % 251, stream.pool.id % 241]
    assert frame.image[0, 0].tolist() == mark, "the picture is another's"
    known = faces_of(stream.pool.id, frame.seq, place)
    assert frame.faces == known, "what is known of it is another's"
    turn()
    assert frame.image[0, 0].tolist() == mark, "the picture was overwritten in use"
    if place == FIRST and frame.seq % 13 == 7:
        stream.stale.add(frame.seq)
        result = Ended(frame, "stale")
    elif place < LAST:
        result = replace(frame, faces=faces_of(stream.pool.id, frame.seq, place + 1))
    else:
        show(world, stream, frame.seq)
        turn()
        result = Ended(frame, "shown")
    del world.hands[stream.pool.id, frame.slot]
    return result


def show(world: World, stream: Stream, seq: int) -> None:
    if seq in stream.shown:
        assert seq in stream.twice, "shown twice"
    else:
        assert not stream.shown or seq > stream.shown[-1], "shown out of order"
    stream.shown.append(seq)


def receive(world: World, process: Process):
    """A message, any one of those that wait; some are lost, some come again, perhaps much later."""
    while process.inbox:
        message = process.inbox.pop(world.random.randrange(len(process.inbox)))
        decoded = decode(message)
        if isinstance(decoded, Open | Pause):
            return decoded
        if world.random.random() < world.double:
            world.late.append((process, message))
        if world.random.random() >= world.loss:
            return decoded
    return None


def open_pool(world: World, stream: Stream, process: Process, life: int) -> Pool:
    pool, turn = OncePool(stream.fd), turn_of(world, process, life)
    process.pools.append(pool)

    def ended(slot: int, outcome: int) -> None:
        if outcome == LOST:
            seq = pool.seqs[slot]
            died = max(stream.deaths[seq, place] for place in range(FIRST, LAST + 1))
            assert died >= MAX_TRIES, "lost for nothing"
            stream.lost.add(seq)
            stream.stale.discard(seq)

    pool.head = Watched(pool.head, turn)
    pool.words = Watched(pool.words, turn, torn=True)
    for name in ("seqs", "ages_ns", "faces", "corrupt", "held_ns", "waited_ns", "note_sizes"):
        setattr(pool, name, Watched(getattr(pool, name), turn))
    pool.outcomes = Watched(pool.outcomes, turn, wrote=ended)
    pool.notes = WatchedNotes(pool.notes, turn)
    return pool


def turn_of(world: World, process: Process, life: int):
    """A function that gives the turn away, if the life has had its writes."""

    def turn() -> None:
        if process.life != life:  # it is dead, and something ran on the way out
            raise Death
        if process.turns:
            process.turns -= 1
            return
        world.main.switch()

    return turn
