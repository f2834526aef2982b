"""Haar with its verifier finds the faces of the demo in every state, says no to its background, boxes them alike."""

import cv2
import numpy as np
import pytest

from capture.demo import DemoScene
from configs.errors import InputError
from configs.schema import DetectConfig
from inference.backends import SHIPPED_MODEL
from inference.detectors import open_detector
from inference.detectors.detector import shrink
from inference.detectors.haar import load_cascade
from inference.detectors.maskface import MaskfaceDetector
from inference.detectors.verified_haar import PART_PX, STEP, short_cascade, squares_on
from inference.detectors.verified_maskface import LARGE_ODDS, LARGE_PX
from inference.detectors.verifier import (
    BOX_HEIGHT,
    BOX_WIDTH,
    LOWER,
    VERIFIER,
    WINDOW,
    Verifier,
    cut,
    moved,
    moves_to,
    windows_on,
)
from transport.frame import Box, iou


@pytest.fixture(scope="module")
def scene() -> DemoScene:
    return DemoScene()


def test_faces_of_the_demo_are_found_in_every_state(scene):
    detector = open_detector(DetectConfig())
    assert detector.name == "haar frontalface_alt2 (7 of 20 stages), verified"
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
    counts = [len(cascade.detectMultiScale(grey, 1.25, 0)) for cascade in (whole, short_cascade(20), short_cascade(7))]
    assert 0 < counts[0] == counts[1] < counts[2] / 2


@pytest.mark.parametrize("side", [60, 90, 140])
def test_size_by_size_the_cascade_hits_what_it_hits_at_all_sizes_at_once(scene, side):
    """In parts of all kinds, most of them hit; the range is that of the sizes, and half a step to each side."""
    picture, detector = scene.picture(340), open_detector(DetectConfig())
    cascade, hits = short_cascade(7), []
    for y in range(0, 480 - side, 60):
        for x in range(0, 640 - side, 60):
            part = cv2.resize(picture[y : y + side, x : x + side], (PART_PX, PART_PX))
            grey = cv2.cvtColor(part, cv2.COLOR_BGR2GRAY)
            hits.append(len(cascade.detectMultiScale(grey, STEP, 0, minSize=(24, 24), maxSize=(44, 44))) > 0)
            assert detector._hits(part) == hits[-1]
    assert 0 < sum(hits) < len(hits)


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
    windows = rng.uniform(20, 60, (9, 3))
    boxes = rng.uniform(10, 90, (9, 4))
    assert moved(windows, moves_to(windows, boxes)) == pytest.approx(boxes, rel=1e-4)


def test_squares_and_windows_on_a_box_are_those_in_which_it_lies():
    squares = np.array([[10.0, 20, 50, 50], [0, 0, 24, 24]])  # x, y, side, side
    middles = squares[:, :2] + squares[:, 2:] * (0.5, 0.5 + LOWER)
    sizes = squares[:, 2:] * (BOX_WIDTH, BOX_HEIGHT)
    boxes = np.concatenate([middles - sizes / 2, sizes], axis=1)
    found = squares_on(boxes)
    assert found[:, :2] == pytest.approx(squares[:, :2] + squares[:, 2:] / 2)
    assert found[:, 2] == pytest.approx(squares[:, 2])
    assert windows_on(boxes)[:, :2] == pytest.approx(middles)
    assert windows_on(boxes)[:, 2] == pytest.approx(WINDOW * squares[:, 2])


def test_what_the_networks_see_and_the_cascade_does_not_hit_is_no_face(scene):
    detector = open_detector(DetectConfig())
    for part in (np.zeros((60, 60, 3), np.uint8), np.full((60, 60, 3), 200, np.uint8)):
        assert not detector._hits(part)
    picture = shrink(scene.picture(25), 320)
    assert len(detector.sure(picture)) == 1
    detector._cascade = load_cascade("haarcascade_fullbody.xml")
    assert detector.sure(picture) == []


def test_the_second_look_counts(scene):
    picture = shrink(scene.picture(340), 320)
    alone = MaskfaceDetector(DetectConfig(detector="maskface")).scored(picture, 0.05)
    both = dict(open_detector(DetectConfig(detector="maskface")).scored(picture, 0.05))
    changes = [both[box] - score for box, score in alone if box in both]
    assert max(changes) > 0.01
    assert min(changes) < -0.01 or len(both) < len(alone)


def test_the_verifier_is_small():
    assert VERIFIER.stat().st_size < 150_000


def test_another_file_is_no_verifier(tmp_path):
    with pytest.raises(InputError, match=r"nowhere\.onnx: no such file"):
        Verifier(tmp_path / "nowhere.onnx")
    with pytest.raises(InputError, match=r"face_mask\.onnx: is no verifier of faces"):
        Verifier(SHIPPED_MODEL)


def test_each_window_has_its_own_answer_whatever_else_is_asked(scene):
    picture = shrink(scene.picture(25), 320)
    face, _ = scene.truth(25)[0]
    true = Box(face.x / 2, face.y / 2, face.width / 2, face.height / 2)
    windows = windows_on(np.array([[true.x, true.y, true.width, true.height], [5, 5, 40, 48]]))
    verifier = Verifier(VERIFIER)
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
    verifier = Verifier(VERIFIER)
    scores, found = verifier.look(picture, windows, both_ways=True)
    mirrored_scores, mirrored = verifier.look(np.ascontiguousarray(picture[:, ::-1]), in_mirror, both_ways=True)
    assert scores == pytest.approx(mirrored_scores, abs=0.05)  # windows are cut to whole pixels
    mirrored[:, 0] = picture.shape[1] - mirrored[:, 0] - mirrored[:, 2]
    assert np.abs(found - mirrored).max() < 0.03 * face.width
    one_way, _ = verifier.look(picture, windows)
    assert (np.abs(one_way - scores) > 1e-4).any()


def test_of_places_that_are_as_sure_a_large_one_counts_less(monkeypatch):
    detector = open_detector(DetectConfig(detector="maskface"))
    sides = np.array([LARGE_PX - 1, LARGE_PX], float)
    boxes = np.stack([np.zeros(2), np.zeros(2), sides - 5, sides], axis=1)
    monkeypatch.setattr(detector, "places", lambda *_: (boxes, np.array([0.6, 0.6])))
    monkeypatch.setattr(detector._verifier, "look", lambda *_, **__: (np.array([0.5, 0.5]), boxes))
    _, (small, large) = detector.likely(shrink(np.zeros((200, 200, 3), np.uint8), 200), 0.05)
    assert small == pytest.approx(0.6)
    assert large / (1 - large) == pytest.approx(LARGE_ODDS * 1.5)
