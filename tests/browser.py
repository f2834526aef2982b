"""A headless Chromium that looks at a page, and what it complained about."""

from __future__ import annotations

import shutil
from collections.abc import Iterator

import pytest

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--host-resolver-rules=MAP *.example 127.0.0.1",
]  # fmt: skip


@pytest.fixture
def page() -> Iterator[object]:
    """A page of playwright's; `page.complaints` are the errors of its console and its scripts."""
    playwright = pytest.importorskip("playwright.sync_api", reason="looking at a page needs playwright (pip)")
    chromium = shutil.which("chromium")
    if chromium is None:
        pytest.skip("looking at a page needs Debian's chromium: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium, headless=True, args=FLAGS)
        page = browser.new_page(viewport={"width": 1280, "height": 900}, ignore_https_errors=True)
        page.complaints = []
        page.on(
            "console", lambda said: page.complaints.append(said.text) if said.type in ("error", "warning") else None
        )
        page.on("pageerror", lambda error: page.complaints.append(str(error)))
        yield page
        browser.close()


def seqs(page) -> dict[str, int]:
    """The number of the frame that each tile shows; of those that show one."""
    found = page.evaluate(
        """() => [...document.querySelectorAll(".tile")].map((tile) => [tile.dataset.stream,
            tile.querySelector(".why").hidden ? Number(tile.querySelector("canvas").dataset.seq) : -1])"""
    )
    return {name: seq for name, seq in found if seq >= 0}


def looks(page, stream: str) -> list[int]:
    """Pixels of what a tile shows, red, green and blue in a grid of 8 x 8."""
    return page.evaluate(
        """(name) => { const small = new OffscreenCanvas(8, 8).getContext("2d");
            small.drawImage(document.querySelector(`[data-stream="${name}"] canvas`), 0, 0, 8, 8);
            return [...small.getImageData(0, 0, 8, 8).data]; }""",
        stream,
    )
