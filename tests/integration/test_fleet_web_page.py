"""The fleet's page, looked at by a real browser: on a desk, on a phone, and with 2,000 cameras."""

import signal
import time

from browser import page
from fleet_page import FLEET, TOKEN, FleetPage, fleet_page, shard
from test_fleet_serve import status_of
from test_web_page import until

__all__ = ["fleet_page", "page", "shard"]


def tile(page, camera):
    return page.locator(f'[data-camera="{camera}"]')


def drawn(page, camera):
    """How many pictures a tile has shown; none while words stand there."""
    if tile(page, camera).locator(".why").is_visible():
        return 0
    return int(tile(page, camera).locator("canvas").get_attribute("data-drawn") or 0)


def sized(page, width, height):
    page.set_viewport_size({"width": width, "height": height})
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), "it must not scroll sideways"


def test_cameras_of_two_shards_move_and_a_shard_that_is_killed_is_said(fleet_page, shard, page, tmp_path):
    """On a desk, then on a phone; screenshots are left in the test's folder."""
    fleet_page.start()
    north = shard("north-0", "a")
    shard("south-0", "b")
    page.goto(f"http://127.0.0.1:{fleet_page.port}/", wait_until="commit")
    both = ("north-0/door", "south-0/gate")
    until(lambda: all(tile(page, camera).count() and drawn(page, camera) > 1 for camera in both))
    sized(page, 1280, 900)
    assert "2 of 2 cameras flow" in page.locator("#summary").inner_text()
    until(lambda: page.locator("#events li img").count() >= 2)
    page.locator("#events img").first.scroll_into_view_if_needed()
    assert page.evaluate("document.querySelector('#events img').decode().then(() => true)")
    assert {"north-0", "south-0"} <= set(page.locator("#shards").inner_text().split())
    assert "captured" in page.locator("#ledger").inner_text()
    page.evaluate("scrollTo(0, 0)")
    for width, height in ((1280, 900), (390, 844)):
        sized(page, width, height)
        until(lambda: all(drawn(page, camera) for camera in both))
        page.screenshot(path=str(tmp_path / f"flowing-{width}.png"), full_page=True)

    tile(page, "north-0/door").focus()
    page.keyboard.press("Enter")  # nobody brings pictures of the one behind it
    until(lambda: not drawn(page, "south-0/gate"))
    before = drawn(page, "north-0/door")
    until(lambda: drawn(page, "north-0/door") > before + 2)
    page.keyboard.press("Escape")
    north.signal(signal.SIGKILL)
    words = tile(page, "north-0/door").locator(".why")
    until(lambda: words.is_visible() and "shard silent since" in words.inner_text())
    assert "1 of 2 cameras flow, 1 of 2 shards silent" in page.locator("#summary").inner_text()
    for width, height in ((390, 844), (1280, 900)):
        sized(page, width, height)
        page.screenshot(path=str(tmp_path / f"silent-{width}.png"), full_page=True)
    page.locator("#troubled").check()
    assert not tile(page, "south-0/gate").is_visible()
    assert [said for said in page.complaints if "502" not in said and "503" not in said] == []
    fleet_page.end(signal.SIGKILL)
    until(lambda: page.locator("#lost").is_visible())
    assert "no connection" in words.inner_text()


def test_2000_cameras_are_found_and_only_pictures_in_view_are_asked_for(tmp_path, maskstream, page):
    """Nobody starts 2,000 cameras for a test: their statuses are sent as shards do it; page and browser are real."""
    hosts = "{{name: box, count: 81, cores: 8, streams_per_core: 5}}"
    cameras = "\n".join(
        f"  - {{{{name: cam{n:04}, site: north, source: 'rtsp://192.0.2.1/{n}'}}}}" for n in range(2000)
    )
    fleet = FLEET.replace("{{name: box, cores: 2, streams_per_core: 5}}", hosts)
    fleet = fleet.replace("defaults:", f"{cameras}\ndefaults:")
    fleet = fleet.replace("status_every_s: 0.5", "status_every_s: 60")  # they are sent once
    folder = tmp_path / "serve"
    folder.mkdir()
    many = FleetPage(folder, fleet)
    many.start()
    try:
        for number, one in enumerate(many.status()["shards"]):
            mine = [camera["name"] for camera in many.status()["cameras"] if camera["shard"] == one["name"]]
            sent = status_of(one["name"], mine, run=f"{number:016x}")
            assert many.ask("/status", sent)[0] == 200
        asked = []
        page.on("request", lambda request: asked.append(request.url) if "/snapshot/" in request.url else None)
        sized(page, 390, 844)
        began_s = time.monotonic()
        page.goto(f"http://127.0.0.1:{many.port}/", wait_until="commit")
        until(lambda: page.locator(".tile").count() == 2002)
        print(f"{time.monotonic() - began_s:.1f} s until 2,002 cameras are there")
        sized(page, 390, 844)
        page.screenshot(path=str(tmp_path / "many.png"))
        until(lambda: page.wait_for_timeout(50) or asked)  # what a page asks is heard of while it is waited for
        page.locator("#search").fill("cam1234")
        until(lambda: page.locator(".tile:visible").count() == 1)
        assert page.locator("#found").inner_text() == "1 shown"
        until(lambda: page.wait_for_timeout(50) or asked[-1].endswith("/cam1234.jpg"))
        assert len(set(asked)) < 40
        assert page.locator("#facts").inner_text().startswith("81 shards")
        page.locator("#search").fill("")
        page.get_by_role("link", name="events, frames, shards").click()  # behind 2,000 cameras nobody scrolls to them
        until(lambda: page.evaluate("document.querySelector('#panels').getBoundingClientRect().top") < 400)
        page.locator("#site").select_option("south")
        until(lambda: page.locator(".tile:visible").count() == 1)
    finally:
        many.end(signal.SIGKILL)
    assert TOKEN not in many.log
