"""What a run has done lately is told apart from what it has done since its start."""

import pytest

from tell.figures import limited_by, load_figures, run_report
from tell.recent import Recent
from tell.status import StageStatus, Status, StreamStatus


def stream(captured, age_bucket=80, **known):
    ages = [0] * 256
    ages[age_bucket] = captured
    usual = {"source": "x", "kind": "video", "live": True, "state": "flowing", "shown": captured, "dropped": {}}
    usual |= {
        "in_flight": 0,
        "faces": 2 * captured,
        "corrupt": 0,
        "skipped": 0,
        "fps": 1.0,
        "paced_fps": 0.0,
        "nominal_fps": 0.0,
    }
    usual |= {"nominal_fps": 0.0, "reconnects": 0, "away": "", "away_since_ns": 0, "next_try_ns": 0}
    usual |= {"ages": ages, "captured": captured}
    return StreamStatus(**(usual | known))


def status(second, detect_busy_s, classify_busy_s, **streams):
    stages = {
        name: StageStatus(round(25 * second), round(25 * second), round(busy_s * 1e9), 0, 1, 0, {})
        for name, busy_s in (("detect", detect_busy_s), ("classify", classify_busy_s))
    }
    return Status(round(second * 1e9), 1.0, second, "running", 2, streams, stages, {}, {}, {})


def told(*all_of_them):
    recent = Recent()
    for one in all_of_them:
        recent.add(one)
    return recent


def test_what_limits_now_is_not_what_limited_for_an_hour():
    """Detect was busy all the time until a minute ago; since then classify is."""
    recent = told(*(status(s, min(s, 3540), max(0, s - 3540)) for s in range(3500, 3601)))
    assert limited_by(recent.newest) == "detect"
    assert limited_by(recent.lately()) == "classify"
    now, whole = load_figures(recent.lately())["stages"], load_figures(recent.newest)["stages"]
    assert (now["detect"]["busy"], now["classify"]["busy"]) == (0.0, 1.0)
    assert whole["detect"]["busy"] == pytest.approx(0.983, abs=0.001)


def test_rates_and_ages_of_a_stream_are_of_the_last_ten_seconds():
    old, new = stream(10_000, age_bucket=120), stream(10_050, age_bucket=120)
    new.ages[120], new.ages[60] = 10_000, 50
    lately = told(status(1000, 0, 0, door=old), status(1010, 0, 0, door=new)).lately()
    assert (lately.streams["door"].fps, lately.streams["door"].shown, lately.streams["door"].faces) == (5.0, 50, 100)
    report = run_report(status(1010, 0, 0, door=new), lately, {}, {})
    assert report["last_10_s"]["streams"]["door"]["fps"] == 5.0
    assert report["last_10_s"]["streams"]["door"]["age_ms"]["p99"] < 5


def test_a_stream_that_came_later_or_again_under_its_name_is_counted_from_its_beginning():
    recent = told(status(5, 0, 0, door=stream(500)), status(10, 0, 0, door=stream(20), hall=stream(30)))
    assert {name: one.shown for name, one in recent.lately().streams.items()} == {"door": 20, "hall": 30}


def test_a_run_of_one_second_is_as_it_was():
    assert told(status(1, 0.9, 0)).lately() == status(1, 0.9, 0)
    assert limited_by(told(status(1, 0.9, 0)).lately()) == "detect"
