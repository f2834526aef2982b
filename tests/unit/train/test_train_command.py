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
