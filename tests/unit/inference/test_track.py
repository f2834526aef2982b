"""Faces are followed while they can be, and dropped when they cannot."""

import cv2
import numpy as np
import pytest

from inference import optical_flow as module
from inference.optical_flow import flow
from inference.track import Track, Tracker
from transport.frame import Box, iou


@pytest.fixture(scope="module")
def texture():
    rng = np.random.default_rng(0)
    return cv2.GaussianBlur(rng.integers(0, 256, (60, 50), np.uint8), (0, 0), 2)


def picture(*faces, background=90):
    """Grey 320 x 240 with faces (texture, x, y) or (texture, x, y, size) in it."""
    grey = np.full((240, 320), background, np.uint8)
    grey = np.clip(grey + np.random.default_rng(5).normal(0, 4, grey.shape), 0, 255).astype(np.uint8)
    for face, x, y, *size in faces:
        drawn = cv2.resize(face, None, fx=size[0], fy=size[0]) if size else face
        grey[y : y + drawn.shape[0], x : x + drawn.shape[1]] = drawn
    return grey


def tracker_on(grey, *boxes):
    tracker = Tracker()
    tracker.follow(grey)
    tracker.found(boxes)
    return tracker


def test_a_moving_face_keeps_its_number_and_its_box(texture):
    tracker = tracker_on(picture((texture, 40, 40)), Box(40, 40, 50, 60))
    [before] = [track.id for track in tracker.tracks]
    for step in range(1, 20):
        tracker.follow(picture((texture, 40 + 5 * step, 40 + 3 * step)))
    [track] = tracker.tracks
    assert track.id == before
    assert iou(track.box, Box(40 + 5 * 19, 40 + 3 * 19, 50, 60)) > 0.9


@pytest.mark.parametrize("places", [[(100, 61)], [(2, 3), (201, 150)], [(266, 176)]], ids=["alone", "two", "corner"])
def test_the_part_around_the_faces_is_enough_to_follow_them(places, texture, monkeypatch):
    before = picture(*((texture, x, y) for x, y in places))
    now = picture(*((texture, x + 4, y + 3) for x, y in places))
    boxes = [Box(x, y, 50, 60) for x, y in places]
    in_part = flow(before, now, boxes)
    monkeypatch.setattr(module, "surroundings", lambda points, grey: (slice(0, 240), slice(0, 320)))
    assert np.allclose(
        [(box.x, box.y, box.width) for box in in_part], [(x + 4, y + 3, 50) for x, y in places], atol=0.3
    )
    for one, other in zip(in_part, flow(before, now, boxes), strict=True):
        assert iou(one, other) > 0.998


def test_a_face_that_comes_nearer_has_a_larger_box(texture):
    tracker = tracker_on(picture((texture, 100, 60)), Box(100, 60, 50, 60))
    for step in range(1, 11):
        tracker.follow(picture((texture, 100, 60, 1 + 0.04 * step)))
    assert iou(tracker.tracks[0].box, Box(100, 60, 70, 84)) > 0.8


def test_a_face_that_is_gone_leaves_no_box_behind(texture):
    tracker = tracker_on(picture((texture, 100, 60)), Box(100, 60, 50, 60))
    tracker.follow(picture())
    assert tracker.tracks == []


def test_a_face_that_something_else_covers_is_dropped(texture):
    tracker = tracker_on(picture((texture, 100, 60)), Box(100, 60, 50, 60))
    tracker.follow(picture((texture[::-1, ::-1].copy(), 100, 60)))
    assert tracker.tracks == []


def test_a_face_on_which_a_mask_is_put_keeps_its_number(monkeypatch):
    """Where its points cannot be followed, it is who it was while most of it looks as before."""
    rng = np.random.default_rng(1)
    bare = np.vstack(
        [cv2.GaussianBlur(rng.integers(0, 256, (44, 50), np.uint8), (0, 0), 2), np.full((16, 50), 128, np.uint8)]
    )
    masked = bare.copy()
    masked[44:] = 138
    monkeypatch.setattr("inference.track.flow", lambda before, now, boxes: [None for _ in boxes])
    tracker = tracker_on(picture((bare, 100, 60)), Box(100, 60, 50, 60))
    tracker.follow(picture((masked, 100, 60)))
    assert [track.id for track in tracker.tracks] == [0]
    tracker.follow(picture((masked, 100, 90)))  # it was somewhere else, and would stay behind
    assert tracker.tracks == []


def test_a_face_that_leaves_the_picture_is_dropped(texture):
    tracker = tracker_on(picture((texture, 20, 60)), Box(20, 60, 50, 60))
    for left in range(0, 50, 4):
        grey = picture()
        visible = texture[:, left:]
        grey[60:120, : visible.shape[1]] = visible
        tracker.follow(grey)
    assert tracker.tracks == []


def test_two_faces_that_move_apart_stay_who_they_are(texture):
    other = 255 - texture
    tracker = tracker_on(picture((texture, 60, 60), (other, 180, 60)), Box(60, 60, 50, 60), Box(180, 60, 50, 60))
    for step in range(1, 12):
        tracker.follow(picture((texture, 60 - 4 * step, 60), (other, 180 + 5 * step, 60)))
    boxes = {track.id: track.box.x for track in tracker.tracks}
    assert boxes == pytest.approx({0: 60 - 44, 1: 180 + 55}, abs=3)


def test_a_search_corrects_known_faces_and_brings_new_ones(texture):
    grey = picture((texture, 60, 60), (texture, 200, 60))
    tracker = tracker_on(grey, Box(55, 55, 50, 60))
    tracker.found([Box(60, 60, 50, 60), Box(200, 60, 50, 60)])
    assert [(track.id, track.box.x, track.hits) for track in tracker.tracks] == [(0, 57.5, 2), (1, 200, 1)]
    tracker.found([Box(60, 60, 50, 60), Box(201, 60, 50, 60)])
    assert [round(track.box.x, 2) for track in tracker.tracks] == [58.33, 200.5]  # they are believed more and more


def test_an_extra_search_brings_new_faces_and_no_belief(texture):
    grey = picture((texture, 60, 60), (texture, 200, 60))
    tracker = tracker_on(grey, Box(60, 60, 50, 60))
    tracker.found([Box(60, 60, 50, 60), Box(200, 60, 50, 60)], extra=True)
    tracker.found([Box(200, 60, 50, 60)], extra=True)
    assert [(track.id, track.hits, track.misses) for track in tracker.tracks] == [(0, 1, 0), (1, 1, 0)]


def test_two_tracks_that_come_to_lie_on_one_face_become_one(texture):
    tracker = tracker_on(picture((texture, 60, 60)), Box(60, 60, 50, 60), Box(100, 60, 50, 60))
    tracker.found([Box(60, 60, 50, 60)])
    assert len(tracker.tracks) == 1
    tracker.tracks.append(Track(7, Box(66, 62, 50, 60), tracker.tracks[0].patch))
    tracker.found([Box(60, 60, 50, 60)])
    assert [track.id for track in tracker.tracks] == [0]


def test_found_once_and_then_missed_a_face_goes_found_often_it_stays(texture):
    tracker = tracker_on(picture((texture, 60, 60)), Box(60, 60, 50, 60))
    tracker.found([])
    assert tracker.tracks == []
    tracker.found([Box(60, 60, 50, 60)])
    for _ in range(3):
        tracker.found([Box(60, 60, 50, 60)])
    for _ in range(6):
        tracker.found([])
    assert [track.hits for track in tracker.tracks] == [4]
    tracker.found([])
    assert tracker.tracks == []


def test_what_was_found_in_an_older_picture_is_carried_to_the_last(texture):
    older, newer = picture((texture, 60, 60)), picture((texture, 72, 66))
    tracker = Tracker()
    tracker.follow(newer)
    [box] = tracker.carried(older, [Box(60, 60, 50, 60)])
    assert iou(box, Box(72, 66, 50, 60)) > 0.9
    assert tracker.carried(picture((texture, 200, 20)), [Box(200, 20, 50, 60)]) == []  # it is not there any more


def test_another_size_of_picture_starts_anew(texture):
    tracker = tracker_on(picture((texture, 60, 60)), Box(60, 60, 50, 60))
    tracker.follow(np.zeros((120, 160), np.uint8))
    assert tracker.tracks == []
