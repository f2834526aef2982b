"""Films: every picture that ffprobe counts, in order, into the slot; and what is no film."""

import gc
import math
import os
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from reading import ffprobe_count, grows, play

from capture.kinds.film import Film
from capture.picture import Place
from configs.errors import InputError
from transport.pixels import Pixels, bytes_of, shape_of

SHARED_CLIPS = Path(__file__).resolve().parents[3] / ".." / "shared" / "data" / "clips"


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


def planes_room(height, width, colours=None):
    """A new room for each picture, of planes with what FFmpeg reads behind them."""
    shape = shape_of(height, width, colours)
    return np.zeros(bytes_of(height, width, colours), np.uint8)[: math.prod(shape)].reshape(shape)


@pytest.mark.parametrize(
    ("options", "are_planes"),
    [
        ({}, True),
        ({"size": (322, 246)}, True),
        ({"pixels": "yuvj420p"}, True),
        ({"pixels": "yuv444p"}, False),
        ({"turned": 90}, False),
        ({"pixel_shape": Fraction(4, 3)}, False),
        ({"x264-params": "interlaced=1"}, False),
    ],
    ids=str,
)
def test_planes_are_given_where_they_are_the_picture_as_it_is_shown(clip, options, are_planes):
    plain, asked = Film(path := clip(count=3, **options)), Film(path)
    asked.planes = True
    for _ in range(3):
        picture, given = plain.read(planes_room), asked.read(planes_room)
        assert isinstance(given.image, Pixels) == are_planes
        seen = given.image.bgr if are_planes else given.image
        assert np.array_equal(seen, picture.image)


def test_pictures_keep_their_times_where_the_rate_is_not_even(clip, room):
    times_ms = [0, 40, 200, 220, 1000, 1040]
    assert play(Film(clip(count=6, times_ms=times_ms)), room, clip) == (list(range(6)), times_ms)


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
