"""The three command lines of the original program's README, with `maskstream` for its script and our paths for its."""

import csv
import subprocess
import sys

import cv2
import numpy as np
import pytest
from program import ROOT

torch = pytest.importorskip("torch", reason="training needs torch")


def maskstream(folder, line, **more):
    program = [sys.executable, "-c", "import run_pipeline; run_pipeline.main()", *line.split()]
    environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin", "HOME": str(folder)} | more
    return subprocess.run(program, cwd=folder, env=environment, capture_output=True, text=True)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """dataset/labeled/ with two classes of ten pictures."""
    folder = tmp_path_factory.mktemp("original")
    rng = np.random.default_rng(0)
    for name, colour in (("mask", (200, 150, 50)), ("no_mask", (90, 120, 220))):
        (folder / "dataset" / "labeled" / name).mkdir(parents=True)
        for number in range(10):
            noisy = np.clip(rng.normal(colour, 20, (64, 64, 3)), 0, 255).astype(np.uint8)
            cv2.imwrite(str(folder / "dataset" / "labeled" / name / f"{number}.jpg"), noisy)
    return folder


def test_train_evaluate_and_classify_run_as_the_original_readme_writes_them(folder):
    options = "--backbone BasicCNN --resnet_retrain_mode retrain --split_data [0.70, 0.20, 0.10] --epochs 1"
    done = maskstream(folder, f"train ./dataset/labeled/ {options}")
    assert done.returncode == 0, done.stderr
    name = "BasicCNN-retrain-2classes-64-1-0.00100000"
    assert (folder / "models" / f"{name}.pth").is_file()
    assert (folder / "results" / f"{name}.png").is_file()
    line = f"evaluate ./models/{name}.pth ./dataset/labeled/ --resnet_retrain_mode not_retrain --shuffle False"
    done = maskstream(folder, line)
    assert done.returncode == 0, done.stderr
    assert "accuracy" in done.stdout
    done = maskstream(folder, f"classify models/{name}.pth")
    assert done.returncode == 1
    assert "camera 0" in done.stderr  # none here; with one, a window opens


def test_the_default_resnet_says_where_its_weights_can_come_from(folder):
    done = maskstream(folder, "train ./dataset/labeled/ --backbone ResNet --resnet_retrain_mode retrain --epochs 1")
    assert done.returncode == 1
    [error] = [line for line in done.stderr.splitlines() if "error:" in line]
    assert "--weights FILE" in error
    assert "--weights none" in error
    assert f"{folder}/.cache/torch/hub/checkpoints/resnet50-11ad3fa6.pth" in error
    cached = folder / "cache" / "hub" / "checkpoints" / "resnet50-11ad3fa6.pth"
    cached.parent.mkdir(parents=True)
    cached.write_bytes(b"PK the beginning of a download")
    done = maskstream(folder, "train ./dataset/labeled/ --epochs 1", TORCH_HOME=str(folder / "cache"))
    assert done.returncode == 1
    [error] = [line for line in done.stderr.splitlines() if "error:" in line]
    assert f"{cached} is damaged or cut off" in error
    assert "download" not in error.partition("damaged")[0]


def saved_by_the_original(path, network):
    """As its code saves a network of its own: three outputs whatever the classes, nothing but the state dict."""
    from torch import nn
    from torchvision import models

    if network == "ResNet":
        net = models.resnet50(weights=None)
        net.fc = nn.Linear(2048, 3)
    else:
        net = nn.Sequential(
            nn.Conv2d(3, 64, 5), nn.ReLU(), nn.MaxPool2d(7, 7), nn.Conv2d(64, 128, 3, padding=1), nn.ReLU(),
            nn.MaxPool2d(2, 2), nn.Flatten(), nn.Linear(128 * 18 * 18, 512), nn.ReLU(), nn.Linear(512, 64), nn.ReLU(),
            nn.Dropout(), nn.Linear(64, 3),
        )  # fmt: skip
    path.parent.mkdir(exist_ok=True)
    torch.save(net.state_dict(), path)


def test_its_own_checkpoints_are_evaluated_and_classified_as_its_readme_writes_it(folder):
    """Class names come from the data set of the command, else from the name; one line says whence."""
    models = folder / "models"
    saved_by_the_original(models / "ResNet-not_retrain-64-3-0.001.pth", "ResNet")
    saved_by_the_original(models / "BasicCNN-not_retrain-2classes-64-60-0.00010000.pth", "BasicCNN")
    line = "evaluate ./models/ResNet-not_retrain-64-3-0.001.pth ./dataset/labeled/ --resnet_retrain_mode not_retrain"
    done = maskstream(folder, f"{line} --shuffle False")
    assert done.returncode == 0, done.stderr
    assert said(done, "class names") == [
        "evaluate: models/ResNet-not_retrain-64-3-0.001.pth: takes its class names from the data set: mask, no_mask"
    ]
    with (folder / "results" / "ResNet-not_retrain-64-3-0.001-dataset-all" / "predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 20
    assert set(rows[0]) == {"file", "true", "predicted", "confidence", "mask", "no_mask"}
    assert all((folder / row["file"]).parent.name == row["true"] for row in rows)

    done = maskstream(folder, "classify models/BasicCNN-not_retrain-2classes-64-60-0.00010000.pt dataset --whole")
    assert done.returncode == 0, done.stderr
    assert "BasicCNN-not_retrain-2classes-64-60-0.00010000.pth is taken" in done.stderr
    [line] = said(done, "class names")
    assert line.endswith("takes its class names from its own name: mask, no_mask")
    assert "20 pictures in 2 folders" in done.stdout


def said(done, words):
    return [line for line in done.stderr.splitlines() if words in line]
