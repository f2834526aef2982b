"""Pictures as a player shows them: turned, mirrored, with square pixels."""

import shutil
import struct
import subprocess
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from capture.kinds.film import Film
from capture.kinds.folder import ImageFolder
from capture.upright import WIDEST_PX, shown_size

ONE = 1 << 16  # 1.0 as a display matrix writes it
MATRICES = {  # a b c d of the matrix, and what a player does with the picture
    "as it is": ((1, 0, 0, 1), lambda image: image),
    "left to right": ((-1, 0, 0, 1), lambda image: image[:, ::-1]),
    "upside down": ((1, 0, 0, -1), lambda image: image[::-1]),
    "turned by 180": ((-1, 0, 0, -1), lambda image: image[::-1, ::-1]),
    "clockwise": ((0, 1, -1, 0), lambda image: np.rot90(image, -1)),
    "against the clock": ((0, -1, 1, 0), lambda image: np.rot90(image)),
    "transposed": ((0, 1, 1, 0), lambda image: image.transpose(1, 0, 2)),
    "transposed and turned": ((0, -1, -1, 0), lambda image: image.transpose(1, 0, 2)[::-1, ::-1]),
}


def with_matrix(path, a, b, c, d):
    """The MP4 with another display matrix in the header of its track."""
    data = path.read_bytes()
    at = data.index(b"tkhd") + 44
    numbers = [a * ONE, b * ONE, 0, c * ONE, d * ONE, 0, 0, 0, 1 << 30]
    path.write_bytes(data[:at] + struct.pack(">9i", *numbers) + data[at + 36 :])
    return path


def first_picture(path, room):
    with Film(path) as video:
        return video.read(room).image.copy()


@pytest.mark.parametrize("name", MATRICES)
def test_a_clip_is_turned_and_mirrored_as_a_player_does(clip, room, name):
    matrix, seen = MATRICES[name]
    plain = first_picture(clip("plain.mp4", count=1), room)
    path = with_matrix(clip("turned.mp4", count=1), *matrix)
    image = first_picture(path, room)
    assert np.array_equal(image, seen(plain))
    if shutil.which("ffmpeg"):
        decode = ["ffmpeg", "-v", "error", "-i", str(path), "-f", "rawvideo", "-pix_fmt", "bgr24", "-"]
        played = np.frombuffer(subprocess.run(decode, capture_output=True, check=True).stdout, np.uint8)
        assert np.abs(played.reshape(image.shape).astype(int) - image).mean() < 2


def photo_with_exif(path, orientation):
    """Four colours, and what a camera wrote of how it was held."""
    image = np.zeros((64, 96, 3), np.uint8)
    image[:32, :48], image[:32, 48:], image[32:, :48] = (0, 0, 255), (0, 255, 0), (255, 0, 0)
    jpeg = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 100])[1].tobytes()
    entry = struct.pack("<HHIHH", 0x112, 3, 1, orientation, 0)
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 1) + entry + b"\0\0\0\0"
    path.write_bytes(jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + jpeg[2:])
    return image


EXIF = ["as it is", "left to right", "turned by 180", "upside down", "transposed"]
EXIF += ["clockwise", "transposed and turned", "against the clock"]


@pytest.mark.parametrize(("orientation", "name"), list(enumerate(EXIF, 1)))
def test_a_photograph_is_turned_as_its_exif_data_say_in_a_folder_and_alone(tmp_path, room, orientation, name):
    upright = MATRICES[name][1](photo_with_exif(tmp_path / "photo.jpg", orientation))
    image = ImageFolder(tmp_path).read(room).image.copy()
    assert image.shape == upright.shape
    assert np.abs(image.astype(int) - upright).mean() < 3
    assert np.abs(first_picture(tmp_path / "photo.jpg", room).astype(int) - upright).mean() < 3


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_pixels_become_square(clip, room, name):
    path = clip(name, count=3, size=(160, 240), pixel_shape=Fraction(2))
    image = first_picture(path, room)
    assert image.shape == (240, 320, 3)
    assert clip.index_of(image) == 0


def test_pixels_become_square_before_the_picture_is_turned(clip, room):
    image = first_picture(clip(count=1, size=(160, 240), pixel_shape=Fraction(2), turned=90), room)
    assert image.shape == (320, 240, 3)


def test_the_shape_of_the_pixels_may_change_in_the_middle(clip, room):
    shapes = (None, Fraction(2), Fraction(4, 3))
    parts = [clip(f"{shape}.ts".replace("/", "-"), count=4, pixel_shape=shape, bf="2") for shape in shapes]
    joined = parts[0].with_name("joined.ts")
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    with Film(joined) as video:
        widths = [picture.image.shape[1] for picture in iter(lambda: video.read(room), None)]
    assert widths == [320] * 4 + [640] * 4 + [427] * 4


@pytest.mark.parametrize(
    "pixel_shape", [Fraction(1, 1000), Fraction(60000, 1), Fraction(6), Fraction(1, 6), Fraction(1)]
)
def test_a_silly_shape_of_pixels_is_passed_over(clip, room, pixel_shape):
    assert first_picture(clip("a.mkv", count=1, pixel_shape=pixel_shape), room).shape == (240, 320, 3)


def test_no_shape_of_pixels_makes_a_picture_large():
    for width, height, shape in ((4096, 2160, Fraction(5)), (7680, 4320, Fraction(2)), (16, 16, Fraction(1, 5))):
        wide, high = shown_size(width, height, shape)
        assert wide <= max(width, WIDEST_PX)
        assert high <= height
        assert wide / high == pytest.approx(width / height * shape, rel=0.2)


def test_side_data_that_pyav_has_no_name_for_does_no_harm(tmp_path, room):
    photo_with_exif(tmp_path / "photo.jpg", 1)
    with av.open(str(tmp_path / "photo.jpg")) as photo:
        [frame] = photo.decode(video=0)
    assert len(frame.side_data) > 0  # FFmpeg 8 puts the EXIF data there
    assert first_picture(tmp_path / "photo.jpg", room).shape == (64, 96, 3)
