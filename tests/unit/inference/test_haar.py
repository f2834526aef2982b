"""Haar finds the faces of the demo, boxes them like an annotator, and says what is wrong with an installation."""

import cv2
import numpy as np
import pytest
from msgspec.structs import replace

from capture.demo import DemoScene
from configs.errors import InputError
from configs.schema import DetectConfig
from inference import haar
from inference.haar import HaarDetector
from transport.frame import Box, iou

PLAIN = DetectConfig(second_opinion="cascade")


@pytest.fixture(scope="module")
def scene() -> DemoScene:
    return DemoScene()


def test_faces_of_the_demo_are_found_in_every_state(scene):
    detector = HaarDetector(PLAIN)
    found: dict[str, list[bool]] = {"mask": [], "no_mask": [], "wrong_mask": []}
    false_boxes = 0
    indices = range(0, len(scene), 10)
    for index in indices:
        boxes = detector.find(scene.picture(index))
        truth = scene.truth(index)
        for face, label in truth:
            found[label].append(any(iou(face, box) > 0.4 for box in boxes))
        false_boxes += sum(all(iou(face, box) < 0.2 for face, _ in truth) for box in boxes)
    for label, hits in found.items():
        assert np.mean(hits) >= 0.95, f"{label}: {sum(hits)} of {len(hits)} faces found"
    assert false_boxes <= 0.05 * len(indices)


def test_a_second_opinion_drops_false_faces_and_keeps_true_ones(scene):
    sure, quick = HaarDetector(PLAIN), HaarDetector(replace(PLAIN, second_opinion="none"))
    assert sure.name == "haar frontalface_alt2, confirmed by alt"
    kept = dropped = 0
    for index in range(0, len(scene), 20):
        picture, truth = scene.picture(index), scene.truth(index)
        confirmed = sure.find(picture)
        for box in quick.find(picture):
            if any(iou(face, box) > 0.5 for face, _ in truth):
                assert box in confirmed
                kept += 1
            elif box not in confirmed:
                dropped += 1
    assert kept > 40
    assert dropped > 0


@pytest.mark.parametrize("cascade", ["default", "alt", "alt2"])
def test_boxes_sit_on_the_face(scene, cascade):
    detector = HaarDetector(replace(PLAIN, cascade=cascade))
    face, _ = scene.truth(25)[0]
    box, *_ = detector.find(scene.picture(25))
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
