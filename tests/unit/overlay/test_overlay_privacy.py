"""Faces are hidden where they are, and where they were a moment ago."""

import numpy as np
import pytest
from msgspec.structs import replace

from overlay.privacy import PrivacyMask, hide
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


def test_what_may_be_a_face_is_hidden_as_one():
    assert hidden(PrivacyMask("pixelate").hidden(replace(frame(0), candidates=(FACE,))), 57, 57)


def test_a_face_without_a_number_is_hidden_in_its_frame_only():
    privacy = PrivacyMask("pixelate")
    assert hidden(privacy.hidden(frame(0, Face(FACE.box))), 57, 57)
    assert not hidden(privacy.hidden(frame(1)), 57, 57)


def test_a_face_that_is_lost_stays_hidden_for_a_second_in_its_stream():
    privacy = PrivacyMask("blur")
    out = [privacy.hidden(frame(0, FACE)), *(privacy.hidden(frame(seq)) for seq in range(1, 40))]
    assert [hidden(one, 57, 57) for one in out] == [one.seq <= 25 for one in out]
    privacy.hidden(frame(50, FACE))
    assert not hidden(privacy.hidden(replace(frame(50), stream="hall")), 57, 57)


def test_the_frame_that_was_given_is_left_alone():
    given = frame(0, FACE)
    before = given.image.copy()
    out = PrivacyMask("pixelate").hidden(given)
    assert (given.image == before).all()
    assert out.slot is None
    assert not out.image.flags.writeable


def test_a_film_that_starts_again_hides_nothing_where_a_face_was_at_its_end():
    privacy = PrivacyMask("pixelate")
    privacy.hidden(frame(100, FACE))
    assert not hidden(privacy.hidden(frame(0)), 57, 57)
