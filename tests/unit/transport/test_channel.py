"""Links: messages arrive in order and wait for their receiver, and no socket is left open."""

import pytest
import zmq

from configs.errors import InputError
from transport.channel import Inbox, Outbox
from transport.codec import End, Sweep, WireError


@pytest.fixture
def context():
    """Ends only when every socket is closed: a link that leaves one open hangs here, and the time-out names it."""
    context = zmq.Context()
    yield context
    context.term()


def test_messages_arrive_in_order(context, tmp_path):
    with Inbox(context, f"ipc://{tmp_path}/l") as inbox, Outbox(context, f"ipc://{tmp_path}/l") as outbox:
        sent = [Sweep("a", number) for number in range(20)]
        for message in sent:
            outbox.send(message)
        assert [inbox.receive(5) for _ in sent] == sent
        assert inbox.receive(0) is None


def test_what_is_sent_before_the_receiver_is_there_waits_for_it(context, tmp_path):
    with Outbox(context, f"ipc://{tmp_path}/l") as outbox:
        outbox.send(End("a"))
        with Inbox(context, f"ipc://{tmp_path}/l") as inbox:
            assert inbox.receive(5) == End("a")


def test_junk_is_told_and_skipped(context, tmp_path):
    told = []
    with Inbox(context, f"ipc://{tmp_path}/l") as inbox, Outbox(context, f"ipc://{tmp_path}/l") as outbox:
        outbox._socket.send(b"junk")
        outbox.send(End("a"))
        assert inbox.receive(5, on_junk=told.append) == End("a")
        outbox._socket.send(b"junk")
        with pytest.raises(WireError):
            inbox.receive(5)
    assert len(told) == 1


def test_a_port_in_use_is_the_user_s_to_mend(context):
    with Inbox(context, "tcp://127.0.0.1:*") as inbox:
        taken = inbox._socket.last_endpoint.decode()
        with pytest.raises(InputError, match="in use"):
            Inbox(context, taken)


def test_an_address_that_is_none_leaves_no_socket_open(context, tmp_path):
    with pytest.raises(zmq.ZMQError):
        Outbox(context, f"ipc://{tmp_path}/{'n' * 200}")
