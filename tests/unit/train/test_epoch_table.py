"""The table of epochs: aligned in 80 columns whatever the numbers and names, the best so far with a star."""

import pytest

from train.classifier.epoch_table import HEADER, head, row
from train.classifier.training import EpochResult
from train.score.metrics import ClassScores, Scores


def epoch(number, macro_f1, recalls=(("mask", 0.9), ("no_mask", 0.5)), loss=0.5, seconds=3.2):
    classes = {name: ClassScores(1, recall, recall, 4) for name, recall in recalls}
    return EpochResult(number, 0.001, loss, 0.7, 0.6, Scores(0.8, macro_f1, classes, 0.0), 1.0, seconds)


@pytest.mark.parametrize("number", [1, 30, 999])
def test_numbers_stand_under_the_ends_of_their_columns(number):
    line = row(epoch(number, 0.75), 999, best=True)
    assert len(line) == len(HEADER[1]) <= 80
    for column, text in (("macro F1", "0.7500"), ("time", "3.2 s")):
        assert line[: HEADER[1].index(column) + len(column)].endswith(text), column
    assert line[HEADER[1].index("lowest recall") :].startswith("0.50 no_mask")


def test_a_class_of_a_long_name_moves_nothing():
    long = row(epoch(1, 0.5, [("worn_below_the_nose", 0.1)]), 10, best=False)
    assert len(long) == len(row(epoch(1, 0.5), 10, best=False))
    assert "0.10 worn_belo…" in long


def test_a_class_without_pictures_is_not_the_one_that_is_found_least():
    one = epoch(1, 0.5)
    one.val.classes["scarf"] = ClassScores(0, 0, 0, 0)
    assert "scarf" not in row(one, 3, best=True)


def test_the_epochs_before_a_resume_are_in_the_table_with_the_stars_that_they_had():
    lines = head([epoch(1, 0.5), epoch(2, 0.8), epoch(3, 0.8), epoch(4, 0.9)], 9).splitlines()
    assert [line.split("/")[0].split() for line in lines[-4:]] == [["*", "1"], ["*", "2"], ["3"], ["*", "4"]]
    assert len(head([], 9).splitlines()) == len(lines) - 4
