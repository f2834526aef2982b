"""A stage takes what is its own, in order, whatever it is told; and what a dead life of it left."""

import numpy as np
import pytest

from transport import header as at
from transport.codec import Return, encode
from transport.frame import Box, Ended, Face, Held
from transport.journal import settle_rest
from transport.pool import NOTE_BYTES
from transport.slot import DONE, FIRST, place_of, word
from transport.still import mark_still


def seqs(frames):
    return [frame.seq for frame in frames]


def test_frames_are_taken_once_and_passed_on_with_what_is_known(run):
    run.capture(2)
    run.inboxes[FIRST] += run.inboxes[FIRST]  # told twice
    first, second = run.life(), run.life(FIRST + 1, last=True)
    frames = first.gather()
    assert seqs(frames) == [0, 1]
    face = Face(Box(1, 2, 3, 4))
    for frame in frames:
        first.pass_on(type(frame)(**{name: getattr(frame, name) for name in frame.__slots__} | {"faces": (face,)}))
    assert first.gather() == []
    shown = second.gather()
    assert [(frame.seq, frame.faces, int(frame.image.max())) for frame in shown] == [(0, (face,), 0), (1, (face,), 1)]


def test_frames_come_in_order_though_word_of_them_does_not(run):
    post = run.life()
    run.capture(4)
    run.inboxes[FIRST].reverse()
    assert seqs(post.gather()) == [0, 1, 2, 3]


def test_frames_that_nobody_told_of_are_found_within_a_second(run):
    post = run.life()
    run.capture(2, told=False)
    assert post.gather() == []
    run.now_ns += 1_100_000_000
    assert seqs(post.gather()) == [0, 1]


def test_a_frame_that_is_on_its_way_is_not_taken_by_another_stage(run):
    run.capture(1)
    later = run.life(FIRST + 1, last=True)
    run.inboxes[FIRST + 1] += run.inboxes[FIRST]  # told, but its word says otherwise
    assert later.gather() == []


def test_the_next_life_takes_what_its_predecessor_died_with_one_at_a_time_and_then_the_rest(run):
    run.capture(4)
    dead = run.life(batch=2)
    assert seqs(dead.gather()) == [0, 1]
    post = run.life()
    assert [seqs(post.gather()) for _ in range(3)] == [[0], [1], [2, 3]]


def test_a_frame_that_two_lives_died_with_is_lost_and_no_other(run, caplog):
    run.capture(3)
    assert seqs(run.life().gather()) == [0, 1, 2]
    assert seqs(run.life().gather()) == [0]  # it is what kills
    post = run.life()
    assert seqs(post.gather()) == [1]
    assert "door #0 is lost: 2 lives died with it" in caplog.text
    assert [at.OUTCOMES[outcome] for outcome in run.pool.outcomes][:3] == ["lost", "", ""]
    assert run.homes["door"] == [encode(Return("door"))] * len(run.homes["door"]) != []


@pytest.mark.parametrize("is_awaited", [True, False])
def test_capture_is_told_of_frames_that_end_while_it_waits_and_else_finds_them_itself(run, is_awaited):
    [frame] = run.capture(1)
    last = run.life(last=True)
    [frame] = last.gather()
    run.homes["door"].clear()
    run.pool.head[at.AWAITED] = is_awaited
    last.pass_on(Ended(frame, "shown"))
    last.send_home()
    assert run.homes["door"] == [encode(Return("door"))] * is_awaited
    run.tickets.collect(0)
    assert run.tickets.in_flight == 0


def test_tries_begin_anew_at_the_next_stage(run):
    run.capture(1)
    run.life().gather()
    post = run.life()
    post.pass_on(post.gather()[0])
    run.life(FIRST + 1, last=True).gather()
    assert seqs(run.life(FIRST + 1, last=True).gather()) == [0]


def test_a_frame_that_was_shown_is_not_shown_again_after_a_death(run):
    run.capture(2)
    dead = run.life(last=True)
    frame = dead.gather()[0]
    dead.stations["door"].end(frame.slot, at.OUTCOMES.index("shown"), 5, 0)
    run.pool.words[frame.slot] = word(FIRST, run.lives, 1)  # it died before it sent the frame home
    post = run.life(last=True)
    assert seqs(post.gather()) == [1]
    assert place_of(run.pool.words[frame.slot]) == DONE


def test_a_life_that_died_while_it_noted_what_it_knows_leaves_what_it_was_told(run):
    [frame] = run.capture(1)
    dead = run.life()
    dead.gather()
    run.pool.note(frame.slot, FIRST + 1, b"half of a head")
    assert run.life().gather()[0].faces == ()


def test_what_died_unsent_with_a_life_is_told_again_by_the_next(run):
    run.capture(1)
    dead = run.life()
    dead.pass_on(dead.gather()[0])
    told = list(run.inboxes[FIRST + 1])
    run.inboxes[FIRST + 1].clear()
    run.life()
    assert run.inboxes[FIRST + 1] == told
    assert run.homes["door"]  # and capture, of what may have ended


def test_more_than_fits_beside_the_pixels_is_said_and_lost(run, caplog):
    run.capture(1)
    post = run.life()
    frame = post.gather()[0]
    faces = tuple(Face(Box(n, n, n, n)) for n in range(NOTE_BYTES // 8))
    post.pass_on(type(frame)("door", 0, 0, frame.image, faces=faces, slot=frame.slot))
    assert f"there is room for {NOTE_BYTES}" in caplog.text
    assert at.OUTCOMES[run.pool.outcomes[frame.slot]] == "lost"


def test_a_frame_that_was_counted_as_stopped_meanwhile_goes_nowhere(run):
    run.capture(1)
    post = run.life()
    frame = post.gather()[0]
    settle_rest(run.pool)
    post.pass_on(Ended(frame, "shown"))
    assert not run.pool.outcomes[frame.slot]


def test_a_frame_that_was_not_given_is_not_taken_back(run):
    [frame] = run.capture(1)
    with pytest.raises(KeyError):
        run.life().pass_on(frame)


def test_a_stream_has_ended_when_its_last_frame_is_past(run):
    run.capture(1)
    first, last = run.life(), run.life(FIRST + 1, last=True)
    frame = first.gather()[0]
    run.pool.end()
    assert (run.ended(first), last.gather(), run.ended(last)) == ([], [], [])
    first.pass_on(frame)
    assert (first.gather(), run.ended(first)) == ([], ["door"])
    first.let_go(["door"])
    assert not run.pool.head[at.CLOSED]
    last.pass_on(Ended(last.gather()[0], "shown"))
    assert (last.gather(), run.ended(last)) == ([], ["door"])
    last.let_go(["door"])
    assert run.pool.head[at.CLOSED]
    assert (last.gather(), run.ended(last)) == ([], [])


def test_a_stream_has_not_ended_while_frames_of_it_are_kept(run):
    run.capture(2)
    post = run.life()
    frames = post.gather()
    for frame in frames:
        post.pass_on(Held(frame))
    run.pool.end()
    assert (post.gather(), run.ended(post)) == ([], [])
    assert run.pool.held_ns.tolist().count(0) == run.pool.count - 2
    run.now_ns += 400
    post.pass_on(frames[0])
    post.pass_on(Ended(frames[1], "stale"))
    assert (post.gather(), run.ended(post)) == ([], ["door"])
    assert not any(run.pool.held_ns)
    assert [run.pool.waited_ns[frame.slot] for frame in frames] == [100_000_400, 100_000_400]


def test_frames_that_were_kept_when_a_life_died_are_under_no_suspicion(run):
    run.capture(3)
    dead = run.life()
    for frame in dead.gather():
        dead.pass_on(Held(frame))
    assert seqs(run.life().gather()) == [0, 1, 2]
    assert not any(run.pool.held_ns)


def test_the_last_stage_may_pass_nothing_on(run):
    run.capture(1)
    post = run.life(last=True)
    with pytest.raises(TypeError, match="must end each frame"):
        post.pass_on(post.gather()[0])


def test_pixels_are_those_of_the_slot(run):
    run.capture(3)
    for frame in run.life().gather():
        assert np.array_equal(frame.image, np.full((4, 6, 3), frame.seq, np.uint8))


def test_a_stage_says_before_which_camera_nothing_moves_and_capture_reads_it(run):
    post = run.life()
    for word_ns in (7_000_000_000, 0):
        mark_still(post.stations, "door", word_ns)
        assert run.pool.head[at.STILL_NS] == word_ns
    mark_still(post.stations, "one that was removed", 7_000_000_000)
    assert run.pool.head[at.STILL_NS] == 0
