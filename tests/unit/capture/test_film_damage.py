"""Films that are cut off or damaged: shown to where they can, and said once; whole ones are not."""

import logging
import os

import pytest
from made_films import shifted, with_sound
from reading import ffprobe_count, grows, play

from capture.kinds.film import Film


@pytest.mark.parametrize(
    ("name", "container"),
    [
        ("cut.mkv", {}),
        ("cut.ts", {}),
        ("cut.mp4", {"movflags": "frag_keyframe+empty_moov"}),
        ("end.mp4", {"movflags": "faststart"}),
    ],
)
def test_a_file_that_is_cut_off_plays_to_where_it_can(clip, room, name, container):
    path = clip(name, count=100, container=container, g="10", bf="2", preset="medium")
    os.truncate(path, path.stat().st_size * 6 // 10)
    indices, positions_ms = play(Film(path), room, clip)
    assert 30 < len(indices) < 90
    assert indices[:-3] == list(range(len(indices) - 3))  # of the last ones some lack what they are predicted from
    assert grows(positions_ms)
    assert len(indices) == ffprobe_count(path)


def test_it_says_once_how_far_a_file_that_is_cut_off_went(clip, room, caplog):
    path = clip("cut.mkv", count=100)
    os.truncate(path, path.stat().st_size * 6 // 10)
    with caplog.at_level(logging.INFO, "capture"), Film(path, loop=True) as video:
        for _ in range(150):
            video.read(room)
    [warning] = [record.getMessage() for record in caplog.records]
    assert warning.startswith(f"{path} is damaged or cut off: ")
    assert " s of 4.0 s" in warning


def test_a_whole_file_is_not_warned_of(clip, room, caplog):
    play(Film(clip("whole.mkv", preset="medium", bf="3")), room, clip)
    assert not caplog.records


def test_damage_in_the_middle_loses_no_picture_behind_it(clip, room):
    path = clip("damaged.mp4", count=60, g="10")
    data = bytearray(path.read_bytes())
    data[len(data) // 3 : len(data) // 3 + 200] = os.urandom(200)
    path.write_bytes(data)
    indices, positions_ms = play(Film(path), room, clip)
    assert indices[-10:] == list(range(50, 60))
    assert grows(positions_ms)
    assert len(indices) == ffprobe_count(path)


@pytest.mark.parametrize("name", ["a.mkv", "a.mp4", "a.mov", "a.ts", "a.flv", "a.webm"])
def test_a_whole_film_is_not_called_cut_off_wherever_it_begins_and_ends(clip, room, caplog, name):
    codec = "libvpx" if name == "a.webm" else "libx264"
    late = shifted(clip, name, 3600, count=60, codec=codec)
    play(Film(late), room, clip)
    if name != "a.webm":
        play(Film(with_sound(late.with_name(f"loud-{name}"), 9.0, late)), room, clip)
    assert not caplog.records


def test_whole_films_of_other_kinds_are_not_called_cut_off(clip, room, caplog):
    kinds = {
        "fragments.mp4": {"movflags": "frag_keyframe+empty_moov"},
        "live.webm": {"live": "1"},
        "uneven.mp4": {},
        "a.gif": {},
    }
    for name, container in kinds.items():
        codec = {"live.webm": "libvpx", "a.gif": "gif"}.get(name, "libx264")
        times_ms = [0, 40, 3000, 3040, 9000] if name == "uneven.mp4" else None
        pixels = "rgb8" if name == "a.gif" else "yuv420p"
        path = clip(name, count=5, codec=codec, container=container, times_ms=times_ms, pixels=pixels)
        play(Film(path), room, clip)
    assert not caplog.records


@pytest.mark.parametrize(("name", "start_s"), [("a.mkv", 0), ("a.mkv", 3600), ("a.mp4", 0), ("a.flv", 2)])
def test_a_film_that_is_cut_off_is_called_that_wherever_it_begins(clip, room, caplog, name, start_s):
    container = {"movflags": "faststart"} if name == "a.mp4" else {}
    path = clip(name, count=100, container=container | {"output_ts_offset": str(start_s)})
    os.truncate(path, path.stat().st_size * 5 // 10)
    play(Film(path), room, clip)
    [warning] = [record.getMessage() for record in caplog.records]
    assert " is damaged or cut off: " in warning
    assert " s of 4.0 s" in warning


def test_a_film_that_begins_between_key_frames_says_how_much_of_it_cannot_be_shown(clip, room, caplog):
    path = clip("a.ts", count=100, g="50")
    data = path.read_bytes()
    half = data[len(data) // 8 // 188 * 188 :]
    path.write_bytes(data[: 3 * 188] + half)
    indices, _ = play(Film(path), room, clip)
    assert indices == list(range(50, 100))
    [warning] = [record.getMessage() for record in caplog.records]
    assert "50 pictures, 2.0 s of " in warning


def test_what_the_decoder_marks_as_damaged_is_told_and_the_rest_is_not(clip, room):
    path = clip("lossy.ts", count=60, g="20", size=(640, 480), crf="1")
    data = path.read_bytes()
    packets = [data[at : at + 188] for at in range(0, len(data), 188)]
    inner = [n for n, packet in enumerate(packets) if packet[1] & 0x5F == 1 and packet[2] == 0]  # of id 256, no start
    lost = inner[len(inner) // 2]
    path.write_bytes(b"".join(packets[:lost] + packets[lost + 1 :]))
    with Film(path) as video:
        pictures = [(picture.media_ms, picture.corrupt) for picture in iter(lambda: video.read(room), None)]
    assert len(pictures) == 60
    corrupt = [number for number, (_, corrupt) in enumerate(pictures) if corrupt]
    assert len(corrupt) in (1, 2)
    assert 20 <= corrupt[0] < 40
    with Film(clip("good.ts", count=60, g="20")) as video:
        assert not any(picture.corrupt for picture in iter(lambda: video.read(room), None))
