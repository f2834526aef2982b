"""The whole pipeline on the demo, flat out: faces followed between searches, beside each frame searched."""

import pytest

pytestmark = pytest.mark.bench


def figures(maskstream, *options):
    run = maskstream("--source", "demo", "--sink", "null", "--json", *options)
    assert run.wait(300) == 0
    report = run.report
    return report["streams"]["demo"]["fps"], {name: stage["busy"] for name, stage in report["stages"].items()}


def test_following_faces_is_worth_it(maskstream):
    every, busy_every = figures(maskstream, "--every-frame")
    followed, busy_followed = figures(maskstream)
    print(f"\ndemo 640x480, each frame searched: {every:.1f} frames/s, busy {busy_every}")
    print(f"followed: {followed:.1f} frames/s, busy {busy_followed}")
    assert max(busy_every.values()) > 0.85  # frames wait for the slowest stage, never the other way round
    assert followed > 2.5 * every
