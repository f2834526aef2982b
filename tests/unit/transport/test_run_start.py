"""What a run wrote is its own, also where the clock on the wall is set while it goes on."""

import time

import pytest

from transport.stage import RunStart


@pytest.mark.parametrize("set_s", [0.0, 86400.0, -86400.0])
def test_a_file_of_the_run_is_its_own_whatever_is_done_to_the_clock(set_s, monkeypatch):
    real_s, ahead_s = time.time, 0.0
    monkeypatch.setattr(time, "time", lambda: real_s() + ahead_s)
    began = RunStart(time.time() - 600, time.monotonic() - 600)
    written_before_s, ahead_s = time.time() - 300, set_s
    written_after_s = time.time()
    assert began.was_before(written_before_s)
    assert began.was_before(written_after_s)


def test_a_file_of_an_earlier_run_is_not():
    assert not RunStart().was_before(time.time() - 60)
