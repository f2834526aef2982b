"""Tickets bound what is under way, and the ledger balances at every moment, whoever dies."""

import os

import numpy as np
import pytest

from transport import header as at
from transport.codec import Pause, Return
from transport.journal import age_bucket, settle_rest
from transport.ledger import read_ledger
from transport.pool import Pool, create_segment
from transport.slot import DONE, FILLING, FIRST, FREE, NEWEST, place_of, word
from transport.station import Station
from transport.tickets import Stopping, Tickets

LAST = FIRST  # a stage behind capture, which is the last one, too


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
def wire():
    return Wire()


@pytest.fixture
def tickets(segment, wire):
    return life(segment, wire)


def life(segment, wire, number=1):
    wire.stopped = False
    return Tickets("s", Pool(segment), number, wire.receive, wire.sent.append, lambda: wire.stopped)


def capture_one(tickets):
    image = tickets.room(4, 6)
    image[:] = tickets.captured % 256
    return tickets.fly(tickets.number(image, 0))


def ended(wire, pool, frame, outcome="shown", age_ns=5_000_000, faces=1):
    """The last stage takes the frame and ends it."""
    station = Station("s", pool, LAST, 9)
    station.take(frame.slot)
    station.end(frame.slot, at.OUTCOMES.index(outcome), age_ns, faces)
    wire.back.append(Return("s"))


def test_only_as_many_frames_fly_as_there_are_tickets(tickets, wire, pool):
    frames = [capture_one(tickets), capture_one(tickets)]
    assert not tickets.has_free()
    ended(wire, pool, frames[0])
    assert tickets.wait(tickets.has_free)


def test_waiting_for_a_ticket_ends_when_the_run_does(tickets):
    capture_one(tickets), capture_one(tickets)
    with pytest.raises(Stopping):
        tickets.wait(tickets.has_free)


def test_the_ledger_balances_after_every_step(tickets, wire, pool):
    def ledger():
        account = read_ledger(pool)
        assert account.balanced, account
        return account

    first = capture_one(tickets)
    assert ledger().in_flight == 1
    newest = tickets.number(tickets.room(4, 6), 0)
    assert ledger().in_flight == 2
    tickets.drop(newest, "superseded")
    tickets.skip("undecodable")
    ended(wire, pool, first)
    tickets.collect(0)
    account = ledger()
    assert (account.captured, account.shown, account.in_flight) == (3, 1, 0)
    assert account.dropped == {"superseded": 1, "undecodable": 1}
    assert account.faces == 1


def test_pictures_that_are_marked_as_damaged_are_counted_across_lives(tickets, wire, segment, pool):
    for corrupt in (False, True, True):
        frame = tickets.fly(tickets.number(tickets.room(4, 6), 0, corrupt=corrupt))
        assert frame.corrupt == corrupt
        ended(wire, pool, frame)
        tickets.collect(0)
    again = life(segment, wire, 2)
    assert again.number(again.room(4, 6), 0, corrupt=True).corrupt
    ledger = read_ledger(pool)
    assert (ledger.captured, ledger.shown, ledger.corrupt) == (4, 3, 3)
    assert ledger.balanced
    assert ledger.as_json()["corrupt"] == 3


def test_a_frame_that_ended_is_taken_home_without_word_of_it_and_counts_once(tickets, wire, pool):
    frame = capture_one(tickets)
    ended(wire, pool, frame)
    wire.back[:] = []
    tickets.collect(0)
    wire.back += [Return("s"), Return("s")]
    tickets.collect(0)
    assert (read_ledger(pool).shown, read_ledger(pool).in_flight) == (1, 0)


def test_a_new_life_of_capture_goes_on_where_the_old_one_stood(tickets, wire, segment, pool):
    flying = capture_one(tickets)
    newest = tickets.number(tickets.room(4, 6), 0)
    tickets.room(4, 6)
    assert place_of(pool.words[newest.slot]) == NEWEST
    again = life(segment, wire, 2)
    assert again.captured == 2
    assert [place_of(word) for word in pool.words].count(FILLING) == 0
    assert pool.words[newest.slot] == word(FIRST)  # it is sent, not forgotten
    assert [pool.noted(frame.slot, FIRST) for frame in (flying, newest)] == wire.sent  # and told of, as is the other
    ended(wire, pool, flying)
    ended(wire, pool, newest)
    again.collect(0)
    account = read_ledger(pool)
    assert (account.shown, account.dropped, account.in_flight) == (2, {}, 0)


def test_a_life_that_dies_while_it_counts_is_counted_for_once(tickets, wire, segment, pool):
    """After each of the writes of counting a frame home."""

    class Dies(Exception):
        pass

    class Dying:
        def __init__(self, view, writes):
            self.view, self.writes = view, writes

        def __getitem__(self, index):
            return self.view[index]

        def __setitem__(self, index, value):
            if self.writes[0] == 0:
                raise Dies
            self.writes[0] -= 1
            self.view[index] = value

        def __iter__(self):
            return iter(self.view)

        def tolist(self):
            return self.view.tolist()

    died = 0
    for after in range(40):
        shown = read_ledger(pool).shown
        ended(wire, pool, capture_one(tickets), faces=3)
        writes = [after]
        tickets._pool.head, tickets._pool.words = Dying(tickets._pool.head, writes), Dying(tickets._pool.words, writes)
        try:
            tickets.collect(0)
        except Dies:
            died += 1
        assert read_ledger(pool).balanced
        tickets = life(segment, wire, after + 2)
        tickets.collect(0)
        account = read_ledger(pool)
        assert (account.shown, account.in_flight, account.balanced) == (shown + 1, 0, True)
        assert (account.faces, account.ages.sum()) == (3 * (shown + 1), shown + 1)
    assert 10 < died < 40


def test_finish_waits_for_the_rest_and_until_the_last_stage_knows(tickets, wire, pool):
    frame, unsent = capture_one(tickets), tickets.number(tickets.room(4, 6), 0)
    station = Station("s", pool, LAST, 9)
    seen = []

    def receive(timeout_s, awaited):
        seen.append((pool.head[at.ENDED], station.over, bool(pool.finished)))
        if len(seen) == 2:
            ended(wire, pool, frame)
        elif len(seen) == 3:
            station.closed()
        return ()

    tickets._receive = receive
    tickets.finish()
    assert seen == [(3, False, False), (3, False, False), (3, True, False)]
    assert pool.finished
    assert read_ledger(pool).dropped == {"stopped": 1}
    assert pool.words[unsent.slot] == word(FREE)


def test_after_an_end_that_died_before_all_was_home_there_is_no_more_to_read(tickets, wire, segment, pool):
    assert not tickets.ended
    pool.end()
    assert life(segment, wire, 2).ended


def test_slots_grow_for_a_larger_picture_once_all_are_back(tickets, wire, pool):
    ended(wire, pool, capture_one(tickets))
    large = tickets.room(400, 600)
    large[:] = 9
    frame = tickets.fly(tickets.number(large, 0))
    image = pool.picture(frame.slot, 400, 600).array
    assert image.min() == image.max() == 9


def test_what_was_under_way_when_all_ended_is_stopped(tickets, wire, pool):
    capture_one(tickets)
    ended(wire, pool, capture_one(tickets))
    assert settle_rest(pool) == 1
    account = read_ledger(pool)
    assert account.balanced
    assert (account.shown, account.dropped, account.in_flight) == (1, {"stopped": 1}, 0)
    assert settle_rest(pool) == 0


def test_age_percentiles_are_within_a_bucket(tickets, wire, pool):
    ages_ms = np.linspace(1, 1000, 500)
    for age_ms in ages_ms:
        ended(wire, pool, capture_one(tickets), age_ns=int(age_ms * 1e6))
        tickets.collect(0)
    measured = read_ledger(pool).as_json()["age_ms"]
    for name, percent in (("p50", 50), ("p95", 95), ("p99", 99)):
        assert measured[name] == pytest.approx(np.percentile(ages_ms, percent), rel=0.06)


@pytest.mark.parametrize("age_ns", [-5, 0, 1, 10**5, 10**9, 10**15])
def test_any_age_has_a_bucket(age_ns):
    assert 0 <= age_bucket(age_ns) < 256


def test_tickets_are_awaited_only_where_none_is_free(tickets, wire):
    """Two tickets, of four slots: a wait that is lazy is ended by what comes back only when both are under way."""
    for awaited in (False, False, True):
        with pytest.raises(Stopping):
            tickets.wait(lambda: False, lazily=True)
        assert wire.awaited.pop() == awaited
        wire.stopped = False
        tickets.fly(tickets.number(tickets.room(4, 6), 1000))


def test_it_stands_in_the_header_that_word_of_ended_frames_is_awaited(tickets, wire, pool, monkeypatch):
    """Only while it is: before a lazy wait and behind each wait nobody is to tell of them."""
    seen = []
    monkeypatch.setattr(tickets, "_receive", lambda timeout_s, awaited: seen.append(pool.head[at.AWAITED]) or ())
    for awaited in (True, False):
        tickets.collect(0.1, awaited)
        assert (seen.pop(), pool.head[at.AWAITED]) == (awaited, 0)


def test_no_word_is_awaited_of_what_has_ended_before_the_wait(tickets, wire, pool):
    """Who ended it found that nobody waits, and said nothing: a real wait would last until the next frame ends."""
    frame = capture_one(tickets)
    ended(wire, pool, frame)
    wire.back.clear()
    tickets.collect(0.1)
    assert (tickets.in_flight, wire.stopped) == (0, False)


def test_a_source_is_paused_and_goes_on(tickets, wire):
    for paused in (True, False):
        wire.back.append(Pause("s", paused))
        tickets.collect(0)
        assert tickets.paused is paused


def test_a_frame_that_a_stage_keeps_frees_its_ticket_and_is_still_under_way(wire):
    fd = create_segment("test", slots=4, spare=1)
    try:
        tickets, pool = life(fd, wire), Pool(fd)
        stage = Station("s", pool, LAST, 9)
        frames = [capture_one(tickets), capture_one(tickets)]
        assert not tickets.has_free()
        stage.take(frames[0].slot)
        stage.keep(frames[0].slot, 100_000_000)
        wire.back.append(Return("s"))
        assert tickets.wait(tickets.has_free)
        frames.append(capture_one(tickets))
        assert (tickets.in_flight, read_ledger(pool).balanced) == (3, True)
        stage.let_go(frames[0].slot, 500_000_000)
        assert not tickets.has_free()
        stage.end(frames[0].slot, at.OUTCOMES.index("shown"), 450_000_000, 0)
        assert pool.words[frames[0].slot] == word(DONE)
        tickets.collect(0)
        assert tickets.oldest_ms() == 50  # a source that sent less would not get its frames home any sooner
        assert capture_one(tickets).slot == frames[0].slot
        assert not any(pool.held_ns)
    finally:
        os.close(fd)
