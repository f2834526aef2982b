"""What is written beside recorded packets: boxes, events, what a player shows; and clips that are cut out of them."""

import json
import time
from pathlib import Path

import av
import numpy as np
import pytest

from configs.errors import InputError
from configs.schema import OverlayConfig, PipelineConfig, SourceConfig
from events.event import Event, utc
from overlay.sinks.outages import Outages
from overlay.sinks.packets import PacketsSink
from pipeline import checked, stages
from recordings.packet_file import VIDEO, PacketFile, Parcel, Tracks
from recordings.retention import Keep, prune
from transport.frame import Box, Face, Frame, Prediction, Recorded

BEGAN_NS = time.monotonic_ns()


def frame(seq: int, file: str, ms: float, label: str = "", live: bool = True, why: str = "") -> Frame:
    """Picture `seq` of a camera of 25 pictures a second."""
    said = Prediction(label, 0.9, {label: 0.9})
    faces = (Face(Box(1, 2, 3, 4), said, track=0),) if label else ()
    image = np.zeros((120, 160, 3), np.uint8)
    at = Recorded(file, ms, why)
    return Frame("door", seq, BEGAN_NS + seq * 40_000_000, image, faces, live=live, recorded=at)


def event(text: str = "mask") -> Event:
    return Event(id="1", time=utc(1.0), rule="decision", stream="door", text=text)


@pytest.fixture
def sink(tmp_path: Path):
    """`sink(clips=True)`; `sink.told` is what its outages told as events."""
    sinks = []

    def made(clips: bool = False) -> PacketsSink:
        sinks.append(PacketsSink(str(tmp_path), clips, 1.0, 1.0, Keep()))
        sinks[-1].counts, sinks[-1].told = {}, []
        sinks[-1].outages = Outages(lambda *given: sinks[-1].told.append(given), sinks[-1].counts)
        return sinks[-1]

    return made


def show(sink: PacketsSink, *frames: Frame) -> None:
    for one in frames:
        sink.outages.saw("door", one.live)
        sink.outages.attempt(sink, "door", lambda one=one: sink.show(one, one.image, 1.0))


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_boxes_and_events_are_told_by_the_time_of_the_video(sink, tmp_path):
    packets = sink()
    show(packets, frame(0, "a.mp4", 0.0), frame(1, "a.mp4", 40.0, "no_mask"), frame(2, "a.mp4", 80.0, "no_mask"))
    packets.happened(event("no mask <now>"), b"")
    show(packets, frame(3, "a.mp4", 120.0), frame(4, "a.mp4", 3200.0), frame(5, "b.mp4", 0.0, "mask"))
    show(packets, frame(6, "b.mp4", 1000.0))
    packets.close()

    head, *rest = lines(tmp_path / "a.jsonl")
    assert head == {"video": "a.mp4", "stream": "door", "width": 160, "height": 120}
    assert [line["ms"] for line in rest] == [40.0, 80.0, 80.0, 120.0]
    assert [line.get("seq") for line in rest] == [1, 2, None, 3]
    assert rest[0]["faces"][0] | {"box": [1, 2, 3, 4], "label": "no_mask", "track": 0} == rest[0]["faces"][0]
    assert rest[2]["event"]["text"] == "no mask <now>"
    assert rest[3]["faces"] == []
    assert (tmp_path / "a.vtt").read_text() == (
        "WEBVTT\n\n"
        "00:00:00.040 --> 00:00:00.120\n#0 no mask\n\n"
        "00:00:00.120 --> 00:00:03.200\ndecision: no mask &lt;now&gt;\n\n"
    )
    assert (tmp_path / "b.vtt").read_text() == "WEBVTT\n\n00:00:00.000 --> 00:00:01.000\n#0 mask\n\n"


def test_a_stage_that_begins_again_adds_to_what_is_there(sink, tmp_path):
    first, second = sink(), sink()
    show(first, frame(0, "a.mp4", 0.0, "mask"), frame(1, "a.mp4", 40.0))
    show(second, frame(2, "a.mp4", 80.0, "mask"), frame(3, "a.mp4", 120.0))
    assert (tmp_path / "a.vtt").read_text().count("WEBVTT") == 1
    assert (tmp_path / "a.vtt").read_text().count("-->") == 2
    assert len(lines(tmp_path / "a.jsonl")) == 5


def test_a_recording_that_stopped_is_an_event_and_counted(sink):
    packets = sink()
    show(packets, frame(0, "a.mp4", 0.0), *(frame(seq, "", 0.0, why="disk full") for seq in range(1, 6)))
    show(packets, frame(6, "b.mp4", 0.0))
    assert packets.told == [
        ("door", "recording", "recording stopped: disk full"),
        ("door", "recording", "records again, 5 lost meanwhile"),
    ]
    assert packets.counts["not_written"] == 5


def test_of_a_film_it_ends_the_run(sink):
    with pytest.raises(InputError, match="disk full"):
        show(sink(), frame(0, "", 0.0, live=False, why="disk full"))


def recorded(path: Path, first: int, count: int, clip) -> None:
    """A segment of a recording: pictures from `first` on, 25 a second, a key frame each second."""
    with av.open(str(clip("made.mp4", count=250, g="25", bf="2"))) as film:
        video = film.streams.video[0]
        packets = [packet for packet in film.demux(video) if packet.size]
        begins = next(n for n, one in enumerate(packets) if one.is_keyframe and one.pts * one.time_base >= first / 25)
        began = packets[begins].pts * packets[begins].time_base
        file = PacketFile(path, Tracks(video), began, 0.0)
        for one in packets[begins : begins + count]:
            times = one.pts, one.dts, one.duration, one.time_base
            file.add(Parcel(VIDEO, bytes(one), *times, one.is_keyframe))
        file.close()


def test_a_clip_of_an_event_is_cut_across_two_segments(sink, tmp_path, clip):
    recorded(tmp_path / "door-1.mp4", 0, 100, clip)
    recorded(tmp_path / "door-2.mp4", 100, 150, clip)
    places = [("door-1.mp4", 40.0 * n) for n in range(100)] + [("door-2.mp4", 40.0 * n) for n in range(150)]
    packets = sink(clips=True)
    for seq, (file, ms) in enumerate(places[:150]):
        show(packets, frame(seq, file, ms))
        if seq == 95:
            packets.happened(event(), b"")
    packets.close()
    [made] = (tmp_path / "clips").glob("door-*.mp4")
    with av.open(str(made)) as film:
        frames = list(film.decode(video=0))
    numbers = [clip.index_of(one.to_ndarray(format="bgr24")) for one in frames]
    assert numbers[0] == 50  # the key frame before 95 - 25
    assert numbers[:70] == list(range(50, 120))  # to 95 + 25, and what that needs
    assert len(numbers) <= 72
    assert [round(one.time * 25) for one in frames] == [number - 50 for number in numbers]
    assert packets.told == []


def test_a_clip_of_a_recording_that_is_gone_is_none(sink, tmp_path):
    packets = sink(clips=True)
    show(packets, frame(0, "door-1.mp4", 0.0))
    packets.happened(event(), b"")
    packets.close()
    assert not (tmp_path / "clips").exists()


def test_what_lies_beside_a_segment_goes_with_it(tmp_path):
    names = ["door-20260101T000000Z", "door-20260101T000100Z"]
    for name in names:
        for suffix in (".mp4", ".vtt", ".jsonl"):
            (tmp_path / f"{name}{suffix}").write_bytes(b"x" * 200)
    newest = tmp_path / f"{names[1]}.mp4"
    prune(tmp_path / "door.mp4", Keep(gigabytes=3e-7), newest, (".jsonl", ".vtt"))
    assert sorted(path.stem for path in tmp_path.iterdir()) == [names[1]] * 3


@pytest.mark.parametrize(
    ("source", "options", "said"),
    [
        ({"source": "rtsp://h/a"}, {"privacy": "blur"}, "with all faces in it: not with overlay.privacy"),
        ({"source": "rtsp://h/a", "record": "film.mp4"}, {}, "record: film.mp4 is no network camera"),
        ({"source": "rtsp://h/a", "record": "rtsp://h/b"}, {"sinks": ("null",)}, "--sink record:FOLDER/, which is not"),
        ({"source": "demo"}, {}, "takes a film or a network camera; demo is the demo: .*--sink file:OUT.mp4"),
        ({"source": "rtsp://h/a"}, {"sinks": ("record:{}/a/", "record:{}/b/")}, "record: is given twice"),
    ],
)
def test_what_cannot_be_recorded_is_refused_in_one_line(source, options, said, tmp_path):
    sinks = tuple(sink.format(tmp_path) for sink in options.get("sinks", ("record:{}/a/",)))
    overlay = OverlayConfig(**(options | {"sinks": sinks}))
    asked = PipelineConfig(sources=(SourceConfig(**source),), overlay=overlay)
    with pytest.raises(InputError, match=said):
        stages(checked(asked)[0])
