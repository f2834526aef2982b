"""Haar with its verifier finds the faces of the demo in every state, says no to its background, boxes them alike."""

import numpy as np
import pytest

from capture.demo import DemoScene
from configs.errors import InputError
from configs.schema import DetectConfig
from inference.backends import SHIPPED_MODEL
from inference.detectors import open_detector
from inference.detectors.detector import shrink
from inference.detectors.haar import load_cascade
from inference.detectors.verified_haar import merge, short_cascade
from inference.detectors.verifier import (
    FIRST_STAGE,
    SECOND_STAGE,
    Verifier,
    cut,
    moved,
    moves_to,
    windows_of,
    windows_on,
)
from transport.frame import Box, iou


@pytest.fixture(scope="module")
def scene() -> DemoScene:
    return DemoScene()


def test_faces_of_the_demo_are_found_in_every_state(scene):
    detector = open_detector(DetectConfig())
    assert detector.name == "haar frontalface_alt2 (9 of 20 stages), verified"
    found: dict[str, list[bool]] = {"mask": [], "no_mask": [], "wrong_mask": []}
    false_boxes = 0
    indices = range(0, len(scene), 10)
    for index in indices:
        boxes = detector.find(scene.picture(index))
        truth = scene.truth(index)
        for face, label in truth:
            found[label].append(any(iou(face, box) > 0.5 for box in boxes))
        false_boxes += sum(all(iou(face, box) < 0.2 for face, _ in truth) for box in boxes)
    for label, hits in found.items():
        assert np.mean(hits) >= 0.95, f"{label}: {sum(hits)} of {len(hits)} faces found"
    assert false_boxes <= 0.02 * len(indices)


def test_the_first_stages_alone_hit_more(scene):
    grey = shrink(scene.picture(340), 320).grey
    whole = load_cascade("haarcascade_frontalface_alt2.xml")
    counts = [len(cascade.detectMultiScale(grey, 1.25, 0)) for cascade in (whole, short_cascade(20), short_cascade(9))]
    assert 0 < counts[0] == counts[1] < counts[2] / 2


def test_boxes_are_in_pixels_of_the_picture_that_was_given(scene):
    detector = open_detector(DetectConfig())
    face, _ = scene.truth(25)[0]
    [box] = detector.find(scene.picture(25))
    assert iou(face, box) > 0.6


def test_faces_of_another_size_than_asked_for_are_left_out(scene):
    picture = scene.picture(25)  # its face is a third of the picture's height
    assert open_detector(DetectConfig(min_face=0.6)).find(picture) == ()
    assert open_detector(DetectConfig(max_face=0.15)).find(picture) == ()


@pytest.mark.parametrize("size", [(1, 1), (10, 12), (480, 641), (33, 900)])
def test_a_picture_of_any_size_is_searched(size):
    assert open_detector(DetectConfig()).find(np.full((*size, 3), 128, np.uint8)) == ()


def test_a_higher_score_says_no_more_often(scene):
    picture = shrink(scene.picture(340), 320)
    lenient, strict = (open_detector(DetectConfig()).scored(picture, least) for least in (0.05, 0.999999))
    assert len(strict) <= 3 <= len(lenient)
    assert all(0.05 <= score <= 1 for _, score in lenient)


def test_windows_outside_the_picture_are_grey():
    white = np.full((60, 80, 3), 255, np.uint8)
    half_out, far_out = cut(white, np.array([[0.0, 30, 40], [500, 500, 20]]), 32)
    assert half_out[:, :12].max() == 127
    assert half_out[:, 20:].min() == 255
    assert far_out.min() == far_out.max() == 127
    assert cut(white, np.empty((0, 3)), 32).shape == (0, 32, 32, 3)


def test_moves_lead_from_a_window_to_a_box_and_back():
    rng = np.random.default_rng(0)
    windows = windows_of(rng.uniform(20, 60, (9, 4)))
    boxes = rng.uniform(10, 90, (9, 4))
    assert moved(windows, moves_to(windows, boxes)) == pytest.approx(boxes, rel=1e-4)


def test_hits_on_one_face_are_one_box_and_the_surer_ones_count_more():
    hits = np.array([[0, 0, 10, 10], [2, 0, 10, 10], [40, 0, 10, 10]], float)
    boxes, scores = merge(hits, np.array([0.2, 0.6, 0.5]))
    assert boxes == pytest.approx(np.array([[1.5, 0, 10, 10], [40, 0, 10, 10]]))
    assert scores.tolist() == [0.6, 0.5]
    assert merge(np.empty((0, 4)), np.empty(0))[0].shape == (0, 4)


def test_windows_on_boxes_are_as_large_as_on_the_squares_they_lie_in():
    squares = np.array([[10.0, 20, 50, 50], [0, 0, 24, 24]])
    windows = windows_of(squares)
    boxes = np.concatenate(
        [windows[:, :2] - 0.5 * squares[:, 2:] * (0.83, 0.96), squares[:, 2:] * (0.83, 0.96)], axis=1
    )
    assert windows_on(boxes) == pytest.approx(windows)


def test_the_verifier_is_small():
    assert FIRST_STAGE.stat().st_size + SECOND_STAGE.stat().st_size < 200_000


def test_another_file_is_no_verifier(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.onnx: no such file"):
        Verifier(tmp_path / "nowhere.onnx")
    with pytest.raises(InputError, match=r"face_mask\.onnx: is no verifier of faces"):
        Verifier(SHIPPED_MODEL)


@pytest.mark.parametrize("path", [FIRST_STAGE, SECOND_STAGE], ids=lambda path: path.name)
def test_each_window_has_its_own_answer_whatever_else_is_asked(scene, path):
    picture = shrink(scene.picture(25), 320)
    face, _ = scene.truth(25)[0]
    true = Box(face.x / 2, face.y / 2, face.width / 2, face.height / 2)
    windows = windows_on(np.array([[true.x, true.y, true.width, true.height], [5, 5, 40, 48]]))
    verifier = Verifier(path)
    together, boxes = verifier.look(picture.bgr, windows)
    alone = [verifier.look(picture.bgr, windows[place : place + 1])[0][0] for place in (0, 1)]
    assert together == pytest.approx(alone, abs=1e-5)
    assert together[0] > 0.5 > together[1]
    assert iou(Box(*boxes[0].tolist()), true) > 0.6
    assert verifier.look(picture.bgr, np.empty((0, 3)))[1].shape == (0, 4)


def test_looking_both_ways_a_verifier_says_the_same_of_the_mirror_image(scene):
    picture = scene.picture(25)
    face = scene.truth(25)[0][0]
    boxes = np.array([[face.x, face.y, face.width, face.height], [face.x + 20, face.y, face.width, face.height]])
    windows = windows_on(boxes)
    in_mirror = windows * (-1, 1, 1) + (picture.shape[1], 0, 0)
    verifier = Verifier(SECOND_STAGE)
    scores, found = verifier.look(picture, windows, both_ways=True)
    mirrored_scores, mirrored = verifier.look(np.ascontiguousarray(picture[:, ::-1]), in_mirror, both_ways=True)
    assert scores == pytest.approx(mirrored_scores, abs=0.05)  # windows are cut to whole pixels
    mirrored[:, 0] = picture.shape[1] - mirrored[:, 0] - mirrored[:, 2]
    assert np.abs(found - mirrored).max() < 0.03 * face.width
    one_way, _ = verifier.look(picture, windows)
    assert (np.abs(one_way - scores) > 1e-4).any()
