"""Which pictures may score a model: a picture that was trained on never does so by accident."""

import cv2
import numpy as np
import pytest

from configs.errors import InputError
from train.data.held_out import ALL, find_pictures
from train.data.split import ManifestRow, content_hash, write_manifest


@pytest.fixture
def faces(tmp_path):
    """Class folders a and b with four pictures each, no two alike."""
    return make(tmp_path / "faces", {f"{name}/{n}.png": 50 * n + 10 * (name == "b") for name in "ab" for n in range(4)})


@pytest.fixture
def model(faces, tmp_path):
    """A model beside which training left its manifest: pictures 0 and 1 for training, 2 val, 3 test."""
    splits = ("train", "train", "val", "test")
    rows = [
        ManifestRow(f"{name}/{n}.png", split, name, content_hash(faces / name / f"{n}.png"))
        for name in "ab"
        for n, split in enumerate(splits)
    ]
    write_manifest(tmp_path / "m.split.csv", rows)
    return tmp_path / "m.pth"


def make(folder, shades):
    for name, shade in shades.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / name), np.full((8, 8, 3), shade, np.uint8))
    return folder


def names(pictures):
    return [f"{picture.label}/{picture.path.name}" for picture in pictures]


def test_the_manifest_of_the_training_decides_and_test_is_what_is_meant(faces, model, caplog):
    split, pictures, _ = find_pictures(faces, None, model)
    assert (split, names(pictures)) == ("test", ["a/3.png", "b/3.png"])
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
    assert names(find_pictures(faces, "val", model).pictures) == ["a/2.png", "b/2.png"]


def test_an_exported_model_beside_its_checkpoint_has_the_same_manifest(faces, model):
    assert names(find_pictures(faces, None, model.with_suffix(".onnx")).pictures) == ["a/3.png", "b/3.png"]


def test_pictures_are_known_by_content_wherever_they_lie(faces, model, tmp_path):
    moved = tmp_path / "elsewhere" / "copy"
    moved.parent.mkdir()
    faces.rename(moved)
    for number, path in enumerate(sorted(moved.rglob("*.png"))):
        path.rename(path.with_name(f"renamed{9 - number}.png"))
    pictures = find_pictures(moved, None, model).pictures
    assert [cv2.imread(str(picture.path))[0, 0, 0] for picture in pictures] == [150, 160]


def test_training_pictures_are_scored_only_on_purpose_and_that_is_said(faces, model, caplog):
    for split, number in (("train", 4), (ALL, 8)):
        caplog.clear()
        assert len(find_pictures(faces, split, model).pictures) == number
        assert "trained on are scored too" in caplog.text


def test_a_folder_of_nothing_but_training_pictures_is_refused(faces, model):
    for path in (*faces.rglob("2.png"), *faces.rglob("3.png")):
        path.unlink()
    with pytest.raises(InputError, match=r"no picture \(of 4\) .* 4 were trained on; --split all"):
        find_pictures(faces, None, model)


def test_a_copy_of_a_training_picture_in_the_test_split_is_not_held_out(faces, model):
    rows = (model.with_suffix(".split.csv")).read_text()
    digest = content_hash(faces / "a" / "3.png")
    model.with_suffix(".split.csv").write_text(rows + f"a/copy.png,train,a,{digest}\n")
    assert names(find_pictures(faces, None, model).pictures) == ["b/3.png"]


def test_other_data_are_scored_whole_but_for_training_pictures_among_them(faces, model, tmp_path, caplog):
    other = make(tmp_path / "other", {"a/x.png": 201, "a/y.png": 203, "b/x.png": 207})
    assert names(find_pictures(other, None, model).pictures) == ["a/x.png", "a/y.png", "b/x.png"]
    (other / "b" / "known.png").write_bytes((faces / "b" / "0.png").read_bytes())
    assert names(find_pictures(other, None, model).pictures) == ["a/x.png", "a/y.png", "b/x.png"]
    assert "other pictures than those of the training" in caplog.text


def test_without_a_manifest_an_undivided_folder_is_scored_whole_and_no_split_of_it_is(faces, tmp_path):
    assert find_pictures(faces, None, tmp_path / "other.pth").split == ALL
    with pytest.raises(InputError, match=r"--split test: .*other.split.csv is not there"):
        find_pictures(faces, "test", tmp_path / "other.pth")
    with pytest.raises(InputError, match="--split tset: known are"):
        find_pictures(faces, "tset", tmp_path / "other.pth")


def test_a_divided_folder_has_its_own_splits_and_source_and_size_from_its_manifest(tmp_path):
    shades = {f"{split}/{name}/{split}.png": 9 for split in ("train", "val", "test") for name in "ab"}
    folder = make(tmp_path / "divided", shades)
    (folder / "manifest.csv").write_text(
        "file,source,face_x0,face_y0,face_x1,face_y1\ntest/a/test.png,web,1,2,61,32\ntest/b/test.png,cam,,,,\n"
    )
    split, pictures, _ = find_pictures(folder, None, tmp_path / "m.onnx")
    assert (split, names(pictures)) == ("test", ["a/test.png", "b/test.png"])
    assert [(picture.source, picture.face_px) for picture in pictures] == [("web", 60.0), ("cam", None)]
    assert len(find_pictures(folder, ALL, tmp_path / "m.onnx").pictures) == 6


def test_what_is_no_sound_picture_is_left_out_and_told(faces, model, caplog):
    (faces / "a" / "broken.png").write_bytes(b"no picture")
    (faces / "b" / "notes.txt").write_text("x")
    held_out = find_pictures(faces, ALL, model)
    assert len(held_out.pictures) == 8
    assert held_out.left_out == {
        "not a whole image": ["a/broken.png"],
        "no picture by its suffix": ["b/notes.txt"],
    }
    assert f"{faces}/a/broken.png: left out: not a whole image" in caplog.text


def test_a_folder_without_a_sound_picture_is_refused(faces, tmp_path):
    for path in faces.rglob("*.png"):
        path.write_bytes(b"no picture")
    with pytest.raises(InputError, match=r"none of its pictures \(8\) can be read"):
        find_pictures(faces, None, tmp_path / "other.pth")
