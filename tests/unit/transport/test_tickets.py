"""Tickets bound what is under way, and the ledger balances at every moment, whoever dies."""

import os

import numpy as np
import pytest

from transport.codec import End, Return, Sweep, SweepRequest, Ticket
from transport.ledger import read_ledger
from transport.pool import FLYING, FREE, OUTCOMES, Pool, create_segment
from transport.tickets import Stopping, Tickets, age_bucket, settle_rest


class Wire:
    """The way out and back, as two lists."""

    def __init__(self):
        self.back, self.sent, self.stopped, self.awaited = [], [], False, []

    def receive(self, timeout_s, awaited):
        self.awaited.append(awaited)
        while self.back:
            yield self.back.pop(0)
        self.stopped = self.stopped or timeout_s > 0  # nothing will come any more: a real wait would last for ever


@pytest.fixture
def segment():
    fd = create_segment("test", slots=4)
    yield fd
    os.close(fd)


@pytest.fixture
def wire():
    return Wire()


@pytest.fixture
def tickets(segment, wire):
    return life(segment, wire)


def life(segment, wire):
    wire.stopped = False
    return Tickets("s", Pool(segment), wire.receive, wire.sent.append, lambda: wire.stopped)


def capture_one(tickets):
    image = tickets.room(4, 6)
    image[:] = tickets.captured % 256
    return tickets.fly(tickets.number(image, 0))


def returned(frame, outcome="shown", age_ns=5_000_000, faces=1):
    return Return("s", (Ticket(frame.seq, outcome, age_ns, faces),))


def test_only_as_many_frames_fly_as_there_are_tickets(tickets, wire):
    frames = [capture_one(tickets), capture_one(tickets)]
    assert not tickets.has_free()
    wire.back.append(returned(frames[0]))
    assert tickets.wait(tickets.has_free)


def test_waiting_for_a_ticket_ends_when_the_run_does(tickets):
    capture_one(tickets), capture_one(tickets)
    with pytest.raises(Stopping):
        tickets.wait(tickets.has_free)


def test_the_ledger_balances_after_every_step(tickets, wire, segment):
    def ledger():
        with Pool(segment) as pool:
            account = read_ledger(pool)
        assert account.balanced, account
        return account

    first = capture_one(tickets)
    assert ledger().in_flight == 1
    pending = tickets.number(tickets.room(4, 6), 0)
    assert ledger().in_flight == 2
    tickets.drop(pending, "superseded")
    tickets.skip("undecodable")
    wire.back.append(returned(first))
    tickets.collect(0)
    account = ledger()
    assert (account.captured, account.shown, account.in_flight) == (3, 1, 0)
    assert account.dropped == {"superseded": 1, "undecodable": 1}
    assert account.faces == 1


def test_pictures_that_are_marked_as_damaged_are_counted_across_lives(tickets, wire, segment):
    for corrupt in (False, True, True):
        frame = tickets.fly(tickets.number(tickets.room(4, 6), 0, corrupt=corrupt))
        assert frame.corrupt == corrupt
        wire.back.append(returned(frame))
        tickets.collect(0)
    again = life(segment, wire)
    assert again.number(again.room(4, 6), 0, corrupt=True).corrupt
    with Pool(segment) as pool:
        ledger = read_ledger(pool)
    assert (ledger.captured, ledger.shown, ledger.corrupt) == (4, 3, 3)
    assert ledger.balanced
    assert ledger.as_json()["corrupt"] == 3


def test_a_ticket_that_comes_back_twice_counts_once(tickets, wire, segment):
    frame = capture_one(tickets)
    wire.back += [returned(frame), returned(frame, "stale")]
    tickets.collect(0)
    with Pool(segment) as pool:
        assert read_ledger(pool).shown == 1
        assert read_ledger(pool).dropped == {}


def test_a_sweep_finds_what_was_lost_and_only_that(tickets, wire, segment):
    lost = capture_one(tickets)
    wire.back.append(SweepRequest("s"))
    tickets.collect(0)
    assert wire.sent == [Sweep("s", 1)]
    behind = capture_one(tickets)  # sent after the sweep: may still come
    wire.back.append(wire.sent[0])
    tickets.collect(0)
    with Pool(segment) as pool:
        assert read_ledger(pool).dropped == {"lost": 1}
        assert not pool.holds(lost.slot, lost.seq)
        assert pool.holds(behind.slot, behind.seq)


def test_a_frame_that_was_shown_is_not_lost_when_its_return_is(tickets, wire, segment):
    frame = capture_one(tickets)
    with Pool(segment) as pool:
        pool.end(frame.slot, frame.seq, "shown", 5, 3)
    wire.back.append(Sweep("s", 1))
    tickets.collect(0)
    with Pool(segment) as pool:
        account = read_ledger(pool)
    assert (account.shown, account.faces, account.dropped) == (1, 3, {})


def test_a_new_life_of_capture_goes_on_where_the_old_one_stood(tickets, wire, segment):
    flying = capture_one(tickets)
    tickets.number(tickets.room(4, 6), 0)  # pending when the process died
    again = life(segment, wire)
    assert again.captured == 2
    assert wire.sent == [Sweep("s", 2)]
    wire.back.append(returned(flying))
    again.collect(0)
    with Pool(segment) as pool:
        account = read_ledger(pool)
    assert (account.shown, account.dropped, account.in_flight) == (1, {"lost": 1}, 0)


@pytest.mark.parametrize("half", ["counter only", "slot only"])
def test_a_death_in_the_middle_of_counting_keeps_the_balance(tickets, wire, segment, half):
    frame = capture_one(tickets)
    with Pool(segment) as pool:
        if half == "slot only":
            pool.slots["state"][frame.slot] = FREE
        else:
            pool.slots["state"][frame.slot] = FREE
            pool.header["counts"][OUTCOMES.index("shown")] += 1
    life(segment, wire)
    with Pool(segment) as pool:
        assert read_ledger(pool).balanced


def test_finish_sends_end_and_waits_for_the_rest(tickets, wire, segment):
    frame = capture_one(tickets)
    wire.back += [returned(frame), End("s")]
    tickets.finish()
    assert wire.sent == [End("s")]
    with Pool(segment) as pool:
        assert pool.header["finished"] == 1


def test_end_is_sent_again_behind_a_sweep(tickets, wire):
    wire.back += [SweepRequest("s"), Sweep("s", 0), End("s")]
    tickets.finish()
    assert wire.sent == [End("s"), Sweep("s", 0), End("s")]


def test_slots_grow_for_a_larger_picture_once_all_are_back(tickets, wire, segment):
    small = capture_one(tickets)
    wire.back.append(returned(small))
    large = tickets.room(400, 600)
    large[:] = 9
    frame = tickets.fly(tickets.number(large, 0))
    with Pool(segment) as pool:
        image = pool.read(frame.slot, frame.seq, 400, 600)
        assert image.min() == image.max() == 9
        assert pool.read(frame.slot, small.seq, 4, 6) is None


def test_a_slot_that_was_given_away_is_not_read(tickets, wire, segment):
    old = capture_one(tickets)
    wire.back.append(returned(old))
    tickets.collect(0)
    seqs = {capture_one(tickets).slot for _ in range(2)}
    assert old.slot in seqs
    with Pool(segment) as pool:
        assert pool.read(old.slot, old.seq, 4, 6) is None


def test_what_is_read_from_a_slot_cannot_be_drawn_on(tickets, segment):
    frame = capture_one(tickets)
    with Pool(segment) as pool, pytest.raises(ValueError, match="read-only"):
        pool.read(frame.slot, frame.seq, 4, 6)[0, 0] = 1


def test_the_segment_has_no_name_that_could_stay_behind(segment):
    assert not [name for name in os.listdir("/dev/shm") if "maskstream" in name]
    assert "memfd:maskstream-test" in os.readlink(f"/proc/self/fd/{segment}")


def test_what_was_under_way_when_all_ended_is_stopped(tickets, segment):
    capture_one(tickets)
    shown = capture_one(tickets)
    with Pool(segment) as pool:
        pool.end(shown.slot, shown.seq, "shown", 5, 0)
        assert settle_rest(pool) == 1
        account = read_ledger(pool)
    assert account.balanced
    assert (account.shown, account.dropped, account.in_flight) == (1, {"stopped": 1}, 0)


def test_age_percentiles_are_within_a_bucket(tickets, wire, segment):
    ages_ms = np.linspace(1, 1000, 500)
    for age_ms in ages_ms:
        wire.back.append(returned(capture_one(tickets), age_ns=int(age_ms * 1e6)))
        tickets.collect(0)
    with Pool(segment) as pool:
        measured = read_ledger(pool).as_json()["age_ms"]
    for name, percent in (("p50", 50), ("p95", 95), ("p99", 99)):
        assert measured[name] == pytest.approx(np.percentile(ages_ms, percent), rel=0.06)


@pytest.mark.parametrize("age_ns", [-5, 0, 1, 10**5, 10**9, 10**15])
def test_any_age_has_a_bucket(age_ns):
    assert 0 <= age_bucket(age_ns) < 256


def test_flying_is_what_readers_check(tickets, segment):
    frame = tickets.number(tickets.room(4, 6), 0)
    with Pool(segment) as pool:
        assert not pool.holds(frame.slot, frame.seq)
        tickets.fly(frame)
        assert pool.slots["state"][frame.slot] == FLYING
        assert pool.holds(frame.slot, frame.seq)


def test_tickets_are_awaited_only_where_none_is_free(tickets, wire):
    """Two tickets, of four slots: a wait that is lazy is ended by what comes back only when both are under way."""
    for awaited in (False, False, True):
        with pytest.raises(Stopping):
            tickets.wait(lambda: False, lazily=True)
        assert wire.awaited.pop() == awaited
        wire.stopped = False
        tickets.fly(tickets.number(tickets.room(4, 6), 1000))


def test_a_frame_that_a_stage_keeps_frees_its_ticket_and_is_still_under_way(wire):
    fd = create_segment("test", slots=4, spare=1)
    try:
        tickets, stage = life(fd, wire), Pool(fd)
        frames = [capture_one(tickets), capture_one(tickets)]
        assert not tickets.has_free()
        stage.hold(frames[0].slot, frames[0].seq)
        wire.back.append(Return("s", ()))
        assert tickets.wait(tickets.has_free)
        frames.append(capture_one(tickets))
        assert (tickets.in_flight, read_ledger(stage).balanced) == (3, True)
        stage.let_go(frames[0].slot, frames[0].seq, waited_ns=400_000_000)
        assert not tickets.has_free()
        wire.back.append(returned(frames[0], age_ns=450_000_000))
        tickets.collect(0)
        assert tickets.oldest_ms() == 50  # a source that sent less would not get its frames home any sooner
        wire.back.append(Sweep("s", 3))
        tickets.collect(0)
        assert read_ledger(stage).dropped == {"lost": 2}
        assert capture_one(tickets).slot == frames[0].slot
        assert not stage.slots["held"].any()
    finally:
        os.close(fd)
