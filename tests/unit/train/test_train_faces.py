"""How training faces are varied: framing, light, compression, and masks painted on bare faces."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from configs.errors import InputError
from train.synthesis.augment import augment
from train.synthesis.landmarks import LandmarkFinder
from train.synthesis.painted_masks import paint_mask

FRONTAL = np.float32([(70, 80), (130, 80), (100, 115), (80, 145), (120, 145)])  # eyes, nose, corners of the mouth


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(1, 1, 3), (17, 40, 3), (300, 200, 3)])
def test_augmentation_gives_the_input_size_whatever_comes_in(rng, shape):
    crop = rng.integers(0, 256, shape, np.uint8)
    before = crop.copy()
    for _ in range(30):
        varied = augment(crop, 48, rng)
        assert varied.shape == (48, 48, 3)
        assert varied.dtype == np.uint8
    np.testing.assert_array_equal(crop, before)


def test_augmentation_keeps_the_colours_in_order(rng):
    orange_bgr = np.full((60, 60, 3), (30, 120, 220), np.uint8)
    means = np.mean([augment(orange_bgr, 32, rng).mean(axis=(0, 1)) for _ in range(60)], axis=0)
    assert means[0] < means[1] < means[2]


@pytest.mark.parametrize(
    ("worn", "covered", "bare"),
    [
        ("well", [(100, 115), (100, 145), (80, 140)], [(70, 80), (100, 60)]),
        ("under_nose", [(100, 142), (85, 145)], [(100, 113), (70, 80)]),
        ("on_chin", [(100, 178)], [(100, 113), (100, 142), (70, 80)]),
    ],
)
def test_a_painted_mask_covers_what_its_way_of_wearing_covers(rng, worn, covered, bare):
    crop = np.full((220, 200, 3), (140, 170, 200), np.uint8)
    for _ in range(40):
        cloth = np.abs(paint_mask(crop, FRONTAL, worn, rng).astype(int) - crop).sum(axis=2) > 0
        untouched = [(x, y) for x, y in covered if not cloth[y - 1 : y + 2, x - 1 : x + 2].any()]
        assert not untouched
        assert not [(x, y) for x, y in bare if cloth[y, x]]


def test_the_bare_crop_stays_as_it_is(rng):
    crop = np.full((220, 200, 3), 128, np.uint8)
    crop.setflags(write=False)
    assert (paint_mask(crop, FRONTAL, "well", rng) != crop).any()


def test_a_landmark_model_that_is_none_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no\.onnx: no such file"):
        LandmarkFinder(tmp_path / "no.onnx")
    (tmp_path / "text.onnx").write_text("hello")
    with pytest.raises(InputError, match=r"text\.onnx: not a YuNet"):
        LandmarkFinder(tmp_path / "text.onnx")


def test_landmarks_of_a_real_face_lie_on_it():
    model = Path(__file__).resolve().parents[3] / ".." / "shared" / "models" / "face_detection_yunet_2023mar.onnx"
    if not model.is_file():
        pytest.skip(f"needs {model.name} in shared/models")
    portrait = cv2.imread(str(Path(__file__).resolve().parents[3] / "capture" / "demo_face.jpg"))
    landmarks = LandmarkFinder(model).find(portrait)
    assert landmarks is not None
    (left_eye, right_eye, nose, left_mouth, right_mouth) = landmarks
    assert left_eye[0] < nose[0] < right_eye[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(left_mouth[1], right_mouth[1])
    assert LandmarkFinder(model).find(np.full((100, 100, 3), 127, np.uint8)) is None
