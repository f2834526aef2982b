"""Frames are neither lost nor counted twice, whoever dies between any two writes, whatever becomes of the messages."""

import re
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from simulation.driver import run_at_random
from simulation.mutations import MUTATIONS, mutated
from simulation.world import World
from transport.codec import WireError

STEPS = 4000  # turns of one simulated run


@pytest.mark.parametrize("seed", range(25))
def test_a_hundred_thousand_turns_lose_nothing(seed):
    run_at_random(seed, STEPS)


@pytest.mark.slow
@pytest.mark.parametrize("hundred", range(1, 26))
def test_ten_million_turns_lose_nothing(hundred):
    for seed in range(100 * hundred, 100 * hundred + 100):
        run_at_random(seed, STEPS)


def test_the_docs_list_the_faults():
    text = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()
    assert re.findall(r"^- ([a-z].*)$", text, re.MULTILINE) == list(MUTATIONS)


@pytest.mark.parametrize("fault", MUTATIONS)
def test_a_fault_of_the_protocol_is_found(fault):
    with mutated(MUTATIONS[fault]):
        assert any(breaks(seed) for seed in range(100))


def breaks(seed):
    """Whether a run breaks what must hold; any other error is one of the test itself."""
    try:
        run_at_random(seed, 1500)
    except (AssertionError, KeyError, WireError):  # KeyError: a stage is given no frame, or has one twice
        return True
    return False


def test_frames_that_no_two_lives_died_with_are_all_shown():
    """What the rules of the world allow to be lost is rare: a thousandth of the frames, at a death for each two."""
    worlds = [run_at_random(seed, 2000) for seed in range(15)]
    frames, lost, deaths = (sum(world.counts[name] for world in worlds) for name in ("frames", "lost", "deaths"))
    assert frames > 500
    assert deaths > 100
    assert lost <= deaths / 20


class Runs(RuleBasedStateMachine):
    """Hypothesis looks for a shortest way to break a run."""

    @initialize(
        seed=st.integers(0, 1 << 16),
        batch=st.integers(1, 4),
        keeps=st.sampled_from((0, 6)),
        processes=st.sampled_from(((1, 1, 1), (2, 2, 2), (3, 1, 3))),
    )
    def begin(self, seed, batch, keeps, processes):
        self.world = World(seed, loss=0.1, double=0.1, batch=batch, keeps=keeps, processes=processes)

    @precondition(lambda self: len(self.world.streams) < 3)
    @rule(name=st.sampled_from("abc"), tickets=st.integers(1, 6), length=st.integers(1, 40), live=st.booleans())
    def add(self, name, tickets, length, live):
        if name not in self.world.streams:
            self.world.add(name, tickets, length, live)

    @precondition(lambda self: self.world.alive())
    @rule(who=st.integers(0, 9), turns=st.integers(0, 60))
    def resume(self, who, turns):
        alive = self.world.alive()
        self.world.resume(alive[who % len(alive)], turns)
        self.world.reap()

    @precondition(lambda self: self.world.alive())
    @rule(who=st.integers(0, 9))
    def kill(self, who):
        alive = self.world.alive()
        self.world.kill(alive[who % len(alive)])

    @precondition(lambda self: self.world.dead())
    @rule(who=st.integers(0, 9))
    def start(self, who):
        dead = self.world.dead()
        self.world.start(dead[who % len(dead)])

    @rule()
    def a_second_passes(self):
        self.world.now_ns += 1_100_000_000

    @precondition(lambda self: self.world.streams)
    @rule(who=st.integers(0, 9), paused=st.booleans())
    def pause(self, who, paused):
        self.world.pause(sorted(self.world.streams)[who % len(self.world.streams)], paused)

    @precondition(lambda self: self.world.streams)
    @rule(who=st.integers(0, 9))
    def remove(self, who):
        self.world.remove(sorted(self.world.streams)[who % len(self.world.streams)])

    def teardown(self):
        if hasattr(self, "world"):
            self.world.drain()


TestRuns = Runs.TestCase
TestRuns.settings = settings(max_examples=40, stateful_step_count=60, deadline=None)
