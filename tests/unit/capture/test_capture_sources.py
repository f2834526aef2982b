"""What a source may be called, what is refused before anything starts, and the demo and films in real time."""

import cv2
import numpy as np
import pytest

from capture import realtime
from capture.kinds.film import Film
from capture.kinds.folder import ImageFolder
from capture.picture import Picture, Place
from capture.realtime import Realtime
from capture.sources import check_source, kind_of, open_source, stream_name
from configs.errors import InputError
from configs.schema import SourceConfig


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "Some faces"
    path.mkdir()
    cv2.imwrite(str(path / "a.png"), np.zeros((48, 64, 3), np.uint8))
    return path


def refusal(source, **options):
    with pytest.raises(InputError) as error:
        check_source(SourceConfig(source=str(source), **options))
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("0", "webcam"),
        ("/dev/video2", "webcam"),
        ("/dev/v4l/by-id/usb-Acme_Cam-index0", "webcam"),
        ("/dev/shm/walk.mp4", "video"),
        ("rtsp://door/live", "network"),
        ("srt://door", "network"),
        ("walk.mp4", "video"),
        ("./0", "video"),
        ("demo", "demo"),
        (".", "folder"),
    ],
)
def test_a_source_is_told_by_its_text(source, kind):
    assert kind_of(source).name == kind


def test_files_folders_and_the_demo_open(clip, folder):
    opened = [open_source(SourceConfig(source=str(source))) for source in (clip(), folder, "demo")]
    assert [source.live for source in opened] == [False, False, False]
    assert isinstance(opened[0], Film)
    assert isinstance(opened[1], ImageFolder)


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("0", "camera0"),
        ("/dev/video12", "camera12"),
        ("/dev/v4l/by-id/usb-Acme_Cam-index0", "usb-Acme_Cam-index0"),
        ("/films/Front door (1).mp4", "Front-door-1"),
        ("films/.mp4", "mp4"),
        ("видео.mp4", "video"),
        ("demo", "demo"),
        ("rtsp://me:s3cret@door.local:554/live/ch0?token=s3cret#x", "door.local-live-ch0"),
        ("rtsp://me:p/s3cret@door/live", "door-live"),
        ("rtsp://[::1]:8554/live", "1-live"),
        ("rtsp://door/user=me&password=s3cret&channel=1", "door-channel-1"),
        ("rtsp://door/user=me_password=s3cret_channel=2_stream=0.sdp?real_stream", "door-channel-2-stream-0.sdp"),
        ("http://door/video.cgi;usr=me;pwd=s3cret", "door-video.cgi"),
        ("http://door/video.cgi?loginuse=me&loginpas=s3cret&access_token=x", "door-video.cgi"),
        ("rtsp://me:open sesame@door/live", "door-live"),
        ("rtsp://me:open\"s3cret'\n@door/live", "door-live"),
        ("rtsp://me:open%20sesame@door/open-sesame/live", "door-live"),
        ("rtsp://door:s3cret@door.local/live", "live"),
        ("rtsp://live:live@live/live", "network"),
        ("rtsp://me:door-live@door/live", "network"),
        ("rtsp://door/0/me:s3cret/main", "door-0"),
        ("me:s3cret@door/live", "door-live"),
        ("udp://@:1234", "network"),
        ("x" * 300 + ".mp4", "x" * 64),
    ],
)
def test_a_stream_is_named_after_its_source(source, name):
    assert stream_name(SourceConfig(source=source)) == name


def test_a_folder_gives_its_own_name(folder, monkeypatch):
    assert stream_name(SourceConfig(source=f"{folder}/")) == "Some-faces"
    monkeypatch.chdir(folder)
    assert stream_name(SourceConfig(source=".")) == "Some-faces"


def test_a_given_name_wins_if_it_is_safe():
    assert stream_name(SourceConfig(source="demo", name="Front_door-1.a")) == "Front_door-1.a"
    for name in ("front door", "a/b", "..", ".hidden", "-x", "é", "x" * 65):
        assert repr(name) in refusal("demo", name=name)


@pytest.mark.parametrize(
    ("source", "options", "said"),
    [
        ("demo", {"width": 640}, "width is for a webcam; demo is the demo"),
        (
            "rtsp://me:s3cret@door/live",
            {"height": 480},
            "height is for a webcam; rtsp://***@door/live is a network camera",
        ),
        ("rtsp://door/live", {"realtime": True}, "realtime is for an http URL or the demo or a video file"),
        (
            "0",
            {"loop": True},
            "loop is for an http URL or the demo or a folder of images or a video file; 0 is a webcam",
        ),
        (".", {"realtime": True}, "realtime is for an http URL or the demo or a video file; . is a folder of images"),
        ("udp://@:1234", {"rtsp_transport": "udp"}, "rtsp_transport is for rtsp URLs; udp://@:1234 is none"),
        (".", {"fps": 2.0}, "fps is for a webcam or an http URL or a network camera or the demo or a video file; . is"),
        (
            "http://door/x",
            {"rtsp_transport": "udp"},
            "rtsp_transport is for a network camera; http://door/x is an http",
        ),
        ("http://door/x", {"width": 640}, "width is for a webcam; http://door/x is an http URL"),
        ("demo", {"wait": True}, "wait is for a webcam or an http URL or a network camera"),
        ("0", {"open_timeout_s": 1.0}, "open_timeout_s is for an http URL or a network camera"),
        ("demo", {"rtsp_transport": "udp"}, "rtsp_transport is for a network camera"),
    ],
)
def test_an_option_that_does_not_fit_is_named(source, options, said):
    assert refusal(source, **options).startswith(said)


def test_options_that_fit_are_taken(clip, folder):
    check_source(SourceConfig(source=str(clip()), realtime=True, loop=True, mirror=True))
    check_source(SourceConfig(source=str(folder), loop=True))
    check_source(SourceConfig(source="rtsp://door/live", wait=True, rtsp_transport="udp", read_timeout_s=1))
    check_source(SourceConfig(source="97", wait=True, width=640))  # it may be plugged in later


def test_what_cannot_work_is_refused_before_anything_is_opened(tmp_path, folder):
    assert (
        refusal("")
        == "source is empty: give 0, /dev/video0, http://..., rtsp://..., demo, a folder of images, or a video file"
    )
    assert refusal("97").startswith("no camera 97: /dev/video97 does not exist")
    assert refusal("99999", wait=True).startswith("no camera 99999: camera numbers are 0 to 255")
    assert refusal(tmp_path / "none.mp4") == f"{tmp_path}/none.mp4: no such file or folder"
    assert refusal("x" * 300).endswith("x: no such file or folder")
    assert refusal("a\0b").endswith("no such file or folder")
    assert refusal("srt://me:s3cret@door").startswith("srt://***@door: unknown kind of URL; known are rtsp, ")
    (folder / "a.png").unlink()
    assert refusal(folder).startswith(f"{folder}: no images in this folder")


def test_the_demo_plays_to_its_end_and_goes_on_where_it_stood(room):
    with open_source(SourceConfig(source="demo"), Place(497)) as demo:
        pictures = list(iter(lambda: demo.read(room), None))
    assert [picture.media_ms for picture in pictures] == [19880, 19920, 19960]
    assert pictures[0].image is not None
    assert np.shares_memory(pictures[0].image, room(480, 640))


def test_the_demo_in_a_loop_begins_again_and_its_time_goes_on(room):
    demo = open_source(SourceConfig(source="demo", loop=True))
    first = demo.read(room).image.copy()
    again = open_source(SourceConfig(source="demo", loop=True), Place(500)).read(room)
    assert again.media_ms == 20000
    assert np.array_equal(again.image, first)


class Steps:
    """Pictures every 40 ms, read in no time."""

    fps = 25.0

    def __init__(self):
        self.position_ms = -40.0

    def read(self, room):
        self.position_ms += 40
        return Picture(room(48, 64), 0, self.position_ms)


class FakeTime:
    """A clock that only `now_ns` moves."""

    def __init__(self):
        self.now_ns = 5_000_000_000

    def monotonic_ns(self):
        return self.now_ns


@pytest.fixture
def clock(monkeypatch):
    clock = FakeTime()
    monkeypatch.setattr(realtime, "time", clock)
    return clock


def captured_ms(film, room, clock, count):
    began_ns = clock.now_ns
    return [(film.read(room).captured_ns - began_ns) / 1e6 for _ in range(count)]


def test_in_real_time_each_picture_comes_when_it_is_due(room, clock):
    assert captured_ms(Realtime(Steps()), room, clock, 4) == [0, 40, 80, 120]


def test_in_real_time_a_short_delay_is_caught_up(room, clock):
    film = Realtime(Steps())
    film.read(room)
    clock.now_ns += 100_000_000
    assert captured_ms(film, room, clock, 4) == [0, 0, 20, 60]


def test_in_real_time_a_long_sleep_is_not_made_up_for(room, clock):
    film = Realtime(Steps())
    film.read(room)
    clock.now_ns += 60_000_000_000
    assert captured_ms(film, room, clock, 3) == [0, 40, 80]


def test_a_film_in_real_time_is_live_and_keeps_its_pace(clip, room):
    with open_source(SourceConfig(source=str(clip(count=6)), realtime=True), Place(1)) as film:
        assert film.live
        pictures = list(iter(lambda: film.read(room), None))
    assert len(pictures) == 5
    assert all(picture.media_ms is None for picture in pictures)
    assert pictures[-1].captured_ns - pictures[0].captured_ns >= 160e6
