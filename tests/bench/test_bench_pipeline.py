"""The whole pipeline on the demo, flat out, beside decoding nothing but the same pictures' generator."""

import time

import numpy as np
import pytest

from capture.demo import DemoScene

pytestmark = pytest.mark.bench


def test_the_pipeline_keeps_its_slowest_stage_busy(maskstream):
    scene = DemoScene()
    out = np.empty((480, 640, 3), np.uint8)
    began_s = time.perf_counter()
    for index in range(100):
        scene.picture(index, out)
    alone = 100 / (time.perf_counter() - began_s)
    run = maskstream("--source", "demo", "--sink", "null", "--json")
    assert run.wait(300) == 0
    fps, stages = run.report["streams"]["demo"]["fps"], run.report["stages"]
    busy = {name: figures["busy"] for name, figures in stages.items()}
    print(f"\ndemo 640x480: {fps:.1f} frames/s, scene alone {alone:.0f}/s, busy {busy}")
    assert max(busy.values()) > 0.85  # frames wait for the slowest stage, never the other way round
