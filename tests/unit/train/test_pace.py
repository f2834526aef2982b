"""What is said of the time that an epoch takes: once, from what was measured, and not when the epoch is over anyway."""

from train.session.pace import Pace


class Clock:
    """A second for each time it is asked."""

    def __init__(self, step_s=1.0):
        self.now, self.step_s = 0.0, step_s

    def __call__(self):
        self.now += self.step_s
        return self.now


def test_it_is_said_once_from_the_steps_after_the_first():
    pace = Pace(1000, 5, Clock())
    said = [pace.step(10) for _ in range(20)]
    assert [place for place, text in enumerate(said) if text] == [3]
    assert "about 100 s for the 1,000 faces of an epoch" in said[3]
    assert "8 min for 5 epochs to come (from 3 steps" in said[3]


def test_what_is_fast_is_measured_for_longer():
    pace = Pace(10_000, 1, Clock(0.25))
    assert [place for place in range(30) if pace.step(10)] == [12]


def test_nothing_is_said_of_an_epoch_that_is_over():
    pace = Pace(40, 5, Clock())
    assert not any(pace.step(10) for _ in range(40))
