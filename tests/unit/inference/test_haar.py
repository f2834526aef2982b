"""The usual cascade alone: what it finds, how it boxes, and what is wrong with an installation."""

import cv2
import numpy as np
import pytest
from msgspec.structs import replace

from capture.demo import DemoScene
from configs.errors import InputError
from configs.schema import DetectConfig
from inference.detectors import haar, open_detector
from inference.detectors.haar import HaarDetector
from transport.frame import Box, iou

PLAIN = DetectConfig(verify=False)


@pytest.fixture(scope="module")
def scene() -> DemoScene:
    return DemoScene()


def test_without_its_verifier_haar_is_the_usual_cascade(scene):
    """It finds the bare faces of the demo, and less of the others: it is there to compare with."""
    detector = open_detector(PLAIN)
    assert detector.name == "haar frontalface_default"
    found: dict[str, list[bool]] = {"mask": [], "no_mask": [], "wrong_mask": []}
    for index in range(0, len(scene), 20):
        boxes = detector.find(scene.picture(index))
        for face, label in scene.truth(index):
            found[label].append(any(iou(face, box) > 0.4 for box in boxes))
    assert np.mean(found["no_mask"]) > 0.9


@pytest.mark.parametrize("detector", ["yunet"])
def test_what_has_no_verifier_is_not_run_without_one(detector):
    with pytest.raises(
        InputError, match=f"haar and maskface have a verifier that could be left out, {detector} has none"
    ):
        open_detector(DetectConfig(detector=detector, verify=False))


def test_boxes_sit_on_the_face(scene):
    face, _ = scene.truth(25)[0]
    box, *_ = HaarDetector(PLAIN).find(scene.picture(25))
    assert iou(face, box) > 0.6


def test_boxes_are_in_pixels_of_the_picture_that_was_given(scene):
    detector = HaarDetector(replace(PLAIN, width=320))
    [small] = detector.find(scene.picture(25))
    [large] = detector.find(cv2.resize(scene.picture(25), (1280, 960)))
    assert iou(small, Box(large.x / 2, large.y / 2, large.width / 2, large.height / 2)) > 0.85


def test_faces_below_min_face_are_not_found(scene):
    picture = scene.picture(25)  # its face is a third of the picture's height
    assert HaarDetector(replace(PLAIN, min_face=0.2)).find(picture)
    assert HaarDetector(replace(PLAIN, min_face=0.6)).find(picture) == ()


def test_faces_above_max_face_are_not_found(scene):
    picture = scene.picture(25)
    assert HaarDetector(replace(PLAIN, max_face=0.15)).find(picture) == ()


def test_min_face_is_a_share_of_the_picture_also_when_it_is_shrunk(scene):
    large = cv2.resize(scene.picture(25), (1280, 960))
    assert HaarDetector(replace(PLAIN, min_face=0.2, width=320)).find(large)


def test_a_grey_wall_has_no_face():
    assert HaarDetector(PLAIN).find(np.full((480, 640, 3), 128, np.uint8)) == ()


def test_a_picture_smaller_than_the_cascade_has_no_face():
    assert HaarDetector(PLAIN).find(np.full((10, 12, 3), 128, np.uint8)) == ()


def test_opencv_5_is_refused_in_words(monkeypatch):
    monkeypatch.delattr(cv2, "CascadeClassifier")
    with pytest.raises(InputError, match=r"has no Haar cascades.*opencv-python>=4\.11,<5"):
        HaarDetector(PLAIN)


def test_a_missing_cascade_is_named():
    with pytest.raises(InputError, match=r"haarcascade_nobody\.xml is missing"):
        haar.load_cascade("haarcascade_nobody.xml")
