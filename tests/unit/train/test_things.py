"""Things that are no faces: cut out whole, and put where they are said to be."""

import cv2
import numpy as np
import pytest

from configs.errors import InputError
from train.detector.views import View, with_thing
from train.synthesis.things import Thing, cut_out, put_thing, read_things

CUP = Thing(np.full((40, 30, 3), 200, np.uint8), np.full((40, 30), 255, np.uint8))


def test_dark_parts_within_the_outline_belong_to_the_thing():
    picture = np.zeros((100, 100, 3), np.uint8)
    picture[20:80, 20:80] = 180
    picture[40:60, 40:60] = 0  # the screen of a phone
    opaque = cut_out(picture).opaque
    assert opaque[50, 50] == 255
    assert opaque[5, 5] == 0


def test_it_is_where_it_is_said_to_be():
    ground = np.full((120, 160, 3), 20, np.uint8)
    image, opaque = put_thing(ground, CUP, (60, 50), 40, np.random.default_rng(0))
    assert ground.max() == 20
    assert opaque[50, 60] == 255
    assert image[50, 60].min() > 100
    assert (image[opaque == 0] == 20).all()


@pytest.mark.parametrize(("box", "hidden"), [((60, 50, 100, 90), True), ((0, 0, 159, 119), False)])
def test_a_face_of_which_half_is_hidden_may_be_missed(box, hidden, monkeypatch):
    monkeypatch.setattr("train.detector.views.SMALLEST_THING", 0.899)
    view = View(np.full((120, 160, 3), 20, np.uint8), np.array([box], np.float32), np.zeros((0, 4), np.float32))
    seen = []
    for seed in range(60):
        drawn = with_thing(view, CUP, np.random.default_rng(seed))
        assert len(drawn.boxes) + len(drawn.unsure) == 1
        covered = (drawn.image[box[1] : box[3], box[0] : box[2]] > 60).mean()
        assert (len(drawn.unsure) == 1) == (covered > 0.5) or abs(covered - 0.5) < 0.1
        seen.append(len(drawn.unsure) == 1)
    assert any(seen) == hidden


def test_a_folder_of_things_is_read_and_an_empty_one_refused(tmp_path):
    with pytest.raises(InputError, match="no pictures of things"):
        read_things(tmp_path)
    cv2.imwrite(str(tmp_path / "cup.png"), cv2.copyMakeBorder(CUP.image, 9, 9, 9, 9, cv2.BORDER_CONSTANT))
    assert len(read_things(tmp_path)) == 1
