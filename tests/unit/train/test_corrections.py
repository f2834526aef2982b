"""Corrected labels: which pictures they are for, what becomes of a data set, and the list that ships."""

import cv2
import numpy as np
import pytest

from configs.errors import InputError
from train.data.corrections import NONE, OUT, corrected, read_corrections
from train.data.dataset import find_dataset

HEAD = "file,given,right,reason\n"


@pytest.fixture
def faces(tmp_path):
    """train/ and val/ with three pictures of each of two classes; names say nothing of the split."""
    for split in ("train", "val"):
        for name in ("mask", "no_mask"):
            for number in range(3):
                path = tmp_path / "faces" / split / name / f"{split[0]}{number}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                cv2.imwrite(str(path), np.full((6, 6, 3), 40 * number, np.uint8))
    return tmp_path / "faces"


@pytest.fixture
def listed(tmp_path):
    """`listed(*lines)`: the corrections of a file with these lines."""

    def read(*lines, head=HEAD):
        (tmp_path / "list.csv").write_text(head + "".join(f"{line}\n" for line in lines))
        return read_corrections(str(tmp_path / "list.csv"))

    return read


def labels_of(data, split):
    found = data.splits[split]
    return {
        f"{path.parent.name}/{path.name}": data.classes[label]
        for path, label in zip(found.files, found.labels, strict=True)
    }


def test_a_label_is_corrected_and_what_is_out_is_left_out(faces, listed):
    data, changed = corrected(
        find_dataset(faces),
        listed("train/mask/t1.png,mask,no_mask,bare", f"val/no_mask/v0.png,no_mask,{OUT},no face"),
    )
    assert labels_of(data, "train")["mask/t1.png"] == "no_mask"
    assert sorted(labels_of(data, "val")) == [
        "mask/v0.png",
        "mask/v1.png",
        "mask/v2.png",
        "no_mask/v1.png",
        "no_mask/v2.png",
    ]
    assert [one.reason for one in changed] == ["bare", "no face"]


def test_a_picture_is_known_by_folder_and_name_in_whatever_split_it_lies(faces, listed):
    data, changed = corrected(find_dataset(faces), listed("somewhere/mask/v2.png,mask,no_mask,"))
    assert labels_of(data, "val")["mask/v2.png"] == "no_mask"
    assert labels_of(data, "val")["no_mask/v2.png"] == "no_mask"
    assert len(changed) == 1


def test_a_label_that_is_right_already_stays(faces, listed):
    """As where somebody has moved the picture to the right folder."""
    data, changed = corrected(find_dataset(faces), listed("train/wrong_mask/t1.png,wrong_mask,mask,worn well"))
    assert changed == []
    assert labels_of(data, "train") == labels_of(find_dataset(faces), "train")


def test_a_picture_whose_right_class_is_not_in_the_data_set_is_left_out(faces, listed):
    data, changed = corrected(find_dataset(faces), listed("train/mask/t1.png,mask,wrong_mask,nose out"))
    assert len(changed) == 1
    assert "mask/t1.png" not in labels_of(data, "train")


def test_what_is_no_list_of_corrections_is_refused_with_the_culprit(listed, tmp_path):
    with pytest.raises(InputError, match="needs the columns file,given,right,reason"):
        listed("a/mask/1.png,no_mask", head="file,label\n")
    with pytest.raises(InputError, match="needs the columns"):
        listed("mask/1.png,mask,no_mask")
    with pytest.raises(InputError, match=r"mask/1\.png: corrects nothing, or is named twice"):
        listed("mask/1.png,mask,mask,the same")
    with pytest.raises(InputError, match=r"val/mask/1\.png: corrects nothing, or is named twice"):
        listed("train/mask/1.png,mask,no_mask,bare", "val/mask/1.png,mask,out,no face")
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_corrections(str(tmp_path / "nowhere.csv"))
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(InputError, match="cannot be read as a table"):
        read_corrections(str(tmp_path / "empty.csv"))


def test_labels_can_be_taken_as_given(faces):
    data = find_dataset(faces)
    same, changed = corrected(data, read_corrections(NONE))
    assert changed == []
    assert all((same.splits[name].labels == split.labels).all() for name, split in data.splits.items())


def test_the_list_that_ships_names_each_picture_once_and_knows_three_classes():
    rows = read_corrections(None).rows.values()
    assert len(rows) > 100
    assert len({one.file.split("/")[-1] for one in rows}) == len(rows)
    for one in rows:
        assert one.given in ("mask", "no_mask", "wrong_mask")
        assert one.right in ("mask", "no_mask", "wrong_mask", OUT)
        assert one.file.split("/")[-2] == one.given
        assert one.reason
