"""A webcam: what is refused, and the way of a picture from the driver into the slot. No camera is needed."""

from itertools import count

import cv2
import numpy as np
import pytest

from capture.kinds import webcam
from capture.picture import SourceLost
from capture.still_scene import StillScene
from configs.errors import InputError
from configs.schema import SourceConfig


class Camera:
    """cv2.VideoCapture of a camera that gives two pictures and is unplugged then."""

    told_size = (48, 64)  # height, width

    def __init__(self, device, api, wishes):
        self.wishes, self.left, self.released = wishes, 2, False

    def isOpened(self):
        return True

    def grab(self):
        self.left -= 1
        return self.left >= 0

    def get(self, key):
        height, width = self.told_size
        return {cv2.CAP_PROP_FRAME_HEIGHT: height, cv2.CAP_PROP_FRAME_WIDTH: width, cv2.CAP_PROP_FPS: 15.0}[key]

    def retrieve(self, slot):
        if slot.shape != (48, 64, 3):  # as OpenCV does
            slot = np.empty((48, 64, 3), np.uint8)
        slot[:] = self.left + 1
        return True, slot

    def release(self):
        self.released = True


@pytest.fixture
def device(tmp_path, monkeypatch):
    """The path of a camera that opens as `Camera`."""
    path = tmp_path / "video0"
    path.touch()
    monkeypatch.setattr(cv2, "VideoCapture", Camera)
    return str(path)


def test_pictures_are_written_into_the_room(device, room):
    with webcam.Webcam(SourceConfig(source=device)) as camera:
        picture = camera.read(room)
        assert camera.live
        assert camera.fps == 15
    assert np.shares_memory(picture.image, room(48, 64))
    assert (picture.image == 2).all()


def test_the_picture_that_proved_the_camera_is_not_thrown_away(device, room):
    camera = webcam.Webcam(SourceConfig(source=device))
    assert [int(camera.read(room).image[0, 0, 0]) for _ in range(2)] == [2, 1]


def test_a_camera_that_lies_about_its_size_still_fills_the_room(device, room, monkeypatch):
    monkeypatch.setattr(Camera, "told_size", (480, 640))
    picture = webcam.Webcam(SourceConfig(source=device)).read(room)
    assert picture.image.shape == (48, 64, 3)
    assert np.shares_memory(picture.image, room(48, 64))
    assert (picture.image == 2).all()


def test_an_unplugged_camera_is_lost(device, room):
    camera = webcam.Webcam(SourceConfig(source=device))
    camera.read(room)
    camera.read(room)
    with pytest.raises(SourceLost, match="no more pictures"):
        camera.read(room)


def test_size_and_rate_are_asked_for_when_it_is_opened(device):
    camera = webcam.Webcam(SourceConfig(source=device, width=1280, fps=29.97))
    assert camera._camera.wishes == [cv2.CAP_PROP_FRAME_WIDTH, 1280, cv2.CAP_PROP_FPS, 30]


def test_of_a_camera_that_is_faster_than_was_asked_pictures_are_skipped(device, monkeypatch, room):
    ticks = count()
    monkeypatch.setattr("capture.kinds.webcam.time.monotonic_ns", lambda: next(ticks) * 10**9 // 15)
    with webcam.Webcam(SourceConfig(source=device, fps=5)) as camera:
        camera._camera.left = 40
        kept = [camera.read(room).captured_ns for _ in range(10)]
        assert camera.skipped() == 18
        assert np.diff(kept) == pytest.approx(2e8, abs=2)
    with webcam.Webcam(SourceConfig(source=device, fps=15)) as camera:  # it obeys
        assert camera.read(room).captured_ns + 10**9 // 15 == pytest.approx(camera.read(room).captured_ns, abs=2)


def test_while_nothing_moves_few_pictures_go_on_and_what_comes_does_at_once(device, monkeypatch, room):
    ticks = count(1)
    monkeypatch.setattr("capture.kinds.webcam.time.monotonic_ns", lambda: next(ticks) * 10**9 // 15)
    monkeypatch.setattr(Camera, "retrieve", lambda camera, slot: (slot.fill(0) is None, slot))
    with webcam.Webcam(SourceConfig(source=device)) as camera:
        camera.still = StillScene(5, lambda: 0, lambda: 0)
        camera._camera.left = 40
        kept = [camera.read(room).captured_ns for _ in range(12)]
        assert np.diff(kept) == pytest.approx(2e8, abs=2)
        assert camera.still.taken() == 22
        camera._camera.left = 3
        monkeypatch.setattr(
            Camera,
            "retrieve",
            lambda camera, slot: (cv2.rectangle(slot, (8, 8), (40, 40), (90,) * 3, -1) is not None, slot),
        )
        assert camera.read(room).captured_ns - kept[-1] < 1.5e8


def test_a_busy_camera_is_refused_and_let_go(device, monkeypatch):
    cameras = []
    monkeypatch.setattr(Camera, "grab", lambda camera: bool(cameras.append(camera)))
    with pytest.raises(InputError, match="another program"):
        webcam.Webcam(SourceConfig(source=device))
    assert cameras[0].released


def test_a_device_that_is_no_camera_is_refused_without_chatter(tmp_path, capfd):
    path = tmp_path / "video0"
    path.touch()
    with pytest.raises(InputError, match="gives no picture"):
        webcam.Webcam(SourceConfig(source=str(path)))
    assert "".join(capfd.readouterr()) == ""


def test_a_camera_that_does_not_exist_is_refused_in_one_line():
    with pytest.raises(InputError, match="no camera 97: /dev/video97 does not exist; cameras found: ") as refusal:
        webcam.Webcam(SourceConfig(source="97"))
    assert "\n" not in str(refusal.value)


def test_opencv_writes_a_picture_into_the_array_it_is_given(clip, room):
    capture = cv2.VideoCapture(str(clip(count=1)), cv2.CAP_FFMPEG)
    capture.grab()
    slot = room(240, 320)
    _, image = capture.retrieve(slot)
    assert image is slot
    assert slot.any()
