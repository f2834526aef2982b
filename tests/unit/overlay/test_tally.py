"""Who a run has seen, counted once."""

import numpy as np

from overlay.tally import Tally
from share.persons import persons_in
from transport.frame import UNSURE, Box, Face, Frame, Prediction

PICTURE = np.zeros((8, 8, 3), np.uint8)


def frame(at_s, labels, stream="door", **known):
    """Labels by track; None: the face is not followed."""
    faces = tuple(Face(Box(0, 0, 4, 4), Prediction(label, 0.9, {}), track) for track, label in labels.items())
    return Frame(stream, round(25 * at_s), round(at_s * 1e9), PICTURE, faces, live=True, **known)


def counted(*frames):
    counts = {"searched": 3}
    tally = Tally(counts)
    for one in frames:
        tally.see(one)
    return persons_in([counts])


def test_a_followed_face_counts_once_with_what_was_decided_last():
    steps = [frame(s / 5, {1: "mask" if s < 10 else "no_mask", 2: "mask"}) for s in range(20)]
    assert counted(*steps) == {"mask": 1, "no_mask": 1}


def test_what_flickers_or_is_unsure_is_not_counted():
    flickering = [frame(s / 5, {1: ("mask", "no_mask")[s % 2], 2: UNSURE}) for s in range(20)]
    assert counted(*flickering) == {}


def test_faces_of_pictures_count_each_and_damaged_pictures_do_not():
    faces = {None: "mask"}
    assert counted(frame(0, faces, name="a.jpg"), frame(1, faces, name="b.jpg")) == {"mask": 2}
    assert counted(frame(0, faces, name="a.jpg", corrupt=True)) == {}


def test_a_stream_of_the_same_name_that_comes_later_has_other_people():
    counts = {}
    tally = Tally(counts)
    for begin_s in (0, 10):
        for step in range(5):
            tally.see(frame(begin_s + step / 5, {1: "mask"}))
        tally.forget("door")
    assert persons_in([counts]) == {"mask": 2}


def life(file, heard, *frames):
    """One life of an overlay; `heard` is what the supervisor has heard of the lives before. Gives its own counts."""
    counts = {}
    tally = Tally(counts, heard, file)
    for one in frames:
        tally.see(one)
    return counts


def test_who_is_seen_before_and_after_the_overlays_death_counts_once(tmp_path):
    """Whether or not its last words were heard; whose label changes after it is counted as that one."""
    first = [frame(s / 5, {1: "mask", 2: "mask"}) for s in range(8)]
    later = [frame(10 + s / 5, {1: "mask", 2: "no_mask", 3: "mask"}) for s in range(8)]
    for is_heard in (True, False):
        file = tmp_path / f"{is_heard}.json"
        counts = life(file, {}, *first)
        heard = counts if is_heard else {}
        assert persons_in([heard, life(file, heard, *later)]) == {"mask": 2, "no_mask": 1}


def test_who_comes_after_the_overlays_death_counts_though_nobody_is_left(tmp_path):
    """Numbers are not forgotten by the time of a film that was away, but 5 s after."""
    file = tmp_path / "persons.json"
    heard = life(file, {}, *(frame(s / 5, {1: "mask"}) for s in range(8)))
    after = life(file, heard, *(frame(100 + s / 5, {2: "mask"}) for s in range(40)))
    assert persons_in([heard, after]) == {"mask": 2}
    assert b'"2"' in file.read_bytes()
