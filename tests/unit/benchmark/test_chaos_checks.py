"""What `maskstream chaos` calls wrong: each check is shown what it is there for."""

import json
import os
import random

import numpy as np
import pytest

from benchmark.accounts import Accounts, flow_since, went_down
from benchmark.chaos import Figures, do, shuffled, source_options
from benchmark.faults import FAULTS
from benchmark.left_files import half_written, order_of
from benchmark.watched_run import LeftOver
from configs.errors import Failure
from overlay.recorder import Recorder
from transport import header as at
from transport.frame import Frame
from transport.ledger import Ledger
from transport.pool import Pool, create_segment
from transport.slot import FIRST, word

NOTHING = LeftOver()


class Run:
    """A run to which nothing is done: it tells what a test wants."""

    def __init__(self, lost=((0, 0), (0, 0)), left=NOTHING, recovered_s=1.5):
        self.accounts = Accounts({})
        self._lost, self._left, self._recovered_s = iter(lost), iter((NOTHING, left)), recovered_s

    def lost(self):
        return next(self._lost)

    def left_over(self):
        return next(self._left)

    def recovered_after(self, fault_s):
        return self._recovered_s


class Scene:
    def __init__(self, run):
        self.run = run


def problems_of(monkeypatch, **told):
    """What is called wrong after a fault, and its figures."""
    monkeypatch.setitem(FAULTS, "kill", lambda scene: "detect")
    run, figures = Run(**told), Figures()
    do("kill", Scene(run), figures)
    return run.accounts.problems, figures


def test_a_fault_that_costs_nothing_is_no_problem(monkeypatch):
    problems, figures = problems_of(monkeypatch)
    assert problems == []
    assert (figures.times, figures.lost, figures.recovered_s) == (1, 0, [1.5])


def test_a_lost_frame_is_a_problem_unless_two_lives_died_with_it(monkeypatch):
    assert problems_of(monkeypatch, lost=((2, 1), (3, 2)))[0] == []
    problems, figures = problems_of(monkeypatch, lost=((2, 1), (4, 2)))
    assert problems == ["kill, detect: 2 frames lost"]
    assert figures.lost == 2


def test_what_is_left_over_is_a_problem(monkeypatch):
    problems, figures = problems_of(monkeypatch, left=LeftOver(segments=1))
    assert "segments=1" in problems[0]
    assert figures.left_over() == {"processes": 0, "segments": 1, "folders": 0, "frames": 0}


def test_a_run_that_does_not_recover_gets_no_other_fault(monkeypatch):
    with pytest.raises(Failure, match="kill, detect: not all flows again after 30 s"):
        problems_of(monkeypatch, recovered_s=None)
    assert Figures(times=1).recovery() == {"p50": None, "p95": None, "max": None}


def test_what_was_left_over_before_is_not_counted_again():
    assert LeftOver(2, 1, 0).since(LeftOver(1, 1, 1)) == LeftOver(1, 0, 0)


def test_a_ledger_that_does_not_balance_is_a_problem():
    fd = create_segment("door", 4)
    with Pool(fd) as pool:
        os.close(fd)
        accounts = Accounts({"door": pool})
        pool.head[at.CAPTURED] = pool.head[at.COUNTS + at.OUTCOMES.index("shown")] = 3
        accounts.look()
        assert accounts.problems == []
        pool.head[at.CAPTURED] = 5  # two are nowhere
        accounts.look()
        assert "door: the ledger does not balance" in accounts.problems[0]


def test_a_frame_that_nobody_takes_is_stuck_and_one_that_goes_on_is_not(monkeypatch):
    monkeypatch.setattr("benchmark.accounts.STUCK_S", 0.0)
    fd = create_segment("door", 4)
    with Pool(fd) as pool:
        os.close(fd)
        accounts = Accounts({"door": pool})
        assert accounts.stuck() == 0
        pool.words[1] = word(FIRST, holder=3, tries=1)
        assert accounts.stuck() == 1
    monkeypatch.setattr("benchmark.accounts.STUCK_S", 1.0)
    monkeypatch.setattr(accounts, "look", lambda: pool.seqs.__setitem__(1, 7))  # the slot has another frame by then
    assert accounts.stuck() == 0


def test_a_count_that_goes_down_is_named():
    then = Ledger(captured=9, shown=7, dropped={"stale": 2})
    assert went_down(then, Ledger(captured=9, shown=7, dropped={"stale": 2, "lost": 1})) == ""
    assert went_down(then, Ledger(captured=9, shown=8, dropped={"stale": 1})) == "stale"
    assert went_down(then, Ledger(captured=9, shown=8)) == "stale"


def shown(*counts, every_s=0.5):
    """Samples of one stream, so many frames shown in all."""
    return [(number * every_s, {"door": Ledger(captured=count, shown=count)}) for number, count in enumerate(counts)]


def test_a_stream_flows_from_where_a_whole_second_of_its_usual_rate_began():
    samples = shown(0, 10, 10, 10, 20, 30)  # 20 a second, nothing from 0.5 s to 1.5 s
    usual = {"door": 20.0}
    assert flow_since(samples, 0.0, usual) == 1.5
    assert flow_since(samples[:5], 0.0, usual) is None  # the last second is half empty
    assert flow_since(samples, 1.6, usual) is None  # it began before the moment that is asked for


def test_one_stream_of_two_that_flows_is_not_enough():
    samples = [(0.0, {"a": Ledger(), "b": Ledger()}), (1.0, {"a": Ledger(shown=20), "b": Ledger()})]
    assert flow_since(samples, 0.0, {"a": 20.0, "b": 20.0}) is None
    assert flow_since(samples, 0.0, {"a": 20.0, "b": 0.0}) == 0.0


@pytest.fixture
def recorded(tmp_path):
    """A folder with a sound video and sound lines."""
    image = np.zeros((48, 64, 3), np.uint8)
    recorder = Recorder(tmp_path / "door.mp4", image)
    for seq in range(5):
        recorder.add(image, Frame("door", seq, seq * 40_000_000, image))
    recorder.close()
    lines = [json.dumps({"stream": "door", "seq": seq}) for seq in range(5)]
    (tmp_path / "frames.jsonl").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_whole_files_are_not_called_half_written(recorded):
    assert half_written(recorded) == []
    assert order_of(recorded / "frames.jsonl") == (0, {})


def test_half_a_line_a_lock_and_a_video_without_its_head_are_found(recorded):
    with (recorded / "frames.jsonl").open("a") as lines:
        lines.write('{"stream": "do')
    (recorded / ".door.mp4.lock").touch()
    video = recorded / "door.mp4"
    video.write_bytes(video.read_bytes()[:20])
    assert half_written(recorded) == ["door.mp4", "frames.jsonl (1 broken)", ".door.mp4.lock"]


def test_frames_out_of_order_and_shown_twice_are_counted(tmp_path):
    order = [("a", 0), ("b", 5), ("a", 1), ("a", 1), ("a", 3), ("a", 2), ("b", 6)]
    lines = tmp_path / "frames.jsonl"
    lines.write_text("".join(json.dumps({"stream": stream, "seq": seq}) + "\n" for stream, seq in order))
    assert order_of(lines) == (1, {"a": 1})


def test_the_order_of_faults_is_the_seed_s():
    first = list(shuffled(["kill", "stop"], 5, random.Random(3)))
    assert first == list(shuffled(["kill", "stop"], 5, random.Random(3)))
    assert sorted(first) == ["kill"] * 5 + ["stop"] * 5
    assert first != list(shuffled(["kill", "stop"], 5, random.Random(4)))


def test_films_play_as_cameras_do(tmp_path):
    film = tmp_path / "clip.mp4"
    film.touch()
    as_camera = {"realtime": True, "loop": True}
    assert source_options("demo") == {"source": "demo"} | as_camera
    assert source_options(str(film)) == {"source": str(film)} | as_camera
    assert source_options("rtsp://192.0.2.1/a") == {"source": "rtsp://192.0.2.1/a"}
