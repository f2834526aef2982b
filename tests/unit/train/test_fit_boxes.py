"""The numbers that turn Haar's squares into annotators' boxes can be fitted, and make better crops."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from configs.errors import InputError
from inference.detect import open_detector
from inference.detector import BoxMapping
from inference.haar import MAPPINGS
from train.fit_boxes import GENEROUS, MIN_SIDE_PX, UNCHANGED, Match, crop_iou, find_matches, fit
from train.photos import read_photos
from transport.frame import Box

PHOTOS = Path(__file__).resolve().parents[3] / ".." / "shared" / "data" / "photos"


def test_the_mapping_behind_the_pairs_is_found_in_spite_of_a_wild_one():
    true = BoxMapping(x=0.05, y=0.1, width=0.8, height=0.9)
    squares = [Box(10.0 * n, 7.0 * n, 40.0 + n, 40.0 + n) for n in range(9)]
    matches = [Match(true.apply(square), "mask", square, (640, 480)) for square in squares]
    matches.append(Match(Box(0, 0, 400, 40), "mask", squares[0], (640, 480)))
    matches.append(Match(Box(0, 0, 50, 50), "mask", None, (640, 480)))
    assert fit(matches) == pytest.approx(true, abs=0.001)


def test_without_one_face_found_it_says_so():
    with pytest.raises(InputError, match="nothing to fit"):
        fit([Match(Box(0, 0, 50, 50), "mask", None, (640, 480))])


def test_a_folder_without_annotations_is_named(tmp_path):
    with pytest.raises(InputError, match=r"annotations\.json: No such file"):
        next(read_photos(tmp_path / "train"))


@pytest.mark.skipif(not PHOTOS.is_dir(), reason=f"no annotated photographs in {PHOTOS}")
def test_mapped_squares_give_crops_more_like_the_annotated_ones():
    matches = find_matches(
        open_detector(replace(GENEROUS, cascade="alt")), islice(read_photos(PHOTOS / "val", MIN_SIDE_PX), 25)
    )
    found = [match for match in matches if match.found is not None]
    before, after = (np.median([crop_iou(match, how) for match in found]) for how in (UNCHANGED, MAPPINGS["alt"]))
    assert after > before + 0.02
