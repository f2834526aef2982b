"""`make bench`: a short benchmark, which fails where a ratio falls under its floor.

Ratios of one run, because machines are shared and noisy.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.bench
ROOT = Path(__file__).resolve().parents[2]


def measured(*arguments):
    command = [sys.executable, "-m", "benchmark", *arguments, "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    print("\n" + json.dumps(report["ratios"]))
    return report


def test_the_pipeline_beside_the_loops():
    report = measured("--compare", "--limit", "8")
    ratios, pipeline = report["ratios"], report["pipeline"]
    assert ratios["pipeline_to_original"] > 60
    assert ratios["pipeline_to_single"] > 25
    assert ratios["every_frame_to_original"] > 6
    assert ratios["pipeline_to_own_decoding"] > 0.25
    assert pipeline["recall"] > 0.98
    assert pipeline["wrong_person"] == 0
    assert pipeline["false_boxes_per_frame"] == 0
    assert pipeline["busy_share"] > 0.85
    assert pipeline["memory_mb"] < 500
    assert report["every_frame"]["recall"] > 0.95


def test_the_link_beside_imagezmq():
    ratios = measured("--transport")["ratios"]
    for size in ("480p", "720p", "1080p"):
        assert ratios[f"link_to_imagezmq_{size}"] > 5
        assert ratios[f"link_cpu_to_imagezmq_{size}"] < 0.25


def test_a_camera_before_an_empty_room():
    report = measured("--idle")
    assert report["ratios"]["idle_cpu_to_decoding"] < 3
    assert report["idle"]["searches_per_s"] < 2.5
    assert report["idle"]["faces"] == 0


def test_the_streams_that_this_box_holds():
    found = measured("--find-max")["find_max"]
    assert found["streams"] >= 6
    assert found["held"]["worst_age_ms"] < 100
