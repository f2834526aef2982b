"""The train and evaluate commands: what they refuse, and the names of their options."""

import json

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from configs.errors import InputError
from inference.backends import SHIPPED_MODEL
from inference.preprocess import Preprocessing
from train.__main__ import train
from train.classifier.options import chosen_balance, learning_layers, preprocessing_of
from train.classifier.record import default_name, free_files, run_files
from train.classifier.training import Recipe
from train.data.dataset import Dataset
from train.evaluate import evaluate

app = typer.Typer()
app.command()(train)
app.command()(evaluate)


def refusal_of(*arguments):
    outcome = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert isinstance(outcome.exception, InputError), outcome.output
    assert "\n" not in str(outcome.exception)
    return str(outcome.exception)


@pytest.fixture
def faces(tmp_path):
    for blue, name in enumerate(("mask", "no_mask", "wrong_mask")):
        (tmp_path / "faces" / name).mkdir(parents=True)
        for number in range(4):
            picture = np.full((20, 20, 3), (blue, 60 * number, 60 * number), np.uint8)
            cv2.imwrite(str(tmp_path / "faces" / name / f"{number}.png"), picture)
    return tmp_path / "faces"


def test_only_a_resnet_with_trained_weights_has_a_retrain_mode(caplog):
    assert learning_layers("ResNet", "imagenet", None) == "not_retrain"
    assert learning_layers("ResNet", "some.pth", "retrain") == "retrain"
    assert learning_layers("ResNet", "none", None) == "all"
    assert learning_layers("MobileNetV3", "imagenet", None) == "all"
    assert learning_layers("BasicCNN", "none", "retrain") == "all"
    for backbone in ("ResNet", "MobileNetV3"):
        assert learning_layers(backbone, "none", "retrain") == "all"
        assert "all layers learn" in caplog.text


def test_checkpoints_are_named_as_the_original_names_them():
    three, two = Dataset(("a", "b", "c"), {}), Dataset(("a", "b"), {})
    recipe = Recipe(epochs=60, batch_size=64, learning_rate=0.001)
    slower = Recipe(epochs=6, batch_size=32, learning_rate=0.0001)
    assert default_name("ResNet", "not_retrain", None, three, recipe) == "ResNet-not_retrain-3classes-64-60-0.00100000"
    assert default_name("ResNet", "retrain", "retrain", two, slower) == "ResNet-retrain-2classes-32-6-0.00010000"
    assert default_name("BasicCNN", "all", None, three, slower) == "BasicCNN-not_retrain-3classes-32-6-0.00010000"
    assert default_name("ResNet18", "all", None, two, slower, 64) == "ResNet18-all-2classes-32-6-0.00010000-64px"


def test_names_of_finished_runs_count_up(tmp_path):
    first = run_files(tmp_path / "m.pth", None, "")

    def name(resume=False, overwrite=False):
        return free_files(first, resume=resume, overwrite=overwrite).name

    assert name() == "m"
    first.model.touch()
    assert name() == "m-2"
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "m-2.run.json").touch()  # its model was moved
    assert name() == "m-3"
    assert name(overwrite=True) == name(resume=True) == "m", "there is no unfinished one that could be meant"
    (tmp_path / "m-3.state").touch()
    (tmp_path / "m-3.pth").touch()
    assert name() == name(resume=True) == name(overwrite=True) == "m-3", "what becomes of it is the user's choice"


def test_the_size_of_the_input_can_be_chosen_but_not_of_basic_cnn(faces):
    assert preprocessing_of("ResNet", None).size == 224
    assert preprocessing_of("ResNet", 64) == Preprocessing(64)
    assert "BasicCNN takes faces of 256 px only" in refusal_of("train", faces, "--backbone", "BasicCNN", "--size", "64")


def test_rare_classes_are_shown_more_often_unless_the_order_is_kept():
    assert chosen_balance(None, shuffled=True) == "sampling"
    assert chosen_balance(None, shuffled=False) == "none"
    assert chosen_balance("weights", shuffled=False) == "weights"
    with pytest.raises(InputError, match="draws pictures at random"):
        chosen_balance("sampling", shuffled=False)


@pytest.mark.parametrize("spelling", ["--batch_size=8", "--batch-size=8"])
def test_the_underscored_spelling_of_the_original_works_too(tmp_path, spelling):
    pytest.importorskip("torch")
    arguments = ["train", tmp_path / "none", spelling, "--learning_rate", 0.01, "--split_data", 0.6, 0.2, 0.2]
    assert "none: no such folder" in refusal_of(*arguments)


def test_what_cannot_be_trained_is_refused_before_training(faces, tmp_path):
    torch = pytest.importorskip("torch")
    output = ["--weights", "none", "-o"]
    assert "ends in .pth" in refusal_of("train", faces, *output, tmp_path / "m.onnx")
    assert "none for BasicCNN" in refusal_of("train", faces, "--backbone", "BasicCNN", "--weights", "imagenet")
    assert "lost.pth: no such file; looked for" in refusal_of("train", faces, "--weights", tmp_path / "lost.pth")
    if not torch.cuda.is_available():
        assert "--device cuda:3" in refusal_of("train", faces, "--device", "cuda:3", *output, tmp_path / "m.pth")


def test_a_class_that_the_model_does_not_know_is_named(faces):
    faces.joinpath("wrong_mask").rename(faces / "scarf")
    assert "class 'scarf' of the data set is unknown" in refusal_of(
        "evaluate", "inference/pretrained/face_mask.onnx", faces
    )


def test_evaluate_matches_classes_by_name_and_scores_what_there_is(faces, tmp_path):
    for picture in (faces / "mask").iterdir():
        picture.unlink()
    (faces / "mask").rmdir()
    plots = str(tmp_path / "plots")
    outcome = CliRunner().invoke(app, ["evaluate", str(SHIPPED_MODEL), str(faces), "--json", "-o", plots])
    assert outcome.exit_code == 0
    scores = json.loads(outcome.stdout.splitlines()[-1])
    assert {name: one["support"] for name, one in scores["classes"].items()} == {
        "mask": 0,
        "no_mask": 4,
        "wrong_mask": 4,
    }
    assert scores["provider"] == "CPUExecutionProvider"


@pytest.fixture
def corrections(tmp_path):
    """Of the faces one that is labelled mask is bare, and one is no face."""
    path = tmp_path / "list.csv"
    path.write_text("file,given,right,reason\nmask/0.png,mask,no_mask,bare\nmask/1.png,mask,out,no face\n")
    return str(path)


def test_evaluate_tells_both_figures_and_names_what_was_corrected(faces, corrections, tmp_path):
    plots = tmp_path / "plots"
    arguments = ["evaluate", str(SHIPPED_MODEL), str(faces), "--json", "-o", str(plots), "--corrections", corrections]
    outcome = CliRunner().invoke(app, arguments)
    assert outcome.exit_code == 0, outcome.output
    assert "labels:    1 corrected, 1 left out (list.csv)" in " ".join(outcome.stderr.split("\n"))
    scores = json.loads(outcome.stdout.splitlines()[-1])
    assert (scores["pictures"], scores["as_given"]["pictures"]) == (11, 12)
    assert [one["support"] for one in scores["classes"].values()] == [2, 5, 4]
    assert [one["support"] for one in scores["as_given"]["classes"].values()] == [4, 4, 4]
    assert scores["corrections"]["labels"][0] == {
        "file": "mask/0.png",
        "given": "mask",
        "right": "no_mask",
        "reason": "bare",
    }
    page = (plots / "index.html").read_text()
    for part in ("labels as given, and as corrected", "corrected labels, by list.csv", "mask/1.png", "no face"):
        assert part in page


def test_train_learns_corrected_labels_and_says_how_many(faces, corrections, tmp_path):
    pytest.importorskip("torch")
    for name in ("mask", "no_mask", "wrong_mask"):
        for split in ("train", "val"):
            (tmp_path / "divided" / split).mkdir(parents=True, exist_ok=True)
        faces.joinpath(name).rename(tmp_path / "divided" / "train" / name)
        (tmp_path / "divided" / "val" / name).mkdir()
        picture = tmp_path / "divided" / "train" / name / "3.png"
        picture.rename(tmp_path / "divided" / "val" / name / "3.png")
    arguments = [
        *("train", str(tmp_path / "divided"), "--backbone", "MobileNetV3", "--weights", "none", "--size", "32"),
        *("--batch_size", "4", "--epochs", "1", "--number_workers", "0", "--corrections", corrections),
        *("-o", str(tmp_path / "m.pth"), "--json"),
    ]
    outcome = CliRunner().invoke(app, arguments)
    assert outcome.exit_code == 0, (outcome.output, outcome.exception)
    assert "1 corrected, 1 left out (list.csv)" in outcome.stderr
    record = json.loads((tmp_path / "results" / "m.run.json").read_text())
    assert record["data"]["pictures"]["train"] == {"mask": 1, "no_mask": 4, "wrong_mask": 3}
    assert [one["right"] for one in record["corrections"]["labels"]] == ["no_mask", "out"]
    assert "train/mask/0.png,train,no_mask," in (tmp_path / "m.split.csv").read_text()
