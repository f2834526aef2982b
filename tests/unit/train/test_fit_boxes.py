"""The numbers that turn Haar's squares into annotators' boxes can be fitted, and make better crops."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
from msgspec.structs import replace

from configs.errors import InputError
from configs.schema import DetectConfig
from inference.detectors import open_detector
from inference.detectors.detector import BoxMapping
from inference.detectors.haar import MAPPING
from train.data.photos import read_photos
from train.fit_boxes import GENEROUS, MIN_SIDE_PX, UNCHANGED, Match, crop_iou, find_matches, fit
from transport.frame import Box

SHARED = Path(__file__).resolve().parents[3] / ".." / "shared"
PHOTOS = SHARED / "data" / "photos"
YUNET = SHARED / "models" / "face_detection_yunet_2023mar.onnx"


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
        open_detector(replace(GENEROUS, verify=False)), islice(read_photos(PHOTOS / "val", MIN_SIDE_PX), 25)
    )
    found = [match for match in matches if match.found is not None]
    before, after = (np.median([crop_iou(match, how) for match in found]) for how in (UNCHANGED, MAPPING))
    assert after > before + 0.02


@pytest.mark.skipif(
    not (PHOTOS.is_dir() and YUNET.is_file()), reason=f"no annotated photographs or no YuNet in {SHARED}"
)
def test_every_detector_gives_the_crop_that_the_annotation_gives():
    """0.85 was wanted. What annotators agree on is less: detectors agree with each other more than with them."""
    photos = list(islice(read_photos(PHOTOS / "val", MIN_SIDE_PX), 50))
    detectors = [
        open_detector(DetectConfig(width=1280, min_face=0.05)),
        open_detector(DetectConfig(detector="yunet", model=str(YUNET), width=1280)),
    ]
    haar, yunet = (find_matches(detector, photos) for detector in detectors)
    mappings = [detector.mapping for detector in detectors]
    for matches, mapping in zip((haar, yunet), mappings, strict=True):
        found = [match for match in matches if match.found is not None]
        assert len(found) > 50
        assert np.median([crop_iou(match, mapping) for match in found]) > 0.7
    both = [
        match._replace(annotated=mappings[1].apply(other.found))
        for match, other in zip(haar, yunet, strict=True)
        if match.found is not None and other.found is not None
    ]
    assert np.median([crop_iou(match, mappings[0]) for match in both]) > 0.78
