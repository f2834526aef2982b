"""Links: messages arrive in order and wait for their receiver, and no socket is left open."""

import pytest
import zmq

from transport.channel import Inbox, Outbox
from transport.codec import Refused, Return, WireError, encode


@pytest.fixture
def context():
    """Ends only when every socket is closed: a link that leaves one open hangs here, and the time-out names it."""
    context = zmq.Context()
    yield context
    context.term()


def test_messages_arrive_in_order(context, tmp_path):
    with Inbox(context, f"ipc://{tmp_path}/l") as inbox, Outbox(context, f"ipc://{tmp_path}/l") as outbox:
        sent = [Refused("a", str(number)) for number in range(20)]
        for message in sent:
            outbox.send(message)
        assert [inbox.receive(5) for _ in sent] == sent
        assert inbox.receive(0) is None


def test_what_is_sent_before_the_receiver_is_there_waits_for_it(context, tmp_path):
    with Outbox(context, f"ipc://{tmp_path}/l") as outbox:
        outbox.send(Return("a"))
        with Inbox(context, f"ipc://{tmp_path}/l") as inbox:
            assert inbox.receive(5) == Return("a")


def test_junk_is_told_and_skipped(context, tmp_path):
    told = []
    with Inbox(context, f"ipc://{tmp_path}/l") as inbox, Outbox(context, f"ipc://{tmp_path}/l") as outbox:
        outbox._socket.send(b"junk")
        outbox._socket.send_multipart([b"junk", *[encode(Return("a"))] * 2])
        outbox.send(Return("b"))
        assert inbox.receive(5, on_junk=told.append) == Return("b")
        outbox._socket.send(b"junk")
        with pytest.raises(WireError):
            inbox.receive(5)
    assert len(told) == 2


def test_an_address_that_is_none_leaves_no_socket_open(context, tmp_path):
    for end in (Inbox, Outbox):
        with pytest.raises(zmq.ZMQError):
            end(context, f"ipc://{tmp_path}/{'n' * 200}")
