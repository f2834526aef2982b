"""The page, looked at by a real browser: pictures move, a camera goes and comes back, events appear."""

import os
import signal
import time

import pytest
from browser import looks, page, seqs
from ports import free_port

__all__ = ["page"]


def until(holds, patience_s=40.0):
    """Wait until something is seen on the page."""
    deadline = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < deadline, "not seen in time"
        time.sleep(0.1)


@pytest.fixture
def port() -> int:
    return free_port()


def test_three_cameras_move_and_one_that_is_killed_comes_back_by_itself(
    maskstream, rtsp_server, clip, page, port, tmp_path
):
    """Two films as live sources and a network camera; screenshots are left in the test's folder."""
    camera = rtsp_server()
    films = [clip(name, count=300) for name in ("yard.mp4", "hall.mp4")]
    config = tmp_path / "three.yaml"
    lines = [f"  - {{source: {film}, realtime: true, loop: true}}" for film in films]
    config.write_text("\n".join(["sources:", *lines, f'  - {{source: "{camera.url}"}}']))
    run = maskstream("--config", config, "--sink", "web", "--port", port)
    run.until(lambda: "web: ready" in run.stderr)
    page.goto(f"http://127.0.0.1:{port}/", wait_until="commit")
    until(lambda: len(seqs(page)) == 3)
    before, before_looks = seqs(page), {name: looks(page, name) for name in seqs(page)}
    page.wait_for_timeout(1500)
    after = seqs(page)
    assert all(after[name] > before[name] + 5 for name in before), (before, after)
    until(lambda: all(looks(page, name) != before_looks[name] for name in before))
    assert "misses" in page.locator("#misses").inner_text()
    page.screenshot(path=str(tmp_path / "three.png"))
    page.locator(".tile").first.focus()
    page.keyboard.press("Enter")  # nobody brings pictures of the two behind it: they must not come back with old ones
    until(lambda: len(seqs(page)) == 1)
    page.keyboard.press("Escape")
    until(lambda: len(seqs(page)) == 3)
    name = next(name for name in before if name.startswith("127"))
    words = page.locator(f'[data-stream="{name}"]')

    camera.kill()
    until(lambda: "away" in words.inner_text())
    until(lambda: "next try" in words.locator(".why").inner_text() or "trying" in words.locator(".why").inner_text())
    assert words.locator(".why").is_visible()
    assert seqs(page).keys() == before.keys() - {name}
    page.screenshot(path=str(tmp_path / "away.png"))
    camera.start()
    until(lambda: len(seqs(page)) == 3)
    until(lambda: "flowing" in words.inner_text())
    assert page.complaints == []
    began_s = time.monotonic()
    run.signal(signal.SIGINT)
    assert run.wait() == 0
    assert time.monotonic() - began_s < 3
    until(lambda: page.locator("#lost").is_visible())


def test_events_the_chart_and_the_keyboard(maskstream, page, port):
    run = maskstream("--source", "demo", "--realtime", "--loop", "--sink", "web", "--port", port)
    run.until(lambda: "web: ready" in run.stderr)
    page.set_viewport_size({"width": 390, "height": 844})  # a phone
    page.goto(f"http://127.0.0.1:{port}/", wait_until="commit")
    until(lambda: page.locator("#events li img").count() >= 2)
    assert page.evaluate("document.querySelector('#events img').decode().then(() => true)")
    until(lambda: page.locator("#chart rect").count() >= 1)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "a phone must not scroll sideways"
    assert "superseded" in page.locator("#ledger").inner_text() or "captured" in page.locator("#ledger").inner_text()
    assert "overlay" in page.locator("#stages").inner_text()
    until(lambda: "adjusted for known errors" in page.locator("#share").inner_text())
    assert "that were not learnt from" in page.locator("#errors").inner_text()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.locator(".tile.large").count() == 1
    page.keyboard.press("Escape")
    assert page.locator(".tile.large").count() == 0
    assert page.complaints == []


SLOW_DECODER = """(() => { const decode = createImageBitmap; window.createImageBitmap = async (blob) => {
    const picture = await decode(blob); await new Promise((done) => setTimeout(done, 700)); return picture; }; })()"""


def test_a_page_that_lost_the_server_says_so_and_comes_back(maskstream, page, port):
    """A picture that was still being decoded when the server went is not shown afterwards."""
    page.add_init_script(SLOW_DECODER)
    line = ("--source", "demo", "--realtime", "--loop", "--sink", "web", "--port", port)
    first = maskstream(*line)
    first.until(lambda: "web: ready" in first.stderr)
    page.goto(f"http://127.0.0.1:{port}/", wait_until="commit")
    until(lambda: seqs(page))
    first.signal(signal.SIGKILL)
    until(lambda: page.locator("#lost").is_visible())
    assert not seqs(page)
    page.wait_for_timeout(1000)
    assert not seqs(page)
    assert page.locator(".tile .figures").inner_text() == page.locator(".tile .persons").inner_text() == ""
    assert page.locator("#summary").inner_text() == "no connection"
    second = maskstream(*line)
    second.until(lambda: "capture-demo: ready" in second.stderr)
    until(lambda: seqs(page))
    assert not page.locator("#lost").is_visible()


def test_the_processes_of_page_and_overlay_may_die(maskstream, page, port):
    run = maskstream("--source", "demo", "--realtime", "--loop", "--sink", "web", "--port", port)
    run.until(lambda: "web: ready" in run.stderr)
    page.goto(f"http://127.0.0.1:{port}/", wait_until="commit")
    until(lambda: seqs(page) and page.locator("#events li").count())
    for name in ("web", "overlay"):
        os.kill(run.stage(name), signal.SIGKILL)
        run.until(lambda name=name: f"{name}: died" in run.stderr)
        run.until(lambda name=name: run.stderr.count(f"{name}: ready") == 2)
        was = seqs(page)
        until(lambda was=was: seqs(page) and seqs(page) != was)
    until(lambda: page.locator("#events li").count())


def test_a_stream_is_paused_added_and_removed_from_the_page(maskstream, page, port):
    token = "a-token-of-the-test"
    line = ("--source", "demo", "--realtime", "--loop", "--sink", "web", "--port", port, "--token", token)
    run = maskstream(*line)
    run.until(lambda: "web: ready" in run.stderr)
    asked = []
    page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.accept(token)))
    page.goto(f"http://127.0.0.1:{port}/", wait_until="commit")
    until(lambda: seqs(page))
    page.locator('[data-stream="demo"] button.pause').click()
    until(lambda: "paused" in page.locator('[data-stream="demo"] .why').inner_text())
    page.locator('[data-stream="demo"] button.pause').click()
    until(lambda: seqs(page))
    page.locator('#add input[name="source"]').fill("none.mp4")
    page.keyboard.press("Enter")
    until(lambda: "no such file" in page.locator("#said").inner_text())
    page.locator('#add input[name="source"]').fill("demo")
    page.locator('#add input[name="name"]').fill("second")
    page.keyboard.press("Enter")
    until(lambda: "second" in seqs(page))
    page.locator('[data-stream="second"] button.remove').click()
    until(lambda: page.locator('[data-stream="second"]').count() == 0)
    assert len(asked) == 1
    assert page.locator(".tile.large").count() == 0
    assert all("401" in complaint or "400" in complaint for complaint in page.complaints)
