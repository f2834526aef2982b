"""Faces that are held back from training: which they are, what is left to learn from, and the lists that ship."""

import json

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from configs.errors import InputError
from inference.backends import SHIPPED_MODEL
from train.data.corrections import Correction, Corrections, read_corrections
from train.data.held_back import COPY, LISTS, divide_more, read_held_back
from train.evaluate import evaluate

CLASSES = ("mask", "no_mask", "wrong_mask")
AS_GIVEN = Corrections("none", {})


@pytest.fixture
def more(tmp_path):
    """Class folders without wrong_mask: four faces in each."""
    for name in ("mask", "no_mask"):
        (tmp_path / "more" / name).mkdir(parents=True)
        for number in range(4):
            picture = np.full((20, 20, 3), 40 + 50 * number, np.uint8)
            cv2.imwrite(str(tmp_path / "more" / name / f"{number}.png"), picture)
    return tmp_path / "more"


def names_of(split):
    return [f"{path.parent.name}/{path.name}" for path in split.files]


def test_what_is_in_a_list_or_a_copy_is_not_learnt_from(more):
    lists = {"general": {("mask", "0.png"), ("no_mask", "1.png")}, "bearded": {("no_mask", "1.png")}}
    parts = divide_more(more, CLASSES, AS_GIVEN, lists | {COPY: {("mask", "3.png")}})
    assert names_of(parts.training) == ["mask/1.png", "mask/2.png", "no_mask/0.png", "no_mask/2.png", "no_mask/3.png"]
    assert {name: names_of(split) for name, split in parts.held_back.items()} == {
        "general": ["mask/0.png", "no_mask/1.png"],
        "bearded": ["no_mask/1.png"],
        "hard_wrong": [],
    }


def test_a_mask_that_was_found_worn_badly_gets_that_label_though_no_folder_is_called_so(more):
    rows = [
        Correction("mask/0.png", "mask", "wrong_mask", "nose out"),
        Correction("mask/1.png", "mask", "wrong_mask", "nose out"),
        Correction("mask/2.png", "mask", "out", "no face"),
    ]
    listed = Corrections("list.csv", {(one.given, one.file.split("/")[-1]): one for one in rows})
    parts = divide_more(more, CLASSES, listed, {"hard_wrong": {("mask", "0.png")}})
    assert names_of(parts.held_back["hard_wrong"]) == ["mask/0.png"]
    assert parts.held_back["hard_wrong"].labels.tolist() == [2]
    assert names_of(parts.training)[:2] == ["mask/1.png", "mask/3.png"]
    assert parts.training.labels.tolist() == [2, 0, 1, 1, 1, 1]


def test_labels_are_indices_of_the_classes_in_the_order_that_is_asked_for(more):
    parts = divide_more(more, ("wrong_mask", "no_mask", "mask"), AS_GIVEN, {})
    assert parts.training.labels.tolist() == [2] * 4 + [1] * 4
    with pytest.raises(InputError, match="more/no_mask: none of the classes mask, scarf"):
        divide_more(more, ("mask", "scarf"), AS_GIVEN, {})


def test_the_lists_that_ship_are_disjoint_from_copies_and_agree_with_the_corrections():
    lists = read_held_back()
    assert set(lists) == {*LISTS, COPY}
    assert not lists[COPY] & set().union(*(lists[name] for name in LISTS))
    assert len(lists["bearded"]) >= 120
    assert len(lists["hard_wrong"]) >= 40
    assert {folder for folder, _ in lists["bearded"]} == {"no_mask"}
    corrections = read_corrections(None).rows
    assert all(corrections[key].right == "wrong_mask" for key in lists["hard_wrong"])
    assert not any(corrections[key].right == "out" for name in LISTS for key in lists[name] if key in corrections)


def test_evaluate_scores_the_faces_of_a_list_alone(more, tmp_path):
    app = typer.Typer()
    app.command()(evaluate)
    folder, name = min(read_held_back()["bearded"])
    (more / folder / "0.png").rename(more / folder / name)
    arguments = [str(SHIPPED_MODEL), str(more), "--json", "-o", str(tmp_path / "out"), "--held-back"]
    outcome = CliRunner().invoke(app, [*arguments, "bearded"])
    assert outcome.exit_code == 0, outcome.output
    scores = json.loads(outcome.stdout.splitlines()[-1])
    assert (scores["split"], scores["pictures"]) == ("bearded", 1)
    outcome = CliRunner().invoke(app, [*arguments, "hard_wrong"])
    assert "--held-back hard_wrong: " in str(outcome.exception)
    assert "has none of its" in str(outcome.exception)
    outcome = CliRunner().invoke(app, [*arguments, "beards"])
    assert str(outcome.exception) == "--held-back beards: known are general, bearded, hard_wrong"
