"""What is recorded is what was sent: every packet once, cut at key frames, each picture where it is said to be."""

import threading
from pathlib import Path

import av
import pytest
from made_films import joined, with_sound
from reading import read

import capture.packet_copy
import capture.packet_writer
from capture.decoder import Decoder
from capture.kinds.film import Film
from capture.packet_copy import PacketCopy, PacketRecording
from capture.packet_writer import PacketWriter
from capture.picture import BEGINNING, Place

X265 = {"x265-params": "keyint=25:min-keyint=25:open-gop=0:bframes=3:log-level=none:pools=1"}
WITH_B_FRAMES = {"g": "25", "bf": "2"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "rec"


@pytest.fixture
def begin(folder: Path):
    """`begin(segment_s=1)` starts a recording of the stream `door`; all are closed in the end."""
    copies = []

    def started(segment_s: float = 1.0, paced: bool = False, sound: bool = False, below: str = "") -> PacketCopy:
        recording = PacketRecording(folder=str(folder / below), segment_s=segment_s, sound=sound)
        copies.append(PacketCopy(recording, "door", paced))
        return copies[-1]

    yield started
    for copy in copies:
        copy.close()


def begun(copy: PacketCopy) -> list[Path]:
    """The segments of a recording that is closed, in their order: names that end in a number come after the first."""
    assert copy.close() == ""
    return sorted(
        copy._template.parent.glob("door-*.mp4"),
        key=lambda path: (path.stem.partition(".")[0], len(path.stem), path.stem),
    )


def pictures(path: Path, clip) -> dict[int, int]:
    """ms -> the number that the picture spells."""
    with av.open(str(path)) as film:
        frames = list(film.decode(video=0))
    return {round(1000 * frame.time): clip.index_of(frame.to_ndarray(format="bgr24")) for frame in frames}


def numbers(paths: list[Path], clip) -> list[list[int]]:
    return [list(pictures(path, clip).values()) for path in paths]


def packets(path: Path, kind: str) -> int:
    """How many there are; of sound those that are not before the first picture."""
    with av.open(str(path)) as film:
        streams = film.streams.video[0], film.streams.audio[0]
        taken = [(one.stream.type, one.pts * one.time_base) for one in film.demux(streams) if one.size]
    first = min(seconds for of, seconds in taken if of == "video")
    return sum(of == kind and seconds >= first for of, seconds in taken)


def play(path: Path, room, clip, copy: PacketCopy, place: Place = BEGINNING):
    """Number and place in the recording of each picture."""
    with Film(path, place=place._replace(copy=copy)) as film:
        return [(clip.index_of(one.image), one.recorded) for one in iter(lambda: read(film, room), None)]


def parcels(path: Path, copy: PacketCopy) -> list:
    """What a film's packets become, without writing them."""
    taken = []
    copy._writer.put = lambda segment, parcel, wait: taken.append((segment, parcel)) or True
    decoder = Decoder(str(path), copy=copy)
    assert list(decoder.frames())
    return taken


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("film.mp4", WITH_B_FRAMES),
        ("film.ts", WITH_B_FRAMES),
        ("film.mkv", WITH_B_FRAMES),
        ("film.flv", WITH_B_FRAMES),
        ("h265.mp4", {"codec": "libx265"} | X265),
        ("h265.ts", {"codec": "libx265"} | X265),
    ],
)
def test_each_packet_is_in_one_segment_and_each_picture_where_it_is_said_to_be(begin, clip, room, name, options):
    silent = clip(name, count=120, **options)
    film = with_sound(silent.with_stem("loud"), 4.8, silent)
    copy = begin(segment_s=2, sound=True)
    told = play(film, room, clip, copy)
    made = begun(copy)
    recorded = {kind: sum(packets(path, kind) for path in made) for kind in ("video", "audio")}
    assert recorded["video"] == packets(film, "video")
    assert recorded["audio"] == packets(film, "audio")
    assert copy.counts == {"recorded": sum(recorded.values()), "not_recorded": 0}

    found = {path.name: pictures(path, clip) for path in made}
    assert [list(shown.values()) for shown in found.values()] == [
        list(range(50)), list(range(50, 100)), list(range(100, 120))
    ]  # fmt: skip
    assert [min(shown) for shown in found.values()] == [0, 0, 0]
    for index, place in told:
        assert found[place.file][round(place.ms)] == index
    for path in made:
        with av.open(str(path)) as video:
            sound = next(video.demux(audio=0))
        assert 0 <= sound.pts * sound.time_base < 0.05  # in step


def test_pictures_that_lie_on_their_side_do_so_in_the_recording(begin, clip, room):
    copy = begin()
    play(clip(count=10, turned=90), room, clip, copy)
    with av.open(str(begun(copy)[0])) as film:
        assert next(film.decode(video=0)).rotation == 90


def test_what_a_killed_recorder_leaves_plays_but_for_its_last_second(begin, clip):
    copy = begin(segment_s=60)
    taken = parcels(clip(count=100, **WITH_B_FRAMES), copy)
    writer = PacketWriter(copy._template, capture.packet_copy.Keep())
    for segment, parcel in taken:
        writer.put(segment, parcel, wait=True)
    writer.close()  # and no end of the segment
    found = pictures(taken[0][0].path, clip)
    assert list(found.values()) == list(range(75))
    assert min(found) == 0


def test_a_clock_that_begins_anew_begins_a_segment(begin, clip, room):
    parts = [clip("1.ts", count=60, g="25"), clip("2.ts", count=40, g="25")]
    copy = begin(segment_s=60)
    play(joined("joined.ts", *parts), room, clip, copy)
    assert numbers(begun(copy), clip) == [list(range(60)), list(range(40))]


def test_a_small_step_back_of_the_clock_costs_no_picture(begin, clip):
    """As RTSP makes when the camera first tells its own clock."""
    copy = begin(segment_s=60)
    with av.open(str(clip(count=50, g="50", bf="0"))) as film:
        copy.begin(film.streams.video[0], None, live=True)
        for number, packet in enumerate(film.demux(video=0)):
            if packet.size:
                back = round(0.1 / packet.time_base) if number >= 20 else 0
                packet.pts, packet.dts = packet.pts - back, packet.dts - back
                copy.take(packet)
    [made] = begun(copy)
    with av.open(str(made)) as film:
        frames = list(film.decode(video=0))
    assert [clip.index_of(frame.to_ndarray(format="bgr24")) for frame in frames] == list(range(50))
    assert round(1000 * frames[-1].time) == 49 * 40 - 100


def test_pictures_of_another_size_begin_a_segment_of_that_size(begin, clip, room):
    small = clip("1.ts", count=30, size=(320, 240), container={"mpegts_copyts": "1"})
    large = clip("2.ts", count=30, size=(640, 480), container={"output_ts_offset": "1.2"})
    copy = begin(segment_s=60)
    play(joined("joined.ts", small, large), room, clip, copy)
    made = begun(copy)
    assert numbers(made, clip) == [list(range(30))] * 2
    for path, width in zip(made, (320, 640), strict=True):
        with av.open(str(path)) as film:
            assert film.streams.video[0].width == width


def test_first_packets_without_a_time_are_recorded_too(begin, clip):
    """As RTSP brings them."""
    copy = begin(segment_s=60)
    path = clip(count=50, g="25", bf="0")
    with av.open(str(path)) as film:
        copy.begin(film.streams.video[0], None, live=True)
        for number, packet in enumerate(film.demux(video=0)):
            if packet.size:
                packet.pts, packet.dts = (None, None) if number < 2 else (packet.pts, packet.dts)
                copy.take(packet)
        assert not copy.unfit
    [made] = begun(copy)
    found = pictures(made, clip)
    assert list(found.values()) == list(range(50))
    assert list(found)[:4] == [0, 40, 80, 120]


def test_a_codec_that_mp4_cannot_hold_is_named(begin, clip, room):
    copy = begin()
    play(clip("film.webm", count=5, codec="libvpx"), room, clip, copy)
    assert copy.unfit == "its pictures are vp8, which MP4 cannot hold"
    assert begun(copy) == []


def test_a_disk_that_stands_still_costs_a_camera_packets_and_a_film_none(begin, clip, room, monkeypatch):
    goes_on, write = threading.Event(), PacketWriter._write
    monkeypatch.setattr(PacketWriter, "_write", lambda *given: goes_on.wait() and write(*given))
    monkeypatch.setattr(capture.packet_writer, "HELD_BYTES", 2000)
    film = clip(count=100, g="10")
    camera = begin(segment_s=60, paced=True)
    told = play(film, room, clip, camera)  # without waiting
    assert len(told) == 100
    assert camera.counts["not_recorded"] > 50
    threading.Timer(0.2, goes_on.set).start()
    whole = begin(segment_s=60, below="film")
    play(film, room, clip, whole)  # waits for that
    assert numbers(begun(whole), clip) == [list(range(100))]
    written = numbers(begun(camera), clip)  # two files where the thread took its first packet late
    assert written[0][0] == 0
    for of_file in written:
        assert of_file == list(range(of_file[0], of_file[0] + len(of_file)))
        assert of_file[0] % 10 == 0  # a key frame
    assert sum(map(len, written)) + camera.counts["not_recorded"] == 100
    assert told[-1][1].why.endswith("cannot be written (the disk is too slow)")


def test_what_cannot_be_written_is_told_with_the_pictures_and_tried_again(
    begin, clip, room, folder, monkeypatch, caplog
):
    monkeypatch.setattr(capture.packet_copy, "AGAIN_S", (0.0, 0.0))
    caplog.set_level("INFO")
    folder.write_bytes(b"no folder")
    copy = begin(segment_s=60, paced=True)
    film = clip(count=60, g="10")
    told = []
    with Film(film, place=Place(copy=copy)) as source:
        for number in range(60):
            if number == 30:
                folder.unlink()
            told.append(read(source, room).recorded)
            while not (copy.counts["recorded"] + copy.counts["not_recorded"] > number):
                threading.Event().wait(0.001)
    assert "cannot be written (" in told[29].why
    [made] = begun(copy)
    assert numbers([made], clip) == [list(range(30, 60))]
    assert copy.counts == {"recorded": 30, "not_recorded": 30}
    assert [line.split(" (")[0] for line in caplog.messages if "record" in line] == [
        "door: recording stopped", "door: records again, 30 packets lost"
    ]  # fmt: skip


def test_a_film_goes_on_behind_what_an_earlier_life_has_read(begin, clip, room):
    film = clip(count=100, g="25", bf="2")
    copy = begin(segment_s=60)
    told = play(film, room, clip, copy, Place(30))
    assert [index for index, _ in told] == list(range(30, 100))
    assert numbers(begun(copy), clip) == [list(range(50, 100))]
    assert [recorded.file != "" for _, recorded in told] == [False] * 20 + [True] * 50


def test_segments_of_one_second_have_names_of_their_own(begin, clip, room):
    film = clip(count=100, g="5")
    first, second = begin(segment_s=0.2), begin(segment_s=0.2)
    play(film, room, clip, first)
    assert len(begun(first)) == 20
    copy = begin(segment_s=0.2)  # another life of the process
    play(film, room, clip, copy)
    assert sorted(index for path in numbers(begun(copy), clip) for index in path) == sorted([*range(100)] * 2)
    assert second.counts["recorded"] == 0
