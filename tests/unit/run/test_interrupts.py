"""Which signals end a run."""

import signal

import pytest

from run.interrupts import interrupts


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def number(request):
    before = signal.getsignal(request.param)
    yield request.param
    signal.signal(request.param, before)


def test_each_ends_it_and_does_afterwards_as_before(number):
    heard = []
    signal.signal(number, lambda *_: heard.append("as before"))
    with interrupts(lambda: heard.append("stop")):
        signal.raise_signal(number)
    signal.raise_signal(number)
    assert heard == ["stop", "as before"]


def test_one_that_comes_blocked_is_heard(number):
    heard = []
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [number])
    try:
        with interrupts(lambda: heard.append("stop")):
            signal.raise_signal(number)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    assert heard == ["stop"]


def test_of_those_that_come_ignored_only_sighup_stays_so(number):
    """`nohup` ignores SIGHUP to keep a run; a script's shell ignores SIGINT for all it starts in the background."""
    heard = []
    signal.signal(number, signal.SIG_IGN)
    with interrupts(lambda: heard.append("stop")):
        signal.raise_signal(number)
    assert heard == ([] if number == signal.SIGHUP else ["stop"])
    assert signal.getsignal(number) == signal.SIG_IGN
