"""Photographs with boxes: what is read, and what is refused in one line."""

import json

import cv2
import numpy as np
import pytest

from configs.errors import InputError
from train.data.held_back import read_held_back
from train.data.photo_set import read_face_crops, read_labelled_crops, read_photo_set
from transport.frame import Box

COCO = {
    "images": [{"id": 7, "file_name": "a.png"}],
    "categories": [{"id": 3, "name": "mask"}, {"id": 1, "name": "no_mask"}],
    "annotations": [{"id": 1, "image_id": 7, "category_id": 1, "bbox": [4, 5, 10, 12]}],
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "a.png"), np.full((40, 60, 3), 9, np.uint8))
    return tmp_path


def written(folder, coco):
    (folder / "annotations.json").write_text(coco if isinstance(coco, str) else json.dumps(coco))
    return folder


def test_a_box_is_read_as_corners_and_its_class_by_name(folder):
    read = read_photo_set(written(folder, COCO))
    [photo] = read.photos
    assert photo.image.shape == (40, 60, 3)
    assert photo.boxes.tolist() == [[4, 5, 14, 17]]
    assert [read.classes[label] for label in photo.labels] == ["no_mask"]
    assert read.faces == 1


def test_another_picture_is_another_fingerprint(folder):
    before = read_photo_set(written(folder, COCO)).fingerprint
    cv2.imwrite(str(folder / "images" / "a.png"), np.full((40, 60, 3), 8, np.uint8))
    assert read_photo_set(folder).fingerprint != before


def with_box(*bbox):
    return COCO | {"annotations": [{"id": 1, "image_id": 7, "category_id": 1, "bbox": bbox}]}


@pytest.mark.parametrize(
    ("coco", "line"),
    [
        ("{", "annotations.json: not COCO's annotations"),
        (COCO | {"images": []}, "annotations.json: a face of an unknown picture"),
        (COCO | {"annotations": []}, "annotations.json: names no photographs with faces"),
        (with_box(4, 5, 0, 12), "without a size: .*0.0, 12.0"),
        (with_box(4, 5, 6), "annotations.json: not COCO's annotations"),
        (COCO | {"images": [{"id": 7, "file_name": "b.png"}]}, "b.png: cannot be used: no such file"),
    ],
)
def test_what_cannot_be_read_is_named(folder, coco, line):
    with pytest.raises(InputError, match=line) as refused:
        read_photo_set(written(folder, coco))
    assert "\n" not in str(refused.value)


def test_a_file_that_is_no_picture_is_named(folder):
    (folder / "images" / "a.png").write_text("no picture")
    with pytest.raises(InputError, match=r"a\.png: cannot be used: not a whole image"):
        read_photo_set(written(folder, COCO))


def test_a_folder_without_annotations_says_what_is_needed(tmp_path):
    with pytest.raises(InputError, match=r"annotations\.json: No such file or directory; give a folder with images/"):
        read_photo_set(tmp_path / "train")


def test_crops_of_a_face_are_read_with_their_box_and_those_of_other_splits_are_not(folder):
    table = "file,split,face_x0,face_y0,face_x1,face_y1\nimages/a.png,train,4,5,14,17\nimages/none.png,test,1,1,2,2\n"
    (folder / "manifest.csv").write_text(table)
    [crop] = read_face_crops(folder)
    assert (crop.boxes.tolist(), crop.image.shape) == ([[4, 5, 14, 17]], (40, 60, 3))
    (folder / "manifest.csv").write_text("file,face_box\nimages/a.png,4.5 5 14 17\n")
    assert read_face_crops(folder)[0].boxes.tolist() == [[4.5, 5, 14, 17]]


@pytest.mark.parametrize(
    ("table", "line"),
    [
        (None, "manifest.csv: No such file"),
        ("file\na.png\n", "no table with `file` and `face_box`"),
        ("file,face_box\nimages/a.png,1 2 3\n", "no table with `file` and `face_box`"),
        ("file,face_box\nimages/a.png,9 9 3 3\n", "images/a.png: its face has no size"),
    ],
)
def test_crops_without_a_table_of_their_faces_are_refused(folder, table, line):
    if table is not None:
        (folder / "manifest.csv").write_text(table)
    with pytest.raises(InputError, match=line):
        read_face_crops(folder)


def test_labelled_crops_are_photographs_of_one_face_and_other_labels_are_refused(folder):
    (folder / "manifest.csv").write_text("file,label,face_box\nimages/a.png,mask,4 5 14 17\n")
    [crop] = read_labelled_crops(folder, ["mask", "no_mask"])
    assert crop.faces == ((Box(4, 5, 10, 12), "mask"),)
    for table in ("file,label,face_box\nimages/a.png,scarf,4 5 14 17\n", "file,face_box\nimages/a.png,4 5 14 17\n"):
        (folder / "manifest.csv").write_text(table)
        with pytest.raises(InputError, match=r"images/a\.png: its label is none of mask, no_mask"):
            list(read_labelled_crops(folder, ["mask", "no_mask"]))


def test_crops_that_are_scored_or_copies_of_such_are_not_learnt_from(folder):
    (held_back, *_) = sorted(read_held_back()["copy"])
    for name in ("/".join(held_back), "mask/mine.jpg"):
        (folder / name).parent.mkdir(exist_ok=True)
        cv2.imwrite(str(folder / name), np.full((40, 40, 3), 9, np.uint8))
    (folder / "manifest.csv").write_text(f"file,face_box\n{'/'.join(held_back)},1 1 20 20\nmask/mine.jpg,1 1 20 20\n")
    assert [crop.name for crop in read_face_crops(folder)] == ["mask/mine.jpg"]
