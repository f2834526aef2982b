"""Scenes played live: each picture when it is due, and none that the next one has overtaken."""

import numpy as np

from train import evaluate_tracks
from train.evaluate_tracks import as_they_come
from transport.frame import Frame

PICTURE = np.zeros((8, 8, 3), np.uint8)


class Clock:
    """Time that passes only where somebody sleeps or works."""

    def __init__(self):
        self.now_ns = 5_000_000_000

    def monotonic_ns(self):
        return self.now_ns

    def sleep(self, seconds):
        self.now_ns += round(1e9 * seconds)


def test_a_picture_comes_when_it_is_due_and_not_after_the_next_one(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(evaluate_tracks, "time", clock)
    came = []
    for [frame] in as_they_come(Frame("hall", seq, 0, PICTURE, media_ms=40.0 * seq) for seq in range(6)):
        assert frame.live
        came.append((frame.seq, (frame.captured_ns - 5_000_000_000) / 1e6, (clock.now_ns - 5_000_000_000) / 1e6))
        clock.sleep(0.1 if frame.seq == 1 else 0.001)  # the second one keeps the stage busy until 140 ms
    assert came == [(0, 0, 0), (1, 40, 40), (3, 120, 140), (4, 160, 160), (5, 200, 200)]
