"""Class names of the original program's checkpoints, which hold none."""

from pathlib import Path

import pytest

from inference.original import classes_in_name, classes_of_data, there

TWO, THREE = ("mask", "no_mask"), ("mask", "no_mask", "wrong_mask")


@pytest.mark.parametrize(
    ("name", "classes"),
    [
        ("ResNet-retrain-2classes-64-10-0.00010000.pth", TWO),
        ("BasicCNN-not_retrain-3classes-64-60-0.00100000.pth", THREE),
        ("3classes.pth", THREE),
        ("ResNet-not_retrain-64-3-0.001.pth", ()),
        ("ResNet-all-5classes-64-3-0.001.pth", ()),
        ("mask.pth", ()),
    ],
)
def test_the_name_says_how_many_classes(name, classes):
    assert classes_in_name(Path("2classes") / name) == classes


def test_the_data_sets_names_come_first_unless_their_number_is_another():
    own = ("bare", "covered")
    assert classes_of_data(Path("a-2classes-b.pth"), own) == own
    assert classes_of_data(Path("a.pth"), own) == own
    assert classes_of_data(Path("a-3classes-b.pth"), TWO) == ()
    assert classes_of_data(Path("a.pth"), ()) == ()


def test_pth_is_taken_for_pt_only_where_that_is_not_there(tmp_path, caplog):
    asked, other = tmp_path / "a.pt", tmp_path / "a.pth"
    assert there(asked) == asked
    other.touch()
    assert there(asked) == other
    assert "is taken" in caplog.text
    asked.touch()
    assert there(asked) == asked
