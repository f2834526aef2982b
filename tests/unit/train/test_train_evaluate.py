"""Evaluation by a model that judges the brightness of a picture: what is scored, by name, and what is said of it."""

import logging

import cv2
import numpy as np
import pytest

from configs.errors import InputError
from inference.backends.backend import Backend
from inference.checkpoint import ModelInfo
from inference.preprocess import Preprocessing
from train.data.corrections import Correction, Corrections
from train.data.held_out import Picture
from train.score.answers import answers_of, relabelled
from train.score.classifier_report import (
    group_rows,
    label_rows,
    labels_report,
    print_report,
    report_on,
    size_name,
    write_plots,
)

BRIGHTNESS = {"dark": 0, "grey": 0.5, "light": 1}
CERTAINTY = 8.0


class ByBrightness(Backend):
    """Says the class whose brightness is nearest; its temperature halves its certainty."""

    def __init__(self, *classes):
        self.info = ModelInfo(classes, Preprocessing(4, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)), temperature=2.0)
        self.provider = "test"

    def logits(self, faces):
        targets = np.array([BRIGHTNESS[name] for name in self.classes], np.float32)
        return -CERTAINTY * np.abs(faces.mean(axis=(1, 2, 3))[:, None] - targets)


@pytest.fixture
def pictures(tmp_path):
    """Five of each class; one dark and two grey ones are not as bright as they should be."""
    shades = {"dark": (0, 10, 20, 30, 200), "grey": (128, 120, 130, 10, 20), "light": (255, 250, 240, 230, 220)}
    found = []
    for name, values in shades.items():
        for number, shade in enumerate(values):
            path = tmp_path / name / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            cv2.imwrite(str(path), np.full((9, 7, 3), shade, np.uint8))
            found.append(Picture(path, name, "cam" if number else "web", 30.0 * number))
    return found


def report(pictures, *classes, batch_size=4, corrections=()):
    backend = ByBrightness(*classes)
    given = answers_of(backend, pictures, batch_size, number_workers=2)
    listed = Corrections("list.csv", {(one.given, one.file.split("/")[-1]): one for one in corrections})
    changes = [listed.of(picture.path, picture.label) for picture in pictures]
    answers = relabelled(given, changes, classes)
    return report_on(answers, backend) | labels_report(given, backend, listed, changes)


def test_the_report_has_the_numbers_that_can_be_counted_by_hand(pictures):
    found = report(pictures, "dark", "grey", "light")
    assert found["confusion"] == [[4, 0, 1], [2, 3, 0], [0, 0, 5]]
    assert found["accuracy"] == pytest.approx(12 / 15)
    assert found["classes"]["dark"] == pytest.approx({"precision": 4 / 6, "recall": 0.8, "f1": 8 / 11, "support": 5})
    assert found["classes"]["grey"] == pytest.approx({"precision": 1, "recall": 0.6, "f1": 0.75, "support": 5})
    assert found["classes"]["light"] == pytest.approx({"precision": 5 / 6, "recall": 1, "f1": 10 / 11, "support": 5})
    assert found["macro_f1"] == pytest.approx((8 / 11 + 0.75 + 10 / 11) / 3)
    assert found["accuracy_ci95"][0] < 12 / 15 < found["accuracy_ci95"][1]
    assert found["images_per_s"] > 0


def test_classes_are_matched_by_name_whatever_the_order_of_the_outputs(pictures):
    one, other = report(pictures, "dark", "grey", "light"), report(pictures, "light", "dark", "grey")
    assert other["confusion"] == [[5, 0, 0], [1, 4, 0], [0, 2, 3]]
    assert one["macro_f1"] == pytest.approx(other["macro_f1"])
    for key in ("accuracy", "accuracy_ci95", "classes"):
        assert one[key] == other[key]
    assert one["per_source"]["cam"]["recall"] == other["per_source"]["cam"]["recall"]


def test_neither_order_nor_size_of_batches_changes_anything(pictures):
    one, other = report(pictures, *BRIGHTNESS, batch_size=1), report(pictures[::-1], *BRIGHTNESS, batch_size=100)
    assert one["confusion"] == other["confusion"]
    assert one["ece"] == pytest.approx(other["ece"], abs=1e-6)


def test_calibration_is_told_before_and_after_the_temperature(pictures):
    backend = ByBrightness(*BRIGHTNESS)
    answers = answers_of(backend, pictures, 4, 1)
    assert answers.raw.max(axis=1).mean() > answers.calibrated.max(axis=1).mean()
    assert (answers.raw.argmax(axis=1) == answers.calibrated.argmax(axis=1)).all()
    found = report_on(answers, backend)
    assert found["ece"] != pytest.approx(found["ece_calibrated"], abs=0.01)


def test_a_data_set_without_one_of_the_classes_is_scored_on_the_others_and_that_is_said(pictures, caplog):
    found = report([picture for picture in pictures if picture.label != "grey"], *BRIGHTNESS)
    assert "no pictures of grey" in caplog.text
    assert found["classes"]["grey"]["support"] == 0
    assert found["macro_f1"] == pytest.approx((8 / 9 + 10 / 11) / 2)


def test_a_class_that_the_model_does_not_know_is_named(pictures):
    with pytest.raises(InputError, match="class 'grey' of the data set is unknown to the model: dark, light"):
        report(pictures, "dark", "light")


def test_a_picture_that_is_gone_since_it_was_found_is_named(pictures):
    pictures[1].path.unlink()
    with pytest.raises(InputError, match=f"{pictures[1].path}: cannot be used: no such file"):
        report(pictures, *BRIGHTNESS)


def test_groups_are_scored_on_their_own(pictures):
    found = report(pictures, *BRIGHTNESS)
    assert found["per_source"]["web"]["accuracy"] == 1
    assert found["per_source"]["web"]["recall"] == {"dark": 1.0, "grey": 1.0, "light": 1.0}
    assert (found["per_source"]["cam"]["pictures"], found["per_source"]["cam"]["accuracy"]) == (12, 0.75)
    numbers = {name: one["pictures"] for name, one in found["per_face_size"].items()}
    assert numbers == {"under 40 px": 6, "40-80 px": 3, "over 80 px": 6}
    assert [size_name(px) for px in (39.9, 40.0, 80.0)] == ["under 40 px", "40-80 px", "over 80 px"]
    plain = [Picture(picture.path, picture.label) for picture in pictures]
    assert report(plain, *BRIGHTNESS)["per_source"] == report(plain, *BRIGHTNESS)["per_face_size"] == {}


def test_a_picture_counts_in_each_of_its_groups_and_small_groups_have_wide_intervals(pictures):
    marked = [
        Picture(one.path, one.label, kind="bare", groups=("male", "old") if number % 2 else ("male",))
        for number, one in enumerate(pictures)
    ]
    found = report(marked, *BRIGHTNESS)
    assert {name: one["pictures"] for name, one in found["per_group"].items()} == {"male": 15, "old": 7}
    assert found["per_kind"]["bare"]["accuracy"] == pytest.approx(0.8)
    low, high = found["per_kind"]["bare"]["accuracy_ci95"]
    assert low == pytest.approx(0.548, abs=0.001)  # Wilson's interval of 12 of 15
    assert high == pytest.approx(0.930, abs=0.001)
    assert [row[:2] for row in group_rows(found)] == [["kind bare", "15"], ["group male", "15"], ["group old", "7"]]
    assert found["per_group"]["old"]["accuracy_ci95"][0] < found["per_group"]["old"]["accuracy"]


def test_figures_are_told_with_labels_as_given_and_as_corrected_and_each_correction_is_named(pictures, capsys):
    rows = [  # the dark picture of shade 200 is light, one of the dim grey ones is nothing at all
        Correction("dark/4.png", "dark", "light", "bright"),
        Correction("grey/3.png", "grey", "out", "no picture"),
    ]
    found = report(pictures, *BRIGHTNESS, corrections=rows)
    assert (found["pictures"], found["accuracy"]) == (14, pytest.approx(13 / 14))
    assert found["confusion"] == [[4, 0, 0], [1, 3, 0], [0, 0, 6]]
    assert (found["as_given"]["pictures"], found["as_given"]["accuracy"]) == (15, pytest.approx(12 / 15))
    assert found["as_given"]["confusion"] == [[4, 0, 1], [2, 3, 0], [0, 0, 5]]
    assert found["corrections"] == {"list": "list.csv", "labels": [one._asdict() for one in rows]}
    assert [row[:3] for row in label_rows(found)] == [
        ["labels as given", "15", "0.8000"],
        ["labels as corrected", "14", "0.9286"],
    ]
    print_report(found)
    text = capsys.readouterr().out
    assert "dark/4.png: labelled dark, counts as light: bright" in text
    assert "grey/3.png: labelled grey, counts as out: no picture" in text


def test_corrections_of_other_pictures_change_nothing_and_one_that_leaves_none_is_refused(pictures):
    other = Correction("dark/x.png", "dark", "light", "")
    one, plain = report(pictures, *BRIGHTNESS, corrections=[other]), report(pictures, *BRIGHTNESS)
    assert (one["confusion"], one["corrections"]["labels"]) == (plain["confusion"], [])
    assert label_rows(one) == []
    with pytest.raises(InputError, match="leaves no picture"):
        report(pictures[:1], *BRIGHTNESS, corrections=[Correction("0.png", "dark", "out", "")])


def test_the_tables_show_every_class_and_group(pictures, capsys):
    print_report(report(pictures, *BRIGHTNESS))
    text = capsys.readouterr().out
    for part in (*BRIGHTNESS, "web", "cam", "40-80 px", "accuracy 0.8000 (95 % interval 0.", "temperature 2.00"):
        assert part in text


def test_the_plots_are_pictures_and_an_older_one_is_replaced(pictures, tmp_path, capsys, caplog):
    caplog.set_level(logging.INFO)
    pytest.importorskip("matplotlib")
    answers = answers_of(ByBrightness(*BRIGHTNESS), pictures, 4, 1)
    folder = tmp_path / "plots"
    assert write_plots(folder, answers, list(BRIGHTNESS), "a model")
    assert str(folder) in capsys.readouterr().out
    assert write_plots(folder, answers, list(BRIGHTNESS), "a model")
    assert sorted(path.name for path in folder.iterdir()) == ["confusion.png", "mistakes.png", "reliability.png"]
    for path in folder.iterdir():
        assert cv2.imread(str(path)).std() > 5
