"""Figures of a detector, on sightings whose answer is plain."""

from dataclasses import replace

import pytest

from train.score.detector_scores import average_precision, scores_of
from train.score.mask_shares import mask_shares
from train.score.sightings import Sighting, partners_of
from transport.frame import Box

CLASSES = ["mask", "no_mask", "wrong_mask"]
NEAR, FAR, TINY = Box(0, 0, 100, 120), Box(300, 0, 50, 60), Box(500, 0, 20, 24)
WALL = Box(700, 300, 90, 90)


def sighting(faces, found, said=None, scores=None, said_annotated=None):
    """Faces are (box, label); found are boxes."""
    boxes, labels = tuple(box for box, _ in faces), tuple(label for _, label in faces)
    said = tuple(said or ("mask",) * len(found))
    scores = tuple(scores or (0.9,) * len(found))
    partners = partners_of(boxes, list(found))
    return Sighting("a.jpg", boxes, labels, tuple(found), scores, partners, said, said_annotated or labels, 1.0)


@pytest.fixture
def scene():
    """A masked face that is found and called so, a bare one that is missed, a small one that is found, and a wall."""
    return sighting([(NEAR, "mask"), (FAR, "no_mask"), (TINY, "mask")], [NEAR, TINY, WALL], ["mask", "mask", "no_mask"])


def test_recall_is_of_faces_that_count_and_by_size_of_all(scene):
    scores = scores_of([scene], CLASSES)
    assert scores["faces"] == {"mask": 1, "no_mask": 1, "wrong_mask": 0}
    assert scores["recall"] == {"mask": 1.0, "no_mask": 0.0, "wrong_mask": None}
    assert scores["recall_by_size"] == {"24-40": None, "40-80": 0.0, "80+": 1.0}


def test_a_box_on_a_small_face_is_no_false_one(scene):
    scores = scores_of([scene], CLASSES)
    assert scores["false_per_picture"] == scores["false_per_picture_40"] == 1
    assert scores["precision_by_size"] == {"24-40": None, "40-80": None, "80+": 0.5}
    assert scores["precision"] == {"mask": 1.0, "no_mask": 0.0, "wrong_mask": None}


def test_labels_are_compared_on_the_same_faces():
    one = sighting([(NEAR, "mask"), (FAR, "mask")], [NEAR], ["no_mask"], said_annotated=("mask", "no_mask"))
    scores = scores_of([one], CLASSES)
    assert scores["label_accuracy"] == 0.0
    assert scores["label_accuracy_annotated"] == 1.0
    assert scores["label_accuracy_all"] == 0.5


def test_the_share_of_masks_suffers_from_faces_not_seen_and_from_false_boxes(scene):
    shares = mask_shares([scene])
    assert (shares["true_mask_share"], shares["seen_mask_share"], shares["reported_mask_share"]) == (0.5, 1.0, 0.5)
    assert shares["mask_share_error"] == 0.0


def test_intervals_hold_the_share_and_are_the_same_each_time():
    masked, bare = sighting([(NEAR, "mask")], [NEAR]), sighting([(NEAR, "no_mask")], [NEAR])
    shares = mask_shares([masked] * 12 + [bare] * 8)
    low, high = shares["true_mask_share_ci95"]
    assert 0.3 < low < shares["true_mask_share"] == 0.6 < high < 0.9
    assert shares == mask_shares([masked] * 12 + [bare] * 8)
    assert shares["mask_share_error"] == pytest.approx(0.4)


def test_where_nothing_is_found_nothing_is_said():
    scores = scores_of([sighting([(NEAR, "mask")], [])], CLASSES)
    assert scores["recall"]["mask"] == 0
    assert scores["label_accuracy"] is None
    assert scores["reported_mask_share"] is scores["mask_share_error"] is scores["reported_mask_share_ci95"] is None
    assert average_precision([sighting([(NEAR, "mask")], [])]) is None


def test_average_precision_falls_with_false_boxes_that_are_surer():
    faces = [(NEAR, "mask"), (FAR, "mask")]
    good = sighting(faces, [NEAR, FAR, WALL], scores=(0.9, 0.8, 0.1))
    bad = replace(good, scores=(0.9, 0.2, 0.8))
    assert average_precision([good]) == 1
    assert average_precision([bad]) == pytest.approx(0.5 + 0.5 * 2 / 3)
    assert average_precision([sighting(faces, [NEAR, TINY])]) == 0.5


def test_two_boxes_on_one_face_are_one_and_a_false_one():
    one = sighting([(NEAR, "mask")], [Box(0, 0, 100, 110), NEAR])
    assert one.partners == (1,)
    assert one.false == [0]
