"""The three command lines of the original program's README, with `maskstream` for its script and our paths for its."""

import subprocess
import sys

import cv2
import numpy as np
import pytest
from program import ROOT

torch = pytest.importorskip("torch", reason="training needs torch")


def maskstream(folder, line):
    program = [sys.executable, "-c", "import run_pipeline; run_pipeline.main()", *line.split()]
    environment = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin", "HOME": str(folder)}
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
