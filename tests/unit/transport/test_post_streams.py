"""Streams that come, go, and come again by their names, and messages that are none, as a stage hears of them."""

import os

from transport.codec import Open, Ready
from transport.frame import Ended
from transport.slot import FIRST
from transport.spec import StreamPlace


def seqs(frames):
    return [frame.seq for frame in frames]


def test_a_stream_that_is_added_is_heard_of_before_or_after_its_frames(run):
    post = run.life()
    run.stream("yard")
    run.capture(2)
    assert post.gather() == []
    place = run.streams["yard"]
    run.inboxes[FIRST].send(Open("yard", place.segment, place.id, place.returns))
    assert seqs(post.gather()) == [0, 1]


def test_a_stream_of_another_lane_is_left_to_its_own_process(run):
    mine, other = run.life(processes=2, index=0), run.life(processes=2, index=1)
    run.stream("yard")
    run.capture(2)
    place = run.streams["yard"]
    for post in (mine, other):  # all processes hear of a stream that is added
        run.inboxes[FIRST].send(Open("yard", place.segment, place.id, place.returns, lane=3))
        seen = seqs(post.gather())
        assert seen == ([] if post is mine else [0, 1])
    run.streams["yard"] = StreamPlace(place.segment, place.id, place.returns, lane=3)
    assert list(run.life(processes=2, index=0).stations) == ["door"]
    assert list(run.life(processes=2, index=1).stations) == ["yard"]


def test_a_stream_may_have_the_name_of_one_that_has_ended(run):
    run.capture(2)
    late = list(run.inboxes[FIRST])
    post = run.life()
    for frame in post.gather():
        post.pass_on(Ended(frame, "stale"))
    run.pool.end()
    run.stream()
    place = run.streams["door"]
    run.inboxes[FIRST].send(Open("door", place.segment, place.id, place.returns))
    assert post.gather() == []
    while not (gone := run.ended(post)):
        assert post.gather() == []
    assert gone == ["door"]
    post.let_go(gone)
    run.now_ns += 7
    run.capture(2, told=False)
    assert post.gather()[0].captured_ns == run.now_ns
    run.capture(1, told=False)
    run.inboxes[FIRST] += late  # word of the other stream's frames: not one of them is taken for this one's
    run.now_ns += 1_100_000_000
    assert [frame.captured_ns for frame in post.gather()] == [run.now_ns - 1_100_000_000]


def test_a_segment_that_is_another_s_by_now_is_left_alone(run):
    place = run.streams["door"]
    run.streams["gone"] = StreamPlace(place.segment, place.id + 2, "door")
    run.streams["past"] = StreamPlace(f"/proc/{os.getpid()}/fd/9999", 5, "door")
    post = run.life()
    assert list(post.stations) == ["door"]


def test_what_a_message_names_is_opened_only_where_it_is_this_run_s(run):
    """A file that is no stream's memory would be opened for writing, and a link made to any address."""
    place, post = run.streams["door"], run.life()
    for segment, id, returns in (
        (place.segment.replace("/proc/", "/proc/./"), place.id, "yard"),
        (f"/proc/{os.getppid()}/fd/0", place.id, "yard"),
        (place.segment, 0, "yard"),
        (place.segment, place.id, "tcp://192.0.2.1:9"),
    ):
        run.inboxes[FIRST].send(Open("yard", segment, id, returns))
    assert post.gather() == []
    assert list(post.stations) == ["door"]
    run.homes["yard"] = run.homes["door"]
    run.inboxes[FIRST].send(Open("yard", place.segment, place.id, "yard"))
    post.gather()
    assert list(post.stations) == ["door", "yard"]


def test_what_is_no_frame_is_said_and_ignored(run, caplog):
    run.inboxes[FIRST].send(Ready("detect", 1, {}))
    assert run.life().gather() == []
    assert "does not belong here" in caplog.text
