"""The page that `evaluate` writes, in a real browser: all of it is seen, and nothing is asked of anybody."""

import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from browser import page  # noqa: F401

from inference.backends import SHIPPED_MODEL

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def scored(tmp_path):
    rng = np.random.default_rng(1)
    for name in ("mask", "no_mask", "wrong_mask"):
        (tmp_path / "faces" / name).mkdir(parents=True)
        for number in range(3):
            cv2.imwrite(str(tmp_path / "faces" / name / f"{number}.png"), rng.integers(0, 256, (40, 40, 3), np.uint8))
    command = [sys.executable, "-m", "train.evaluate", SHIPPED_MODEL, "faces", "-o", "out"]
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "page: out/index.html"
    return tmp_path / "out" / "index.html"


def test_the_page_of_an_evaluation_is_whole_and_asks_nobody(scored, page):  # noqa: F811
    asked = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(scored.as_uri())
    assert [url for url in asked if not url.startswith("data:")] == [scored.as_uri()]
    assert page.complaints == []
    pictures = page.evaluate("[...document.images].map((one) => one.complete && one.naturalWidth)")
    assert len(pictures) >= 6
    assert all(pictures)
    for anchor in page.locator("nav a").all():
        assert page.locator(anchor.get_attribute("href")).count() == 1
    assert page.locator("svg polyline").count() == 3 + 2 * 3
    assert "python -m train.evaluate" in page.locator("pre").inner_text()
    for width in (1280, 400):
        page.set_viewport_size({"width": width, "height": 900})
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide <= 0, f"the page is wider than a window of {width} px"
