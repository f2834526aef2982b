"""What a run comes to: which stage the others wait for."""

from types import SimpleNamespace

import pytest

from transport.figures import limited_by


@pytest.mark.parametrize(
    ("busy", "cores", "limits"),
    [
        ((0.3, 0.95, 0.2), (0.3, 0.95, 0.2), "detect"),
        ((0.7, 0.6, 0.8), (0.9, 0.5, 0.5), "capture"),
        ((0.7, 0.6, 0.8), (0.5, 0.5, 0.5), None),
    ],
    ids=["busy nearly all the time", "all cores are busy, and it most", "nobody"],
)
def test_what_limits_a_run(busy, cores, limits, monkeypatch):
    names = ("capture", "detect", "overlay")
    figures = {name: {"busy": b, "cores": c} for name, b, c in zip(names, busy, cores, strict=True)}
    monkeypatch.setattr("transport.figures.stage_figures", lambda supervisor: figures)
    assert limited_by(SimpleNamespace(cores=2)) == limits
