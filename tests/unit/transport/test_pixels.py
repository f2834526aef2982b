"""Planes are read as FFmpeg's own BGR has them, all of them and any part."""

import av
import numpy as np
import pytest

from transport.pixels import Colours, Pixels, bytes_of, planes_of, shape_of

SIZES = [(64, 48), (854, 480), (480, 270), (720, 404), (18, 16)]  # heights that are no multiple of 4, odd colours
COLOURS = [Colours(1, False), Colours(2, False), Colours(6, False), Colours(1, True), Colours(2, True)]


def planes(width, height, colours, seed=0):
    """Noise as planes, and what FFmpeg makes of the same noise in a frame of its own."""
    random = np.random.default_rng(seed)
    frame = av.VideoFrame(width, height, "yuv420p")
    frame.colorspace, frame.color_range = colours.matrix, 2 if colours.full else 1
    memory = np.zeros(bytes_of(height, width, colours), np.uint8)
    array = memory[: np.prod(shape_of(height, width, colours))].reshape(shape_of(height, width, colours))
    for plane, place in zip(frame.planes, planes_of(array, len(array) * 2 // 3), strict=True):
        values = random.integers(0, 256, (plane.height, plane.width), np.uint8)
        place[: plane.height] = values
        padded = np.zeros((plane.height, plane.line_size), np.uint8)
        padded[:, : plane.width] = values
        plane.update(padded.tobytes())
    array.setflags(write=False)
    return Pixels(array, colours, height), frame.to_ndarray(format="bgr24")


@pytest.mark.parametrize("colours", COLOURS, ids=str)
@pytest.mark.parametrize(("width", "height"), SIZES)
def test_planes_are_the_picture_that_ffmpeg_makes_of_them(width, height, colours):
    pixels, picture = planes(width, height, colours)
    assert (pixels.height, pixels.width) == (height, width)
    assert np.array_equal(pixels.copy(), picture)
    assert pixels.copy().flags.writeable
    assert pixels.bgr is pixels.bgr
    assert not pixels.bgr.flags.writeable


@pytest.mark.parametrize(("width", "height"), SIZES)
def test_a_part_is_what_it_is_in_the_whole_picture(width, height):
    pixels, picture = planes(width, height, COLOURS[0])
    random = np.random.default_rng(1)
    for _ in range(60):
        (x0, x1), (y0, y1) = (sorted(random.choice(side + 1, 2, replace=False)) for side in (width, height))
        assert np.array_equal(pixels.crop(x0, y0, x1, y1), picture[y0:y1, x0:x1]), (x0, y0, x1, y1)


@pytest.mark.parametrize("colours", COLOURS, ids=str)
def test_a_plain_picture_keeps_its_colour_when_it_is_made_smaller(colours):
    pixels, _ = planes(640, 480, colours)
    flat = pixels.array.copy()
    for plane, value in zip(planes_of(flat, 480), (120, 90, 160), strict=True):
        plane[:] = value
    flat = Pixels(np.concatenate([flat.ravel(), np.zeros(64, np.uint8)])[:-64].reshape(flat.shape), colours, 480)
    small = flat.resized(320, 240)
    assert small.shape == (240, 320, 3)
    assert np.abs(small.astype(int) - flat.bgr[:240, :320]).max() <= 1


def test_bgr_is_read_where_it_lies():
    array = np.zeros((4, 6, 3), np.uint8)
    pixels = Pixels(array)
    assert pixels.bgr is array
    assert np.shares_memory(pixels.crop(1, 1, 3, 3), array)
    assert not np.shares_memory(pixels.copy(), array)


def test_planes_of_another_size_than_they_say_are_refused():
    with pytest.raises(ValueError, match="planes of 480 rows must be I420, uint8, got"):
        Pixels(np.zeros((480, 640), np.uint8), COLOURS[0], 480)
