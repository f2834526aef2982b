"""Operating points: half the misses or half the alarms of the faces they are chosen on, by the least shift."""

import numpy as np
import pytest

from configs.errors import InputError
from configs.schema import ClassifyConfig
from inference.backends import open_backend
from inference.checkpoint import ModelInfo
from inference.preference import added_to_logits
from inference.preprocess import Preprocessing
from train.score.operating_points import operating_points

CLASSES = ("mask", "no_mask", "wrong_mask")


def faces(seed=0, number=2000):
    """Logits of a model that errs between neighbours, with their labels."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 3, number)
    return (2.0 * np.eye(3)[labels] + rng.normal(0, 1, (number, 3))).astype(np.float32), labels


def misses_and_alarms(logits, labels):
    says_mask = logits.argmax(axis=1) == 0
    return (says_mask & (labels != 0)).sum(), (~says_mask & (labels == 0)).sum()


def test_each_preference_halves_what_it_is_about_and_pays_with_the_other():
    logits, labels = faces()
    points = operating_points(logits, labels, CLASSES)
    misses, alarms = misses_and_alarms(logits, labels)
    few_misses = misses_and_alarms(logits + np.array(points["few-misses"]), labels)
    few_alarms = misses_and_alarms(logits + np.array(points["few-alarms"]), labels)
    assert few_misses[0] <= misses / 2 < misses_and_alarms(logits + np.array(points["few-misses"]) * 0.9, labels)[0]
    assert few_misses[1] > alarms
    assert few_alarms[1] <= alarms / 2
    assert few_alarms[0] > misses
    assert points["few-misses"][:2] == (0, 0)


def test_where_the_doubted_class_is_not_enough_all_but_mask_are_shifted():
    logits, labels = faces()  # as many well-worn masks are called no_mask as wrong_mask
    mask, *others = operating_points(logits, labels, CLASSES)["few-alarms"]
    assert mask == 0
    assert others[0] == others[1] < 0


def test_without_a_doubted_class_all_but_mask_are_shifted():
    logits, labels = faces()
    two = labels < 2
    points = operating_points(logits[two][:, :2], labels[two], CLASSES[:2])
    assert points["few-misses"][0] == 0 < points["few-misses"][1]
    assert points["few-alarms"][1] < 0


def test_classes_of_something_else_have_no_points():
    logits, labels = faces()
    assert operating_points(logits, labels, ("cat", "dog", "bird")) == {}


def test_a_preference_that_a_model_does_not_know_is_refused_by_name(tmp_path):
    info = ModelInfo(CLASSES, Preprocessing(32), points={"few-misses": (0.0, 0.0, 1.0)})
    assert added_to_logits(info, "few-misses", tmp_path).tolist() == [0, 0, 1]
    assert added_to_logits(info, "balanced", tmp_path).tolist() == [0, 0, 0]
    with pytest.raises(InputError, match=r"own\.onnx has no such operating point"):
        added_to_logits(info, "few-alarms", tmp_path / "own.onnx")


@pytest.mark.parametrize("device_file", ["face_mask.onnx", "face_mask.int8.onnx"])
def test_the_model_that_ships_leans_to_the_side_that_is_asked_for(device_file):
    from inference.backends import SHIPPED_MODEL

    path = str(SHIPPED_MODEL.with_name(device_file))
    crops = np.random.default_rng(0).integers(0, 256, (8, 112, 112, 3), np.uint8)
    from inference.preprocess import prepare

    said = {}
    for prefer in ("few-alarms", "balanced", "few-misses"):
        backend = open_backend(ClassifyConfig(model=path, prefer=prefer))
        said[prefer] = backend.probabilities(prepare(list(crops), backend.preprocessing))[:, 2].mean()
    assert said["few-alarms"] < said["balanced"] < said["few-misses"]
