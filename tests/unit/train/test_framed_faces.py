"""Faces with their surroundings: what is kept of a photograph and of a ready crop."""

import json

import cv2
import numpy as np
import pytest

from configs.errors import InputError
from inference.preprocess import crop_face
from train.data.corrections import Correction, Corrections
from train.synthesis import framed_faces
from train.synthesis.framed_faces import faces_in_photographs, gather, kept, whole_crop
from transport.frame import Box

AS_GIVEN = Corrections("none", {})


def test_faces_of_a_photograph_keep_their_surroundings(tmp_path):
    (tmp_path / "images").mkdir()
    photograph = np.zeros((400, 600, 3), np.uint8)
    photograph[100:180, 200:260] = 255
    cv2.imwrite(str(tmp_path / "images" / "amvd_one.png"), photograph)
    notes = {
        "images": [{"id": 7, "file_name": "amvd_one.png"}],
        "categories": [{"id": 1, "name": "mask"}, {"id": 2, "name": "no_mask"}],
        "annotations": [
            {"image_id": 7, "category_id": 2, "bbox": [200, 100, 60, 80]},
            {"image_id": 7, "category_id": 1, "bbox": [5, 5, 9, 12]},  # too small to learn from
        ],
    }
    (tmp_path / "annotations.json").write_text(json.dumps(notes))
    [found] = faces_in_photographs(tmp_path, AS_GIVEN)
    assert (found.label, found.source) == (1, "amvd")
    assert found.picture.shape == (152, 152, 3)
    assert crop_face(found.picture, found.box, 1.0).mean() == pytest.approx(255 * 60 / 80, rel=0.02)


def test_faces_of_a_photograph_get_the_right_labels_of_their_crops(tmp_path):
    (tmp_path / "images").mkdir()
    for name in ("amvd_a.png", "amvd_b.png"):
        cv2.imwrite(str(tmp_path / "images" / name), np.zeros((200, 300, 3), np.uint8))
    notes = {
        "images": [{"id": 7, "file_name": "amvd_a.png"}, {"id": 8, "file_name": "amvd_b.png"}],
        "categories": [{"id": 1, "name": "mask"}],
        "annotations": [  # the third face of a.png comes last
            {"image_id": image, "category_id": 1, "bbox": [20, 20, side, side]}
            for image, side in ((7, 30), (7, 31), (8, 40), (8, 41), (7, 32))
        ],
    }
    (tmp_path / "annotations.json").write_text(json.dumps(notes))
    rows = [
        Correction("train/mask/amvd_a_2.jpg", "mask", "wrong_mask", "nose out"),
        Correction("train/mask/amvd_b_0.jpg", "mask", "out", "no face"),
    ]
    listed = Corrections("list.csv", {(one.given, one.file.split("/")[-1]): one for one in rows})
    found = {int(face.box.width): face.label for face in faces_in_photographs(tmp_path, listed)}
    assert found == {30: 0, 31: 0, 32: 2, 41: 0}


def test_large_faces_are_shrunk_and_their_boxes_with_them():
    face = kept(np.zeros((2000, 2000, 3), np.uint8), Box(500, 500, 800, 800), 0, "jol")
    assert face.box.width == pytest.approx(framed_faces.KEPT_PX / framed_faces.CROP_MARGIN)
    assert face.picture.shape[0] == pytest.approx(face.box.width * framed_faces.KEPT_MARGIN, abs=1)


def test_the_box_of_a_ready_crop_is_what_the_crop_was_cut_around(tmp_path):
    cv2.imwrite(str(tmp_path / "chd_1.png"), np.zeros((120, 120, 3), np.uint8))
    face = whole_crop(tmp_path / "chd_1.png", 1, "chd")
    assert crop_face(face.picture, face.box, framed_faces.CROP_MARGIN).shape == (120, 120, 3)


def test_a_picture_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "chd_2.jpg").write_text("hello")
    with pytest.raises(InputError, match=r"chd_2\.jpg: cannot be used: not a whole image"):
        whole_crop(tmp_path / "chd_2.jpg", 1, "chd")


def test_a_part_of_the_data_that_is_missing_is_named(tmp_path):
    with pytest.raises(InputError, match="images: not there; the shipped model learns from"):
        gather(tmp_path, None, AS_GIVEN)
