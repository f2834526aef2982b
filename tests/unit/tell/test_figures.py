"""What a run comes to: which stage the others wait for."""

import pytest

from tell.figures import limited_by
from tell.status import StageStatus, Status

RAN_S = 10


def status(busy, cores):
    stages = {
        name: StageStatus(100, 50, round(b * RAN_S * 1e9), round(c * RAN_S * 1e9), 1, 0, {})
        for name, b, c in zip(("capture", "detect", "overlay"), busy, cores, strict=True)
    }
    return Status(0, 1.0, RAN_S, "running", 2, {}, stages, {}, {}, {})


@pytest.mark.parametrize(
    ("busy", "cores", "limits"),
    [
        ((0.3, 0.95, 0.2), (0.3, 0.95, 0.2), "detect"),
        ((0.7, 0.6, 0.8), (0.9, 0.5, 0.5), "capture"),
        ((0.7, 0.6, 0.8), (0.5, 0.5, 0.5), None),
    ],
    ids=["busy nearly all the time", "all cores are busy, and it most", "nobody"],
)
def test_what_limits_a_run(busy, cores, limits):
    assert limited_by(status(busy, cores)) == limits


def lanes(capture, *detect):
    cores = {"capture": capture} | {f"detect.{lane}": used for lane, used in enumerate(detect, 1)}
    stages = {
        name: StageStatus(100, 50, round(0.8 * used * RAN_S * 1e9), round(used * RAN_S * 1e9), 1, 0, {})
        for name, used in cores.items()
    }
    return Status(0, 1.0, RAN_S, "running", 2, {}, stages, {}, {}, {})


def test_of_several_lanes_the_busy_one_limits_or_the_stage_that_uses_most_with_all_of_them():
    assert limited_by(lanes(0.5, 0.1, 1.1)) == "detect.2"
    assert limited_by(lanes(0.8, 0.5, 0.5)) == "detect"
