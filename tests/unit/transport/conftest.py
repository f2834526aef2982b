"""A segment, and a stream whose lives are all in one process."""

import os
from types import SimpleNamespace

import msgspec
import pytest

from transport.codec import decode, encode
from transport.pool import Pool, create_segment
from transport.post import Post
from transport.slot import FIRST
from transport.spec import Spec, StreamPlace
from transport.tickets import Tickets
from transport.trace import Trace


@pytest.fixture
def segment():
    fd = create_segment("test", slots=4)
    yield fd
    os.close(fd)


@pytest.fixture
def pool(segment):
    with Pool(segment) as pool:
        yield pool


class Wire(list):
    """Messages that wait, and the two ends of a link."""

    def receive(self, timeout_s, on_junk):
        return decode(self.pop(0)) if self else None

    def send(self, message):
        self.append(message if isinstance(message, bytes) else encode(message))

    def close(self):
        pass


@pytest.fixture
def run():
    """A stream with room for six frames at a time, its capture, and lives of the stages behind it."""
    run = SimpleNamespace(now_ns=10**12, lives=1, inboxes={}, homes={}, fds=[], streams={})

    def stream(name="door"):
        fd = create_segment(name, 8, 4)
        run.fds.append(fd)
        run.pool = Pool(fd)
        run.inboxes.setdefault(FIRST, Wire())
        run.homes[name] = Wire()
        run.streams[name] = StreamPlace(f"/proc/{os.getpid()}/fd/{fd}", run.pool.id, name)
        run.tickets = Tickets(name, Pool(fd), 1, lambda *_: (), run.inboxes[FIRST].append)

    def capture(count, told=True):
        frames = []
        for _ in range(count):
            image = run.tickets.room(4, 6)
            image[:] = run.tickets.captured
            frames.append(run.tickets.fly(run.tickets.number(image, run.now_ns)))
            if told:
                run.tickets.tell(frames[-1].slot)
        return frames

    def life(place=FIRST, last=False, batch=8, processes=1, index=0):
        run.lives += 1
        spec = Spec(
            "detect", "detect", "", msgspec.Raw(b"{}"), "", () if last else ("next",), "control", "", dict(run.streams),
            batch=batch, place=place, life=run.lives, parent=os.getpid(), processes=processes, index=index,
        )  # fmt: skip
        inbox = run.inboxes.setdefault(place, Wire())
        onward = run.inboxes.setdefault(place + 1, Wire())
        return Post(
            spec, inbox, lambda name: onward if name == "next" else run.homes[name], Trace(), lambda: run.now_ns
        )

    def ended(post):
        """What it says a tenth of a second later."""
        run.now_ns += 100_000_000
        return post.ended()

    run.stream, run.capture, run.life, run.ended = stream, capture, life, ended
    stream()
    yield run
    for fd in run.fds:
        os.close(fd)
