"""What the page's process makes of what it is told, and who gets which picture."""

import asyncio
import gc
import json
import time

import msgspec
import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestClient, TestServer

from tell.status import ProcessStatus, StageStatus, Status, StreamStatus
from transport.header import AGE_BUCKETS
from web.health import silence, troubles
from web.metrics import figures
from web.pictures import Pictures
from web.placeholder import explain
from web.run_state import RunState
from web.viewers import Viewers

S = 1_000_000_000


class START:
    ns = 0


@pytest.fixture(autouse=True)
def _a_test_begins_now():
    START.ns = time.monotonic_ns()


def stream(shown=0, state="flowing", **known):
    ages = [0] * AGE_BUCKETS
    ages[80] = shown  # about 10 ms
    usual = {
        "source": "x",
        "kind": "network",
        "live": True,
        "captured": shown,
        "dropped": {},
        "in_flight": 0,
        "skipped": 0,
    }
    usual |= {"faces": 0, "fps": 25.0, "paced_fps": 0.0, "nominal_fps": 25.0, "reconnects": 0, "ages": ages}
    usual |= {"corrupt": 0, "skipped": 0, "away": "", "away_since_ns": 0, "next_try_ns": 0}
    return StreamStatus(shown=shown, state=state, **(usual | known))


def status(second=0.0, ready=True, phase="running", **streams):
    stage = StageStatus(
        frames=100, batches=50, busy_ns=round(second * S / 2), cpu_ns=0, members=1, restarts=2, counts={}
    )
    processes = {"detect": ProcessStatus(1, ready, 0)}
    now_ns = START.ns + round(second * S)
    return Status(now_ns, 1.0, second, phase, 2, streams, {"detect": stage}, processes, {"model": "m"}, {})


def told(*all_of_them) -> RunState:
    run_state = RunState()
    for one in all_of_them:
        run_state.hear(msgspec.msgpack.encode(one))
    return run_state


def test_rates_ages_and_busy_shares_are_of_the_last_seconds():
    run_state = told(*(status(second, door=stream(round(25 * second))) for second in range(10)))
    told_page = run_state.as_json()
    [door], [detect] = told_page["streams"], told_page["stages"]
    assert door["fps"] == pytest.approx(25, abs=0.5)
    assert door["age_ms"]["p95"] == pytest.approx(10, rel=0.1)
    assert door["quality"] == "excellent"
    assert (detect["busy"], detect["restarts"]) == (0.5, 2)


def test_a_camera_that_stalls_and_comes_back_is_poor_and_one_that_is_away_unusable():
    often_back = told(*(status(second, door=stream(25 * second, reconnects=second // 5)) for second in range(30)))
    assert often_back.quality("door") == "poor"
    away = told(*(status(second, door=stream(50, "away" if second > 2 else "flowing")) for second in range(30)))
    assert away.quality("door") == "unusable"


def test_a_camera_before_a_still_room_is_as_good_as_its_pictures_that_are_skipped():
    states = [status(s, door=stream(5 * s, captured=5 * s, skipped=20 * s, still=True)) for s in range(10)]
    [door] = told(*states).as_json()["streams"]
    assert door["fps"] == pytest.approx(5, abs=0.1)
    assert (door["still"], door["quality"], door["skipped"]) == (True, "excellent", 180)


def test_a_stream_that_came_later_and_one_that_went_do_no_harm():
    run_state = told(status(0, door=stream(10)), status(1, door=stream(35), hall=stream(5)), status(2, hall=stream(30)))
    assert [one["name"] for one in run_state.as_json()["streams"]] == ["hall"]


def test_ready_names_what_is_not():
    assert troubles(told(status(door=stream(50))), 1000) == []
    [old] = troubles(told(status(door=stream(50))), 5)
    assert old.startswith("frames of door are")
    assert troubles(told(status(door=stream(50), ready=False)), 1000) == ["detect is not ready"]
    assert troubles(told(status(door=stream(50, "away"))), 1000) == ["no stream is flowing"]
    assert troubles(told(status(door=stream(50), phase="draining")), 1000) == ["draining, not running"]
    assert troubles(RunState(), 1000) == ["the supervisor has not said anything yet"]


def test_an_event_that_is_told_again_is_not_taken_twice():
    run_state = RunState()
    for number in ("01", "02", "01", "02", "03"):
        event = {"id": number, "stream": "door", "rule": "decision", "label": "mask"}
        run_state.happened(json.dumps(event).encode(), b"jpeg" if number == "02" else b"")
    assert [event["id"] for event in run_state.events_after(0)[1]] == ["01", "02", "03"]
    assert run_state.events_after(2)[1][0]["id"] == "03"
    assert run_state.decided["door", "decision", "mask"] == 3
    assert run_state.picture_of("02") == b"jpeg"
    assert run_state.picture_of("01") is None


def test_events_of_several_overlays_come_in_any_order():
    run_state = RunState()
    for number, sender in (("05", b"overlay.1"), ("03", b"overlay.2"), ("05", b"overlay.1"), ("04", b"overlay.2")):
        event = {"id": number, "stream": "door", "rule": "decision", "label": "mask"}
        run_state.happened(json.dumps(event).encode(), b"", sender)
    assert [event["id"] for event in run_state.events_after(0)[1]] == ["05", "03", "04"]


def about(seq):
    return json.dumps({"seq": seq, "captured_ns": 0, "age_ms": 1.0, "width": 64, "height": 48}).encode()


def test_pictures_are_asked_for_while_somebody_looks_and_the_newest_wins():
    asked = []
    pictures = Pictures(lambda name: asked.append(f"+{name}"), lambda name: asked.append(f"-{name}"), lambda name: None)

    async def look():
        with pictures.looking("door"), pictures.looking("door"):
            for seq in (1, 2, 3):
                pictures.came("door", about(seq), b"jpeg")
            first = await pictures.next("door")
            waiting = asyncio.create_task(pictures.next("door", first.number))
            await asyncio.sleep(0)
            assert not waiting.done()
            pictures.came("door", about(4), b"jpeg")
            return first, await waiting

    first, second = asyncio.run(look())
    assert (first.seq, second.seq) == (3, 4)
    assert asked == ["+door", "-door"]


def test_while_no_picture_comes_there_is_a_placeholder_that_is_one():
    pictures = Pictures(lambda name: None, lambda name: None, lambda name: stream(state="away", away="no answer"))

    async def look():
        with pictures.looking("door"):
            return await pictures.next("door")

    picture = asyncio.run(look())
    assert not picture.is_real
    assert picture.jpeg[:2] == b"\xff\xd8"


def test_what_a_silent_supervisor_told_is_not_shown_as_of_now():
    began = [status(second, door=stream(round(25 * (second + 15)))) for second in (-15.0, -14.0, -13.0, -12.0)]
    run_state = told(*began)
    told_page = run_state.as_json()
    [door] = told_page["streams"]
    assert 11 < told_page["silent_s"] < 60
    assert (door["state"], door["fps"], door["quality"], door["age_ms"]["p50"]) == ("unknown", 0.0, "", None)
    assert door["shown"] == 75  # a count stays one
    assert b'maskstream_stream_up{stream="door"} 0.0' in figures(run_state, 0, 0)
    assert silence(run_state) > 11
    assert "has said nothing" in troubles(run_state, 1000)[0]
    lately = told(status(door=stream(0)))
    assert silence(lately) == 0
    assert lately.as_json()["streams"][0]["state"] == "flowing"
    assert b'maskstream_stream_up{stream="door"} 1.0' in figures(lately, 0, 0)


def test_persons_are_those_of_the_last_seconds_also_when_nothing_more_is_told():
    run_state = told(status(door=stream(0)))
    run_state.persons.saw(time.time() - 30, {"door": {1: "mask"}})
    told_page = run_state.as_json()
    assert told_page["streams"][0]["persons"] == {}
    assert told_page["persons"]["now"] > told_page["persons"]["steps"][-1][0] + 10  # the chart's right edge is now


def test_of_removed_streams_nothing_is_remembered():
    run_state, pictures = RunState(), Pictures(lambda name: None, lambda name: None, lambda name: None)

    async def look(name):
        with pictures.looking(name):
            pictures.came(name, about(1), b"jpeg")
            await pictures.next(name)
        pictures.came(name, about(2), b"jpeg that was under way")

    for number in range(20):
        name = f"camera{number}"
        run_state.hear(msgspec.msgpack.encode(status(number, door=stream(9), **{name: stream(9)})))
        event = {"id": f"{number:04}", "stream": name, "rule": "decision", "label": "mask"}
        run_state.happened(json.dumps(event).encode(), b"")
        asyncio.run(look(name))
        run_state.hear(msgspec.msgpack.encode(status(number + 0.5, door=stream(9))))
        pictures.keep(run_state.streams.keys())
    run_state.hear(msgspec.msgpack.encode(status(40, door=stream(9))))
    pictures.keep(run_state.streams.keys())
    held = {name: value for name, value in vars(run_state).items() if name != "_events"}  # the page shows the last 100
    assert "door" in repr(held)
    assert "camera" not in repr(held)
    assert "camera" not in repr(vars(pictures))


def test_a_stream_that_comes_again_by_its_name_has_its_own_figures():
    run_state = told(status(0, door=stream(500)), status(1), status(2, door=stream(25)), status(2.5, door=stream(40)))
    [door] = run_state.as_json()["streams"]
    assert door["age_ms"]["p95"] == pytest.approx(10, rel=0.1)
    assert door["fps"] >= 0


def test_a_stream_that_ended_or_was_removed_says_so():
    assert explain(stream(state="ended"), 0) == ["ended"]
    assert explain(None, 0) == ["removed"]
    [door] = told(status(door=stream(30, "ended", live=False))).as_json()["streams"]
    assert (door["state"], door["why"]) == ("ended", ["ended"])


def test_a_picture_taken_as_its_stream_is_left_brings_no_other():
    """Seen behind a proxy as `KeyError: 'door'`: the cancel came together with the picture's receipt and was lost."""
    asked, failures = list[str](), list[dict]()

    async def look() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
        pictures = Pictures(
            lambda name: asked.append(f"+{name}"), lambda name: asked.append(f"-{name}"), lambda _: None
        )
        app = web.Application()
        app.router.add_get("/", Viewers(pictures, told(status(door=stream())), limit=1).websocket)
        async with TestClient(TestServer(app)) as client, client.ws_connect("/") as page:
            await page.send_json({"watch": ["door"]})
            while "+door" not in asked:
                await asyncio.sleep(0.001)
            pictures.came("door", b'{"seq":1,"captured_ns":1,"age_ms":1,"width":4,"height":4}', b"jpeg")
            while (await page.receive()).type is not WSMsgType.BINARY:
                pass
            await page.send_json({"got": "door", "watch": []})
            await asyncio.sleep(0.05)
            assert asked == ["+door", "-door"]
            gc.collect()

    asyncio.run(look())
    assert not failures
