"""The sinks that write files, and what is said of a sink that cannot work."""

import json
import os
import time
from datetime import UTC, datetime

import cv2
import numpy as np
import psutil
import pytest

from configs.errors import InputError
from configs.schema import OverlayConfig
from events.event import Event, utc
from events.store import Store
from overlay.display import has_display
from overlay.sinks import check_sinks, default_sinks, make_sinks
from overlay.sinks.contact import CELL_WIDTH_PX, ContactSink
from overlay.sinks.history import HistorySink
from overlay.sinks.images import ImagesSink
from overlay.sinks.jsonl import JsonlSink
from overlay.sinks.outages import Outages
from transport.frame import Box, Face, Frame, Prediction
from transport.stage import RunStart, StageContext


def frame(seq: int = 0, stream: str = "door", value: int = 0, **known) -> Frame:
    return Frame(stream, seq, time.monotonic_ns(), np.full((120, 160, 3), value, np.uint8), **known)


def show_all(sink, frames) -> None:
    for one in frames:
        sink.show(one, one.image, age_ms=1.5)
    sink.close()


# What cannot work


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        (
            "fax",
            r"unknown sink 'fax': use window, web, file:OUT\.mp4, .*images:FOLDER/, .*contact:.*, null",
        ),
        ("out.mp4", r"unknown sink 'out\.mp4'"),
        ("file", r"'file' needs a path: write file:OUT\.mp4"),
        ("file:", r"needs a path"),
        ("file:out.avi", r"'file:out\.avi'.*ends in \.mp4"),
        ("contact:out.txt", r"ends in \.png or \.jpg"),
        ("null:x", r"null takes no path"),
        ("file:{tmp}/folder.mp4", r"folder\.mp4 is a folder, give a file in it"),
        ("jsonl:{tmp}/folder.mp4", r"is a folder, give a file in it"),
        ("images:{tmp}/file.txt", r"is a file, give a folder"),
        ("file:{tmp}/file.txt/out.mp4", r"nothing can be created in .*file\.txt"),
    ],
)
def test_a_sink_that_cannot_work_is_refused_in_one_line(spec, says, tmp_path):
    (tmp_path / "folder.mp4").mkdir()
    (tmp_path / "file.txt").touch()
    spec = spec.replace("{tmp}", str(tmp_path))
    with pytest.raises(InputError, match=says) as refusal:
        check_sinks([spec])
    assert "\n" not in str(refusal.value)
    with pytest.raises(InputError, match=says):
        make_sinks(OverlayConfig(sinks=(spec,)), StageContext())


def test_a_folder_that_may_not_be_written_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)  # root, as CI is, may write everywhere
    with pytest.raises(InputError, match="nothing can be created in"):
        check_sinks([f"file:{tmp_path}/out.mp4"])


def test_checking_creates_nothing(tmp_path):
    check_sinks([f"file:{tmp_path}/a/b/out.mp4", f"images:{tmp_path}/c/", f"jsonl:{tmp_path}/d/out.jsonl", "null"])
    assert list(tmp_path.iterdir()) == []


def test_a_sink_given_twice_is_refused():
    with pytest.raises(InputError, match="given twice"):
        check_sinks(["jsonl:a.jsonl", "jsonl:a.jsonl"])


@pytest.mark.parametrize("spec", ["file:{tmp}/clip.mp4", "file:{tmp}/x/../clip.mp4", "file:{tmp}/{stream}.mp4"])
def test_no_sink_may_write_over_the_source(spec, tmp_path):
    clip = tmp_path / "clip.mp4"
    clip.touch()
    spec = spec.replace("{tmp}", str(tmp_path))
    check_sinks([spec], sources=["0", "rtsp://host/clip.mp4", str(tmp_path / "other.mp4")])
    with pytest.raises(InputError, match=r"would write over the source .*clip\.mp4"):
        check_sinks([spec], sources=["0", str(clip)])


def test_pictures_are_not_saved_into_the_folder_they_come_from(tmp_path):
    with pytest.raises(InputError, match="would write over the source"):
        check_sinks([f"images:{tmp_path}/"], sources=[str(tmp_path)])


@pytest.mark.parametrize("display", [None, ":4095"])
def test_without_a_display_a_window_is_refused_and_others_are_named(display, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    if display:
        monkeypatch.setenv("DISPLAY", display)
    assert not has_display()
    with pytest.raises(InputError, match=r"display|DISPLAY.*file:OUT\.mp4.*null instead"):
        check_sinks(["window"])
    check_sinks([])  # nothing said: the page
    assert default_sinks() == ("web",)


# jsonl


def test_jsonl_has_one_line_per_frame_in_order(tmp_path):
    path = tmp_path / "new" / "out.jsonl"
    face = Face(Box(1, 2, 30.5, 40), Prediction("no_mask", 0.75, {"mask": 0.25, "no_mask": 0.75}))
    frames = [
        frame(0, faces=(face,)),
        frame(1, media_ms=40.0),
        frame(2, stream="hall", name="a.png", faces=(Face(face.box),)),
    ]
    show_all(JsonlSink(str(path)), frames)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [(line["stream"], line["seq"]) for line in lines] == [("door", 0), ("door", 1), ("hall", 2)]
    assert [line["name"] for line in lines] == ["", "", "a.png"]
    assert [line["media_ms"] for line in lines] == [None, 40.0, None]
    assert {(line["width"], line["height"], line["age_ms"]) for line in lines} == {(160, 120, 1.5)}
    assert lines[0]["faces"] == [
        {
            "track": None,
            "box": [1, 2, 30.5, 40],
            "label_age_ms": 0.0,
            "label": "no_mask",
            "confidence": 0.75,
            "probabilities": {"mask": 0.25, "no_mask": 0.75},
        }
    ]
    assert lines[1]["faces"] == []
    unknown = dict.fromkeys(("track", "label", "label_age_ms", "confidence", "probabilities"))
    assert lines[2]["faces"] == [{"box": [1, 2, 30.5, 40]} | unknown]


def test_jsonl_tells_of_damaged_pictures_only(tmp_path):
    show_all(JsonlSink(str(tmp_path / "out.jsonl")), [frame(0), frame(1, corrupt=True)])
    lines = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()]
    assert [line.get("corrupt") for line in lines] == [None, True]


def test_jsonl_tells_the_time_of_capture_in_utc(tmp_path):
    old = Frame("door", 0, time.monotonic_ns() - 5_000_000_000, np.zeros((2, 2, 3), np.uint8))
    show_all(JsonlSink(str(tmp_path / "out.jsonl")), [old])
    captured = json.loads((tmp_path / "out.jsonl").read_text())["captured"]
    assert captured.endswith("Z")
    assert len(captured) == len("2026-11-23T04:00:00.123Z")
    assert abs((datetime.now(UTC) - datetime.fromisoformat(captured)).total_seconds() - 5) < 1


def test_a_line_is_in_the_file_as_soon_as_its_frame_is_shown(tmp_path):
    sink = JsonlSink(str(tmp_path / "out.jsonl"))
    sink.show(frame(), frame().image, 0)
    assert (tmp_path / "out.jsonl").read_text().endswith("}\n")
    sink.close()


def test_what_the_run_wrote_stays_and_that_of_an_earlier_run_is_replaced(tmp_path):
    path, began = tmp_path / "out.jsonl", RunStart(time.time() - 60, time.monotonic() - 60)
    path.write_text("of an earlier run\n")
    os.utime(path, (began.unix_s - 1,) * 2)
    show_all(JsonlSink(str(path), began), [frame(0)])
    with path.open("a") as file:
        file.write('{"stream": "torn by a kill' + 1000 * ".")
    show_all(JsonlSink(str(path), began), [frame(2)])  # the next life of the stage
    assert [json.loads(line)["seq"] for line in path.read_text().splitlines()] == [0, 2]


def test_a_stream_that_comes_again_adds_to_its_lines(tmp_path):
    sink = JsonlSink(str(tmp_path / "{stream}.jsonl"))
    for seq in range(2):
        sink.show(frame(seq), frame().image, 0)
    path = str(tmp_path / "door.jsonl")
    assert path in {file.path for file in psutil.Process().open_files()}
    for _ in range(2):  # it may be told twice
        sink.ended("door")
    assert path not in {file.path for file in psutil.Process().open_files()}
    sink.show(frame(0), frame().image, 0)
    sink.close()
    assert [json.loads(line)["seq"] for line in (tmp_path / "door.jsonl").read_text().splitlines()] == [0, 1, 0]


def test_a_restarted_stage_goes_on_with_an_empty_or_torn_jsonl(tmp_path):
    for content in ("", "torn"):
        (tmp_path / "out.jsonl").write_text(content)
        show_all(JsonlSink(str(tmp_path / "out.jsonl")), [frame(2)])
        assert json.loads((tmp_path / "out.jsonl").read_text())["seq"] == 2


def test_jsonl_has_a_file_per_stream_where_asked_for(tmp_path):
    show_all(JsonlSink(str(tmp_path / "{stream}.jsonl")), [frame(stream="a"), frame(stream="b/c"), frame(stream="a")])
    assert {path.name: len(path.read_text().splitlines()) for path in tmp_path.iterdir()} == {
        "a.jsonl": 2,
        "b_c.jsonl": 1,
    }


def test_a_file_that_cannot_be_written_is_named_in_one_line(tmp_path):
    (tmp_path / "file.txt").touch()
    with pytest.raises(InputError, match=r"file\.txt/out\.jsonl: cannot be written \(.*\)"):
        show_all(JsonlSink(str(tmp_path / "file.txt" / "out.jsonl")), [frame()])


# images


def test_pictures_of_a_folder_keep_their_names_and_others_are_numbered(tmp_path):
    frames = [
        frame(0, name="a.png", value=10),
        frame(1, name="b.JPG", value=20),
        frame(2, value=30),
        frame(3, name="c.gifx", value=40),
    ]
    show_all(ImagesSink(str(tmp_path / "out")), frames)
    saved = {path.name: cv2.imread(str(path)) for path in (tmp_path / "out").iterdir()}
    assert {name: round(picture.mean()) for name, picture in saved.items()} == {
        "a.png": 10,
        "b.JPG": 20,
        "door-00000002.jpg": 30,
        "c.gifx.jpg": 40,
    }


def test_a_picture_cannot_leave_its_folder_by_its_name(tmp_path):
    show_all(ImagesSink(str(tmp_path / "out")), [frame(name="../../evil.png"), frame(stream="../up", value=1)])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [".._up-00000000.jpg", "evil.png"]


# contact


@pytest.mark.parametrize("count", [1, 5, 12, 100, 1000])
def test_the_contact_picture_shows_frames_from_begin_to_end_of_a_run_of_any_length(count, tmp_path):
    values = [round(255 * i / max(1, count - 1)) for i in range(count)]
    show_all(ContactSink(str(tmp_path / "demo.png")), [frame(i, value=value) for i, value in enumerate(values)])
    sheet = cv2.imread(str(tmp_path / "demo.png"))
    cell_height = CELL_WIDTH_PX * 120 // 160
    cells = sheet[cell_height // 2 :: cell_height, CELL_WIDTH_PX // 2 :: CELL_WIDTH_PX, 0].ravel().tolist()
    cells = cells[: min(count, 12)]
    assert cells == sorted(cells)
    assert cells[0] == 0
    assert cells[-1] >= (0.85 * 255 if count > 1 else 0)
    assert len(set(cells)) == min(count, 12)


def test_several_overlays_make_one_contact_picture_in_the_order_of_capture(tmp_path):
    sinks = [ContactSink(str(tmp_path / "c.png"), tmp_path, name) for name in ("overlay.1", "overlay.2")]
    for number in range(6):
        one = frame(number, value=40 * number)
        sinks[number % 2].show(one, one.image, 1.0)
    for sink in sinks:
        sink.close()
    sheet = cv2.imread(str(tmp_path / "c.png"))
    cell_height = CELL_WIDTH_PX * 120 // 160
    cells = sheet[cell_height // 2 :: cell_height, CELL_WIDTH_PX // 2 :: CELL_WIDTH_PX, 0].ravel().tolist()
    assert cells[:6] == [0, 40, 80, 120, 160, 200]


def test_a_run_without_frames_makes_no_contact_picture(tmp_path):
    show_all(ContactSink(str(tmp_path / "demo.png")), [])
    assert list(tmp_path.iterdir()) == []


def test_a_flood_of_events_does_not_outgrow_the_history(tmp_path):
    """Old ones are deleted once a minute, and after so many events."""
    sink = HistorySink(str(tmp_path / "e.db"), days=30, megabytes=0.5, pictures=True, counts={})
    sink.outages = Outages(lambda *said: None, {})
    for number in range(1000):
        event = Event(id=f"{number:05}", time=utc(time.time()), stream="door", rule="decision", text="no mask")
        sink.happened(event, bytes(4000))
    sink.close()
    store = Store(tmp_path / "e.db")
    assert store.used_bytes() < 2e6  # half a MB, and 200 events of 4 kB
    assert [event.id for event, _ in store.read()][-1] == "00999"
