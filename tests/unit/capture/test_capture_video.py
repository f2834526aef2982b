"""Video files: every picture that ffprobe counts, in order, into the slot."""

import itertools
import logging
import os
import shutil
import subprocess
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from capture.video import VideoFile
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
    video = VideoFile(path)
    assert video.fps == pytest.approx(25)
    assert not video.live
    indices, positions_ms = play(video, room, clip)
    assert indices == list(range(40))
    assert positions_ms == pytest.approx([40 * index for index in range(40)], abs=1)
    assert ffprobe_count(path) == 40


def test_a_picture_lies_in_the_room_as_bgr(clip, room):
    picture = VideoFile(clip()).read(room)
    assert np.shares_memory(picture.image, room(240, 320))
    assert np.abs(picture.image[200, 160].astype(int) - (200, 60, 20)).max() < 10


def test_pictures_keep_their_times_where_the_rate_is_not_even(clip, room):
    times_ms = [0, 40, 200, 220, 1000, 1040]
    assert play(VideoFile(clip(count=6, times_ms=times_ms)), room, clip) == (list(range(6)), times_ms)


def test_positions_begin_at_zero_and_grow_although_the_time_stamps_do_not(clip, room):
    first, second = clip("1.ts", count=10), clip("2.ts", count=10)
    joined = first.with_name("joined.ts")
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    indices, positions_ms = play(VideoFile(joined), room, clip)
    assert indices == [*range(10), *range(10)]
    assert positions_ms[0] == 0
    assert grows(positions_ms)


def test_a_picture_size_that_changes_in_the_middle(clip, room):
    small, large = clip("1.ts", count=5), clip("2.ts", count=5, size=(640, 360))
    joined = small.with_name("joined.ts")
    joined.write_bytes(small.read_bytes() + large.read_bytes())
    with VideoFile(joined) as video:
        shapes = [picture.image.shape for picture in iter(lambda: video.read(room), None)]
    assert shapes == [(240, 320, 3)] * 5 + [(360, 640, 3)] * 5


@pytest.mark.parametrize("size", [(322, 242), (98, 66)])
def test_sizes_that_do_not_fill_whole_blocks(clip, room, size):
    path = clip(count=3, size=size)
    assert VideoFile(path).read(room).image.shape == (size[1], size[0], 3)
    assert play(VideoFile(path), room, clip)[0] == [0, 1, 2]


@pytest.mark.parametrize(
    ("turned", "turn"), [(90, cv2.ROTATE_90_COUNTERCLOCKWISE), (-90, cv2.ROTATE_90_CLOCKWISE), (180, cv2.ROTATE_180)]
)
def test_a_phone_clip_is_turned_upright(clip, room, turned, turn):
    image = VideoFile(clip(count=1, turned=turned)).read(room).image
    upright = cv2.rotate(clip.picture(0), turn)
    assert image.shape == upright.shape
    assert np.abs(image.astype(int) - upright).mean() < 8
    assert np.shares_memory(image, room(*image.shape[:2]))


@pytest.mark.parametrize("start", [0, 1, 13, 29, 30, 99])
def test_it_goes_on_where_an_earlier_process_stood(clip, room, start):
    path = clip(preset="medium", bf="3")
    assert play(VideoFile(path, start=start), room, clip) == (
        list(range(start, 30)),
        pytest.approx([40 * index for index in range(start, 30)]),
    )


@pytest.mark.parametrize("start", [0, 9, 10, 34])
def test_a_loop_begins_again_and_its_time_goes_on(clip, room, start):
    with VideoFile(clip(count=10), loop=True, start=start) as video:
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
    indices, positions_ms = play(VideoFile(path), room, clip)
    assert 30 < len(indices) < 90
    assert indices[:-3] == list(range(len(indices) - 3))  # of the last ones some lack what they are predicted from
    assert grows(positions_ms)
    assert len(indices) == ffprobe_count(path)


def test_it_says_once_how_far_a_file_that_is_cut_off_went(clip, room, caplog):
    path = clip("cut.mkv", count=100)
    os.truncate(path, path.stat().st_size * 6 // 10)
    with caplog.at_level(logging.INFO, "capture"), VideoFile(path, loop=True) as video:
        for _ in range(150):
            video.read(room)
    [warning] = [record.getMessage() for record in caplog.records]
    assert warning.startswith(f"{path} is damaged or cut off: ")
    assert " s of 4.0 s" in warning


def test_a_whole_file_is_not_warned_of(clip, room, caplog):
    play(VideoFile(clip("whole.mkv", preset="medium", bf="3")), room, clip)
    assert not caplog.records


def test_damage_in_the_middle_loses_no_picture_behind_it(clip, room):
    path = clip("damaged.mp4", count=60, g="10")
    data = bytearray(path.read_bytes())
    data[len(data) // 3 : len(data) // 3 + 200] = os.urandom(200)
    path.write_bytes(data)
    indices, positions_ms = play(VideoFile(path), room, clip)
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
            VideoFile(path)
        assert str(refusal.value) == f"{path}: {reason}"
    assert "".join(capfd.readouterr()) == ""


def test_a_name_with_a_colon_is_no_protocol(clip, room):
    assert VideoFile(clip("18:30 rtsp:x.mp4")).read(room).media_ms == 0


def test_real_clips_have_as_many_pictures_as_ffprobe_counts(room):
    if not SHARED_CLIPS.is_dir():
        pytest.skip(f"no clips at {SHARED_CLIPS}")
    for path in sorted(SHARED_CLIPS.glob("intel_*.m[pk][4v]")):
        with VideoFile(path) as video:
            positions_ms = [picture.media_ms for picture in iter(lambda: video.read(room), None)]
        assert (path.name, len(positions_ms)) == (path.name, ffprobe_count(path))
        assert grows(positions_ms)
