"""Scoring against the truth: faces that are missed, boxes on nothing, labels that are wrong or late."""

import pytest

from benchmark.clip import Clip, linked
from benchmark.score import SaidFace, SaidFrame, read_lines, score
from transport.frame import Box

LEFT, RIGHT, NOWHERE = Box(50, 50, 40, 50), Box(200, 50, 40, 50), Box(50, 180, 40, 50)


def clip(*pictures, fps=10.0):
    """A film of 320 x 240; each picture is a list of (box, label)."""
    return Clip("film.mp4", (320, 240), fps, len(pictures), linked(list(pictures)))


def frame(seq, *faces):
    return SaidFrame("s", seq, 0.0, [SaidFace(*face) for face in faces])


def test_who_is_seen_as_the_truth_says_scores_all():
    film = clip(*[[(LEFT, "mask"), (RIGHT, "no_mask")]] * 3)
    said = [frame(seq, (LEFT, "mask", 0), (RIGHT, "no_mask", 1)) for seq in range(3)]
    scores = score(said, film)
    assert (scores.faces, scores.recall, scores.iou, scores.label_accuracy) == (6, 1, pytest.approx(1), 1)
    assert (scores.false_boxes_per_frame, scores.wrong_person) == (0, 0)
    assert scores.box_delay_ms == (0, 0)
    assert scores.changed_label_ms is None


def test_missed_faces_and_boxes_on_the_background_count():
    film = clip(*[[(LEFT, "mask")]] * 4)
    said = [frame(0, (LEFT, "mask", 0)), frame(1), frame(2, (NOWHERE, "mask", 1)), frame(3, (LEFT, None, 0))]
    scores = score(said, film)
    assert scores.recall == 0.5
    assert scores.false_boxes_per_frame == 0.25
    assert scores.label_accuracy == 0.5  # without a label yet is not right


def test_persons_found_once_are_counted_of_those_who_stay_and_are_near():
    small = Box(280, 50, 20, 25)
    film = clip(*[[(LEFT, "mask"), (RIGHT, "mask"), (small, "mask")]] * 10, *[[(NOWHERE, "mask")]] * 9)
    scores = score([frame(seq, *([(LEFT, "mask", 0)] if seq == 4 else [])) for seq in range(19)], film)
    assert (scores.persons, scores.persons_found) == (2, 1)


def test_delays_are_counted_from_the_picture_in_which_it_happened():
    film = clip([], *[[(LEFT, "mask")]] * 4, *[[(LEFT, "no_mask")]] * 5)
    said = [
        frame(0),
        frame(1),
        frame(2, (LEFT, None, 0)),
        frame(3, (LEFT, "mask", 0)),
        *[frame(seq, (LEFT, "mask", 0)) for seq in (4, 5, 6)],
        *[frame(seq, (LEFT, "no_mask", 0)) for seq in (7, 8, 9)],
    ]
    scores = score(said, film)
    assert scores.box_delay_ms == (100, 100)
    assert scores.first_label_ms == (200, 200)
    assert scores.changed_label_ms == (200, 200)


def test_a_track_that_goes_over_to_another_person_is_found_out():
    film = clip(*[[(LEFT, "mask"), (RIGHT, "no_mask")]] * 2)
    said = [frame(0, (LEFT, "mask", 5)), frame(1, (RIGHT, "mask", 5))]
    assert score(said, film).wrong_person == 1


def test_faces_at_the_edge_are_neither_missed_nor_false():
    edge = Box(-25, 50, 40, 50)
    film = clip(*[[(edge, "mask"), (LEFT, "mask")]] * 2)
    scores = score([frame(0, (LEFT, "mask", 0)), frame(1, (LEFT, "mask", 0), (edge, "mask", 1))], film)
    assert (scores.faces, scores.recall, scores.false_boxes_per_frame) == (2, 1, 0)


def test_a_film_that_is_played_again_goes_on():
    film = clip(*[[(LEFT, "mask")]] * 2)
    scores = score([frame(seq, (LEFT, "mask", 0)) for seq in range(7)], film)
    assert (scores.faces, scores.recall) == (7, 1)


def test_another_person_in_the_same_place_at_the_films_beginning_is_no_mistake():
    film = clip([(LEFT, "mask")], [], [(LEFT, "mask")])
    said = [frame(0, (LEFT, "mask", 0)), frame(1), frame(2, (LEFT, "mask", 1)), frame(3, (LEFT, "mask", 1))]
    assert score(said, film).wrong_person == 0


def test_without_a_truth_there_is_no_score():
    assert score([frame(0)], Clip("film.mp4", (320, 240), 10.0, 1, None)) is None


def test_a_line_that_is_being_written_is_left_for_later():
    face = b'{"box":[1,2,3,4],"label":null,"track":0}'
    line = b'{"stream":"s","seq":1,"captured":"","age_ms":2.5,"width":9,"faces":[' + face + b"]}"
    [one] = read_lines(line + b"\n" + line[:40])
    assert one.faces[0].box == Box(1, 2, 3, 4)
