"""A false box that two other detectors see, too, is a face that nobody annotated."""

import numpy as np
from msgspec import structs
from test_detector_scores import CLASSES, FAR, NEAR, WALL, sighting

from configs.schema import DetectConfig
from inference.detectors.detector import Detection
from train.data.background_faces import read_background_faces
from train.data.photos import Photo
from train.measure_errors import group_of
from train.score.agreement import agreed, in_words, others
from train.score.detector_scores import scores_of
from train.score.sightings import by_source, sight
from transport.frame import Box

PICTURE = np.zeros((900, 900, 3), np.uint8)


class Sees:
    """A detector that sees the same everywhere."""

    def __init__(self, *boxes, name="maskface"):
        self.boxes, self.config = boxes, DetectConfig(detector=name, width=1280)

    def sure(self, picture):
        return [Detection(box, 0.9) for box in self.boxes]


def scene():
    """A face that is found, and two boxes on nothing that was annotated."""
    return sighting([(NEAR, "mask")], [NEAR, FAR, WALL], ["mask", "no_mask", "wrong_mask"])


def test_only_what_all_who_are_asked_see_is_taken_for_a_face():
    nearly_far = structs.replace(FAR, x=FAR.x + 5)
    both = agreed(scene(), PICTURE, [Sees(NEAR, nearly_far), Sees(FAR, WALL)])
    assert both.agreed == (1,)
    assert both.false == [1, 2]
    scores = scores_of([both], CLASSES)
    assert (scores["false_boxes_40"], scores["unannotated_40"]) == (2, 1)
    assert scores["precision"] == {"mask": 1.0, "no_mask": 0.0, "wrong_mask": 0.0}  # as if nobody had been asked


def test_where_nobody_is_asked_nothing_is_known_and_it_is_said():
    assert agreed(scene(), PICTURE, []).agreed == ()
    assert "No other detector was asked" in in_words([])
    assert "Only one other" in in_words([Sees(name="maskface")])
    assert "Only one other" not in in_words([Sees(name="maskface"), Sees(name="yunet")])


def test_who_is_asked_ships_but_for_yunet():
    assert [one.config.detector for one in others("haar", None)] == ["maskface"]
    assert [one.config.detector for one in others("yunet", None)] == ["haar", "maskface"]


def test_errors_are_counted_by_source_and_faces_that_count():
    faces = [(NEAR, "mask"), (FAR, "no_mask"), (Box(0, 500, 20, 20), "mask")]
    one = agreed(sighting(faces, [NEAR, WALL], ["wrong_mask", "mask"]), PICTURE, [Sees()])
    assert list(by_source([one])) == ["all"]
    group = group_of([one], CLASSES)
    assert group.faces == {"mask": {"wrong_mask": 1}, "no_mask": {"missed": 1}, "wrong_mask": {}}
    assert (group.false, group.unannotated) == ({"mask": 1}, {})


def test_a_face_that_was_found_by_looking_is_neither_found_nor_false():
    [(name, (face, *_)), *_] = read_background_faces().items()
    photo = Photo(name, PICTURE, ((NEAR, "mask"),))
    one = sight(photo, Sees(NEAR, face, WALL), None)
    assert (one.false, one.listed, one.unannotated) == ([1, 2], (1,), [1])
    scores = scores_of([one], CLASSES)
    assert (scores["false_boxes_40"], scores["unannotated_40"], scores["listed_40"]) == (2, 1, 1)
    group = group_of([one], CLASSES)
    assert (sum(group.false.values()), sum(group.unannotated.values())) == (1, 1)
    again = sight(photo._replace(faces=((face, "mask"),)), Sees(face), None)  # annotated since: found, and no more
    assert (again.false, again.listed) == ([], ())


def test_the_list_names_photographs_and_boxes_within_them():
    faces = read_background_faces()
    assert sum(map(len, faces.values())) == 57
    assert all(min(box.x, box.y) >= 0 and min(box.width, box.height) >= 38 for boxes in faces.values() for box in boxes)
