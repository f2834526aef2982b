"""What walks behind the frames of a stream overtakes none that a stage keeps."""

import os
from types import SimpleNamespace

import msgspec
import pytest
import zmq

from transport.channel import Inbox, Outbox
from transport.codec import End, Sweep
from transport.frame import Ended, Frame, Held
from transport.pool import FLYING, Pool, create_segment
from transport.post import Post
from transport.spec import Spec, StreamPlace
from transport.trace import Trace


@pytest.fixture
def link(tmp_path):
    """A post between two stages; `link.to` is its inbox, `link.next` and `link.home` are what it sends to."""

    context, link, fd = zmq.Context(), SimpleNamespace(), create_segment("door", 6, 4)
    link.pool = Pool(fd)
    link.pool.grow(6 * 4 * 3)
    link.next, link.home = Inbox(context, f"ipc://{tmp_path}/next"), Inbox(context, f"ipc://{tmp_path}/home")
    place = StreamPlace(f"/proc/{os.getpid()}/fd/{fd}", f"ipc://{tmp_path}/home")
    inbox, outbox = f"ipc://{tmp_path}/in", f"ipc://{tmp_path}/next"
    spec = Spec("detect", "", msgspec.Raw(b"{}"), inbox, outbox, "", "", {"door": place}, batch=8)
    with Post(context, spec, Trace()) as link.post, Outbox(context, inbox) as link.to:
        yield link
    link.next.close(), link.home.close(), link.pool.close(), os.close(fd)
    context.term()


def frame(link, seq):
    link.pool.slots["seq"][seq], link.pool.states[seq] = seq, FLYING
    return Frame("door", seq, 0, link.pool.pixels(seq, 4, 6), slot=seq)


def gathered(link, *messages):
    for message in messages:
        link.to.send(message)
    frames, behind = [], None
    while behind is None:
        batch, behind = link.post.gather()
        frames += batch
        for one in batch:
            link.post.pass_on(Held(one))
    return frames, behind


def walks_on(link, behind=None):
    free = link.post.free_to_go(behind)
    for message in free:
        link.post.forward(message)
    return free


def test_an_end_and_a_sweep_wait_for_the_frames_that_are_kept(link):
    (first, second), sweep = gathered(link, frame(link, 0), frame(link, 1), Sweep("door", 2))
    assert walks_on(link, sweep) == []
    assert link.pool.slots["held"].tolist()[:2] == [1, 1]
    [third], end = gathered(link, frame(link, 2), End("door"))
    assert walks_on(link, end) == []
    link.post.pass_on(first)
    assert walks_on(link) == []
    link.post.pass_on(Ended(second, "stale"))
    assert walks_on(link) == [Sweep("door", 2)]
    link.post.pass_on(third)
    assert walks_on(link) == [End("door")]
    pixels = link.pool.read
    heard = [link.next.receive(5, lambda stream, slot, seq, *size: pixels(slot, seq, *size)) for _ in range(4)]
    assert [getattr(one, "seq", one) for one in heard] == [0, Sweep("door", 2), 2, End("door")]
    assert not link.pool.slots["held"].any()
    assert (link.pool.slots["waited_ns"][:3] > 0).all()
    link.post.send_back()
    outcomes = []
    while not outcomes:  # before it word without a ticket, that frames are kept
        outcomes += [ticket.outcome for ticket in link.home.receive(5).tickets]
    assert outcomes == ["stale"]
