"""Video files: every picture that ffprobe counts, in order, into the slot."""

import gc
import itertools
import logging
import os
import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from capture.kinds.film import Film
from capture.picture import Place
from configs.errors import InputError

SHARED_CLIPS = Path(__file__).resolve().parents[3] / ".." / "shared" / "data" / "clips"


def play(video, room, clip):
    """Numbers and positions in ms of all pictures that are left."""
    with video:
        pictures = [
            (clip.index_of(picture.image), picture.media_ms) for picture in iter(lambda: video.read(room), None)
        ]
    return [index for index, _ in pictures], [media_ms for _, media_ms in pictures]


def grows(numbers):
    return all(earlier < later for earlier, later in itertools.pairwise(numbers))


def ffprobe_count(path):
    if shutil.which("ffprobe") is None:
        pytest.skip("ffprobe is not installed (Debian package ffmpeg)")
    count = ["-count_frames", "-select_streams", "v:0", "-show_entries", "stream=nb_read_frames", "-of", "csv=p=0"]
    answer = subprocess.run(["ffprobe", "-v", "error", *count, str(path)], capture_output=True, text=True, check=True)
    return int(answer.stdout.split()[0].strip(","))


@pytest.mark.parametrize(
    ("name", "codec", "options"),
    [
        ("a.mp4", "libx264", {}),
        ("b-frames.mp4", "libx264", {"preset": "medium", "bf": "3"}),
        ("a.mkv", "libx264", {"preset": "medium", "bf": "3"}),
        ("a.mov", "libx264", {}),
        ("a.ts", "libx264", {}),
        ("b-frames.avi", "mpeg4", {"bf": "2"}),
        ("a.webm", "libvpx", {"deadline": "realtime"}),
    ],
)
def test_every_picture_comes_once_and_in_order(clip, room, name, codec, options):
    path = clip(name, count=40, codec=codec, **options)
    video = Film(path)
    assert video.fps == pytest.approx(25)
    assert not video.live
    indices, positions_ms = play(video, room, clip)
    assert indices == list(range(40))
    assert positions_ms == pytest.approx([40 * index for index in range(40)], abs=1)
    assert ffprobe_count(path) == 40


def test_a_picture_lies_in_the_room_as_bgr(clip, room):
    picture = Film(clip()).read(room)
    assert np.shares_memory(picture.image, room(240, 320))
    assert np.abs(picture.image[200, 160].astype(int) - (200, 60, 20)).max() < 10


def test_pictures_keep_their_times_where_the_rate_is_not_even(clip, room):
    times_ms = [0, 40, 200, 220, 1000, 1040]
    assert play(Film(clip(count=6, times_ms=times_ms)), room, clip) == (list(range(6)), times_ms)


def test_positions_begin_at_zero_and_grow_although_the_time_stamps_do_not(clip, room):
    first, second = clip("1.ts", count=10), clip("2.ts", count=10)
    joined = first.with_name("joined.ts")
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    indices, positions_ms = play(Film(joined), room, clip)
    assert indices == [*range(10), *range(10)]
    assert positions_ms[0] == 0
    assert grows(positions_ms)


def test_a_picture_size_that_changes_in_the_middle(clip, room):
    small, large = clip("1.ts", count=5), clip("2.ts", count=5, size=(640, 360))
    joined = small.with_name("joined.ts")
    joined.write_bytes(small.read_bytes() + large.read_bytes())
    with Film(joined) as video:
        shapes = [picture.image.shape for picture in iter(lambda: video.read(room), None)]
    assert shapes == [(240, 320, 3)] * 5 + [(360, 640, 3)] * 5


@pytest.mark.parametrize("size", [(322, 242), (98, 66)])
def test_sizes_that_do_not_fill_whole_blocks(clip, room, size):
    path = clip(count=3, size=size)
    assert Film(path).read(room).image.shape == (size[1], size[0], 3)
    assert play(Film(path), room, clip)[0] == [0, 1, 2]


@pytest.mark.parametrize(
    ("turned", "turn"), [(90, cv2.ROTATE_90_COUNTERCLOCKWISE), (-90, cv2.ROTATE_90_CLOCKWISE), (180, cv2.ROTATE_180)]
)
def test_a_phone_clip_is_turned_upright(clip, room, turned, turn):
    image = Film(clip(count=1, turned=turned)).read(room).image
    upright = cv2.rotate(clip.picture(0), turn)
    assert image.shape == upright.shape
    assert np.abs(image.astype(int) - upright).mean() < 8
    assert np.shares_memory(image, room(*image.shape[:2]))


@pytest.mark.parametrize("start", [0, 1, 13, 29, 30, 99])
def test_it_goes_on_where_an_earlier_process_stood(clip, room, start):
    path = clip(preset="medium", bf="3")
    assert play(Film(path, place=Place(start)), room, clip) == (
        list(range(start, 30)),
        pytest.approx([40 * index for index in range(start, 30)]),
    )


@pytest.mark.parametrize("start", [0, 9, 10, 34])
def test_a_loop_begins_again_and_its_time_goes_on(clip, room, start):
    with Film(clip(count=10), loop=True, place=Place(start)) as video:
        pictures = [video.read(room) for _ in range(25)]
        seen = [clip.index_of(picture.image) for picture in pictures[-1:]]
    assert seen == [(start + 24) % 10]
    assert [picture.media_ms for picture in pictures] == pytest.approx([40 * (start + n) for n in range(25)])


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


def sound_only(path):
    with av.open(str(path), "w") as container:
        track = container.add_stream("aac", rate=8000, layout="mono")
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 8000), np.float32), format="fltp", layout="mono")
        frame.rate = 8000
        container.mux(track.encode(frame))
        container.mux(track.encode(None))
    return path


def cut_before_its_index(path):
    os.truncate(path, path.stat().st_size // 2)
    return path


def test_what_is_no_video_is_refused_in_one_line(clip, tmp_path, capfd):
    (tmp_path / "text.mp4").write_text("this is not a video\n" * 100)
    (tmp_path / "empty.mp4").touch()
    cases = {
        tmp_path / "text.mp4": "not a video that FFmpeg can read",
        tmp_path / "empty.mp4": "the file is empty",
        tmp_path / "missing.mp4": "cannot be opened (no such file or directory)",
        sound_only(tmp_path / "sound.mp4"): "no pictures in it, only sound or text",
        cut_before_its_index(clip("cut.mp4")): "the index of this mp4 is missing or broken; it was cut off while being "
        "recorded or copied",
    }
    for path, reason in cases.items():
        with pytest.raises(InputError) as refusal:
            Film(path)
        assert str(refusal.value) == f"{path}: {reason}"
    assert "".join(capfd.readouterr()) == ""


def test_a_name_with_a_colon_is_no_protocol(clip, room):
    assert Film(clip("18:30 rtsp:x.mp4")).read(room).media_ms == 0


def test_real_clips_have_as_many_pictures_as_ffprobe_counts(room):
    if not SHARED_CLIPS.is_dir():
        pytest.skip(f"no clips at {SHARED_CLIPS}")
    for path in sorted(SHARED_CLIPS.glob("intel_*.m[pk][4v]")):
        with Film(path) as video:
            positions_ms = [picture.media_ms for picture in iter(lambda: video.read(room), None)]
        assert (path.name, len(positions_ms)) == (path.name, ffprobe_count(path))
        assert grows(positions_ms)


def joined(name, *parts):
    path = parts[0].with_name(name)
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def with_sound(path, sound_s, video, first="pictures"):
    """A video of the pictures of another one and of silence that lasts so long."""
    codec, kind = ("mp2", np.int16) if path.suffix == ".ts" else ("aac", np.float32)
    with av.open(str(path), "w") as output:
        if first == "sound":
            sound = output.add_stream(codec, rate=48000, layout="mono")
        with av.open(str(video)) as source:
            pictures = output.add_stream_from_template(source.streams.video[0])
            if first != "sound":
                sound = output.add_stream(codec, rate=48000, layout="mono")
            for packet in source.demux(video=0):
                if packet.size:
                    packet.stream = pictures
                    output.mux(packet)
        for start in range(0, round(sound_s * 48000), 1152):
            samples = np.zeros((1, 1152), kind)
            frame = av.AudioFrame.from_ndarray(samples, format="s16" if kind is np.int16 else "fltp", layout="mono")
            frame.rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
            output.mux(sound.encode(frame))
        output.mux(sound.encode(None))
    return path


@pytest.mark.parametrize("first", ["pictures", "sound"])
def test_sound_that_begins_later_does_no_harm(clip, room, first):
    silent = clip("silent.ts", count=200)
    path = joined("late.ts", silent, with_sound(silent.with_name("loud.ts"), 1.0, silent, first))
    indices, positions_ms = play(Film(path), room, clip)  # the sound may have the id that the pictures had
    assert indices[:198] == list(range(198))
    assert indices[-200:] == list(range(200))
    assert grows(positions_ms)


def test_a_stream_that_is_in_no_header_does_no_harm(clip, room):
    path = with_sound(clip("loud.flv").with_name("late.flv"), 9.0, clip("long.flv", count=200))
    data, tags, at = path.read_bytes(), [], 13
    while at < len(data):
        size = 15 + int.from_bytes(data[at + 1 : at + 4])
        tags.append(data[at : at + size])
        at += size
    late = [tag for tag in tags if tag[0] == 9 or (tag[0] == 8 and int.from_bytes(tag[4:7]) > 6500)]
    path.write_bytes(data[:4] + b"\1" + data[5:13] + b"".join(late))  # no header of the film, sound after 6.5 s
    with av.open(str(path)) as container:
        assert not container.streams.audio
    assert play(Film(path), room, clip)[0] == list(range(200))


@pytest.mark.parametrize(
    "other",
    [
        {"mpegts_start_pid": "512"},
        {"mpegts_start_pid": "512", "mpegts_pmt_start_pid": "768"},
        {"mpegts_start_pid": "512", "mpegts_pmt_start_pid": "768", "mpegts_service_id": "7"},
    ],
    ids=["pid", "pid and pmt", "pid, pmt and program"],
)
def test_pictures_that_go_on_under_another_pid_are_followed(clip, room, other):
    parts = [clip("1.ts", count=20), clip("2.ts", count=20, container=other)]
    parts.append(clip("3.ts", count=20, container={"mpegts_start_pid": "900", "mpegts_pmt_start_pid": "901"}))
    indices, positions_ms = play(Film(joined("restarted.ts", *parts)), room, clip)
    assert indices == [*range(20)] * 3
    assert grows(positions_ms)
    assert positions_ms[-1] < 3000


def test_pictures_that_run_beside_the_first_ones_are_not_taken_for_their_end(clip, room):
    short, long = clip("short.ts", count=20), clip("long.ts", count=50)
    both = short.with_name("both.ts")
    with av.open(str(both), "w") as output, av.open(str(short)) as one, av.open(str(long)) as other:
        tracks = [output.add_stream_from_template(source.streams.video[0]) for source in (one, other)]
        packets = []
        for track, source in zip(tracks, (one, other), strict=True):
            for packet in source.demux(video=0):
                if packet.size:
                    packet.stream = track
                    packets.append(packet)
        for packet in sorted(packets, key=lambda packet: packet.dts):
            output.mux(packet)
    assert play(Film(both), room, clip)[0] == list(range(20))


def shifted(clip, name, start_s, count=20, **options):
    """A clip whose clock stands at `start_s` when it begins."""
    return clip(name, count=count, container={"output_ts_offset": str(start_s)}, **options)


@pytest.mark.parametrize("starts_s", [(0, 40000), (40000, 0), (0, 11), (90000, 10, 60000)])
def test_a_clock_that_jumps_makes_no_still(clip, room, starts_s):
    parts = [shifted(clip, f"{number}.ts", start_s) for number, start_s in enumerate(starts_s)]
    indices, positions_ms = play(Film(joined("jumps.ts", *parts)), room, clip)
    assert indices == [*range(20)] * len(parts)
    assert grows(positions_ms)
    assert max(later - earlier for earlier, later in itertools.pairwise(positions_ms)) < 200


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_gap_stays_one_and_hours_are_a_jump(clip, room, name):
    def last_ms(gap_ms):
        return play(Film(clip(name, count=3, times_ms=[0, 40, 40 + gap_ms])), room, clip)[1][-1]

    assert last_ms(70_000) == pytest.approx(70_040, abs=1)
    assert last_ms(3_500_000) == pytest.approx(3_500_040, abs=1)
    assert last_ms(40_000_000) < 30_000_000


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


def test_a_picture_is_let_go_of_when_the_next_one_comes(clip, room):
    """PyAV's side data and its frame hold each other: 200 MB of 720p pictures had waited for the garbage collector."""
    gc.collect()
    gc.disable()
    try:
        with Film(clip(count=50, turned=90)) as video:
            assert sum(1 for _ in iter(lambda: video.read(room), None)) == 50
            assert sum(isinstance(thing, av.VideoFrame) for thing in gc.get_objects()) < 5
    finally:
        gc.enable()
