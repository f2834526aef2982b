"""Faces are hidden where they are, where they were, and where they will be found a moment later."""

from dataclasses import replace

import numpy as np
import pytest

from overlay.privacy import Veil, hide
from transport.frame import Box, Face, Frame


def frame(seq, *faces, step_ms=40.0, live=False) -> Frame:
    image = np.random.default_rng(seq).integers(0, 256, (120, 160, 3), np.uint8)
    image.setflags(write=False)
    return Frame("door", seq, 0, image, tuple(faces), media_ms=seq * step_ms, live=live)


def hidden(one: Frame, x: int, y: int) -> bool:
    """Whether a spot of noise has become plain."""
    spot = one.image[y : y + 6, x : x + 6].astype(float)
    return float(np.abs(np.diff(spot, axis=1)).mean()) < 20


FACE = Face(Box(40, 40, 40, 40), track=1)


@pytest.mark.parametrize("kind", ["blur", "pixelate"])
def test_a_face_is_hidden_and_the_rest_is_not(kind):
    picture = np.random.default_rng(0).integers(0, 256, (120, 160, 3), np.uint8)
    before = picture.copy()
    hide(picture, [FACE.box], kind)
    assert (picture[:25] == before[:25]).all()
    assert hidden(Frame("door", 0, 0, picture), 57, 57)


def test_a_face_at_the_edge_and_one_outside_do_no_harm():
    picture = np.zeros((20, 20, 3), np.uint8)
    hide(picture, [Box(-30, -30, 35, 35), Box(100, 100, 10, 10), Box(5, 5, 0.2, 0.2)], "pixelate")


def test_a_new_face_is_hidden_in_the_frames_before_it_was_found():
    veil = Veil("pixelate", hold_ms=200)
    out = [ready for seq in range(4) for ready in veil.add(frame(seq))]
    assert out == []
    out = [ready for seq in range(4, 10) for ready in veil.add(frame(seq, FACE))] + veil.rest()
    assert [one.seq for one in out] == list(range(10))
    assert all(hidden(one, 57, 57) for one in out)
    assert not any(hidden(one, 120, 100) for one in out)


def test_what_may_be_a_face_is_hidden_as_one():
    veil = Veil("pixelate", hold_ms=200)
    film = [frame(0), *(replace(frame(seq), doubtful=(FACE,)) for seq in range(1, 5))]
    out = [*(ready for one in film for ready in veil.add(one)), *veil.rest()]
    assert len(out) == 5
    assert all(hidden(one, 57, 57) for one in out)


def test_a_face_that_is_lost_stays_hidden_for_a_second():
    veil = Veil("blur", hold_ms=0)
    out = veil.add(frame(0, FACE))
    out += [ready for seq in range(1, 40) for ready in veil.add(frame(seq))]
    assert [hidden(one, 57, 57) for one in out] == [one.seq <= 25 for one in out]


def test_the_frame_that_was_given_is_left_alone_and_a_stream_that_falls_silent_comes_out():
    veil = Veil("pixelate", hold_ms=1)
    given = frame(0, FACE)
    before = given.image.copy()
    [first] = [*veil.add(given), *(ready for _ in range(10_000) for ready in veil.overdue())]
    assert (given.image == before).all()
    assert first.slot is None
    assert veil.rest() == []


def test_a_film_that_starts_again_loses_no_frame():
    veil = Veil("pixelate", hold_ms=200)
    seqs = [ready.seq for number in (0, 1, 2, 3) for ready in veil.add(frame(number))]
    seqs += [ready.seq for number in (0, 1, 2, 3) for ready in veil.add(frame(number))]
    seqs += [ready.seq for ready in veil.rest()]
    assert seqs == [0, 1, 2, 3, 0, 1, 2, 3]
