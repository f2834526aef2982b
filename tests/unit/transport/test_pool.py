"""A stream's shared memory: what a stage sees of it, and which segment is the right one."""

import os

import numpy as np
import pytest

from transport.pixels import Colours, bytes_of
from transport.pool import Pool, SegmentGone


def test_what_a_stage_sees_of_a_slot_cannot_be_drawn_on(pool):
    pool.grow(4 * 6 * 3)
    with pytest.raises(ValueError, match="read-only"):
        pool.picture(0, 4, 6).array[0, 0] = 1


def test_planes_are_read_as_they_were_written_and_the_last_slot_has_room_behind_them(pool):
    colours = Colours(1, True)
    pool.grow(bytes_of(34, 32, colours))
    room = pool.room(pool.count - 1, 34, 32, colours)
    room[:] = np.arange(room.size, dtype=np.uint8).reshape(room.shape)
    pixels = pool.picture(pool.count - 1, 34, 32, colours)
    assert np.array_equal(pixels.array, room)
    assert (pixels.width, pixels.height, pixels.colours) == (32, 34, colours)
    assert pixels.bgr.shape == (34, 32, 3)
    assert not pixels.array.flags.writeable
    with pytest.raises(ValueError, match="no room"):
        pool.room(0, 100, 320, colours)


def test_a_folder_of_pictures_of_all_sizes_keeps_no_view_of_each(pool):
    pool.grow(1000 * 6 * 3)
    for rows in range(1, 500):
        assert pool.picture(0, rows, 6).array.shape == (rows, 6, 3)
    assert len(pool._views) <= 5 * pool.count


def test_the_segment_has_no_name_that_could_stay_behind(segment):
    assert not [name for name in os.listdir("/dev/shm") if "maskstream" in name]
    assert "memfd:maskstream-test" in os.readlink(f"/proc/self/fd/{segment}")


def test_a_segment_that_is_gone_or_another_s_is_not_opened(segment, pool):
    path = f"/proc/{os.getpid()}/fd/{segment}"
    with Pool(path, pool.id) as same:
        assert same.id == pool.id
    reading, writing = os.pipe()
    for place, id in ((path, pool.id + 2), (f"/proc/{os.getpid()}/fd/{writing}", 0), ("/proc/self/fd/9999", 0)):
        with pytest.raises(SegmentGone):
            Pool(place, id)
    os.close(reading), os.close(writing)
