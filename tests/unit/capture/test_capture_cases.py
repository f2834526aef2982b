"""Films of the field, one odd thing each (../shared/cases/files): pictures, sizes, times, and what is said."""

import itertools
import logging
from pathlib import Path

import numpy as np
import pytest

from capture.kinds.film import Film
from configs.errors import InputError

CASES = Path(__file__).resolve().parents[3] / ".." / "shared" / "cases" / "files"
USUAL = [(360, 640)]
SHOWN = {  # pictures, their sizes, the position of the last, ms
    "base.mp4": (75, USUAL, 2960),
    "v01_hevc10.mp4": (25, USUAL, 960),
    "v02_yuv444.mp4": (25, USUAL, 960),
    "v03_gray.mkv": (25, USUAL, 960),
    "v04_fullrange.mp4": (25, USUAL, 960),
    "v05_gap70s.mp4": (50, USUAL, 71960),
    "v06_ts_jump_forward.ts": (54, USUAL, 2280),
    "v08_ts_wrap.ts": (52, USUAL, 2080),
    "v09_ts_other_pid.ts": (54, USUAL, 2280),
    "v10_ts_resolution.ts": (52, [(360, 640), (240, 320)], 2120),
    "v11_sar2.mp4": (50, USUAL, 1960),
    "v12_interlaced.mp4": (13, USUAL, 960),
    "v14_mjpeg.avi": (25, USUAL, 960),
    "v15_odd.mp4": (5, [(361, 641)], 160),
    "v17_8k.mp4": (3, [(4320, 7680)], 80),
    "v19_raw.h264": (27, USUAL, 1040),
    "v20.gif": (8, [(180, 320)], 880),
    "v21_alpha.webm": (15, USUAL, 560),
    "v23_0.2fps.mp4": (1, USUAL, 0),
    "v30_hflip.mp4": (75, USUAL, 2960),
    "v30_rot180.mp4": (75, USUAL, 2960),
    "v30_rot270.mp4": (75, [(640, 360)], 2960),
    "v30_rot90.mp4": (75, [(640, 360)], 2960),
    "v30_vflip.mp4": (75, USUAL, 2960),
    "v31_late_audio.flv": (200, [(180, 320)], 7960),
    "v33_lossy.ts": (122, USUAL, 4960),
    "v34_midgop.ts": (50, USUAL, 1960),
}
SAID = {"v34_midgop.ts": "damaged or cut off: 50 pictures, 2.0 s of 4.2 s"}
CORRUPT = {"v33_lossy.ts": 47, "v06_ts_jump_forward.ts": 1, "v10_ts_resolution.ts": 1}  # 1: where parts are joined
REFUSED = {
    "v13_audio.mp4": "no pictures in it, only sound or text",
    "v24_cut_nomoov.mp4": "the index of this mp4 is missing or broken",
}

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason=f"no films at {CASES}")


@pytest.mark.parametrize("name", SHOWN)
def test_every_picture_is_shown_at_its_time(name, caplog):
    slots = {}

    def room(height, width):
        return slots.setdefault((height, width), np.zeros((height, width, 3), np.uint8))

    with caplog.at_level(logging.INFO, "capture"), Film(CASES / name) as video:
        pictures = [
            (picture.image.shape[:2], picture.media_ms, picture.corrupt)
            for picture in iter(lambda: video.read(room), None)
        ]
    sizes = [size for size, _ in itertools.groupby(size for size, _, _ in pictures)]
    positions_ms = [media_ms for _, media_ms, _ in pictures]
    assert (len(pictures), sizes) == SHOWN[name][:2]
    assert positions_ms[-1] == pytest.approx(SHOWN[name][2], abs=1)
    assert all(earlier < later for earlier, later in itertools.pairwise(positions_ms))
    said = [record.getMessage() for record in caplog.records]
    assert [SAID[name] in line for line in said] == [True] if name in SAID else said == []
    assert sum(corrupt for _, _, corrupt in pictures) == CORRUPT.get(name, 0)


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_no_pictures_is_refused(name):
    with pytest.raises(InputError, match=REFUSED[name]):
        Film(CASES / name)
