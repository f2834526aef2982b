"""`python -m train.evaluate` and `python -m train.results`: the real programs, what they print, write and refuse."""

import csv
import json
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from inference.backends import SHIPPED_MODEL

ROOT = Path(__file__).resolve().parents[2]
FACES = ROOT / ".." / "shared" / "data" / "faces"
KEYS = {
    *("accuracy", "accuracy_ci95", "macro_f1", "classes", "ece", "ece_calibrated", "images_per_s", "model", "dataset"),
    *("split", "provider", "prefer", "temperature", "confusion", "per_source", "per_face_size", "plots"),
    *("pictures", "per_kind", "per_group", "as_given", "corrections"),
}


def run(*arguments, code=0):
    command = [sys.executable, "-m", *(str(argument) for argument in arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=250)
    assert done.returncode == code, done.stderr
    return done


def scores_of(*arguments):
    return json.loads(run("train.evaluate", *arguments, "--json").stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def patches(tmp_path_factory):
    """Noise in folders of the shipped model's classes: nobody knows what it says, but it says it always."""
    folder = tmp_path_factory.mktemp("patches")
    rng = np.random.default_rng(1)
    for name in ("mask", "no_mask", "wrong_mask"):
        (folder / name).mkdir()
        for number in range(3):
            cv2.imwrite(str(folder / name / f"{number}.png"), rng.integers(0, 256, (40, 40, 3), np.uint8))
    return folder


def test_the_last_line_is_one_object_with_these_keys_and_the_plots_are_there(patches, tmp_path):
    pytest.importorskip("matplotlib")
    spelled = ["--batch_size", 2, "--number_workers", 2, "--device", "cpu"]
    scores = scores_of(SHIPPED_MODEL, patches, *spelled, "-o", tmp_path / "plots")
    assert set(scores) == KEYS
    assert len(scores["accuracy_ci95"]) == 2
    assert set(scores["classes"]) == {"mask", "no_mask", "wrong_mask"}
    assert all(set(one) == {"precision", "recall", "f1", "support"} for one in scores["classes"].values())
    assert (scores["model"], scores["dataset"], scores["split"]) == (str(SHIPPED_MODEL), str(patches), "all")
    assert sum(map(sum, scores["confusion"])) == 9
    assert {path.name for path in (tmp_path / "plots").iterdir()} == {
        *("confusion.png", "index.html", "mistakes.png", "reliability.png", "predictions.csv")
    }
    with (tmp_path / "plots" / "predictions.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    names = list(scores["classes"])
    assert list(rows[0]) == ["file", "true", "predicted", "confidence", *names]
    assert sum(row["true"] == row["predicted"] for row in rows) / len(rows) == pytest.approx(scores["accuracy"])
    for row in rows:
        assert Path(row["file"]).parent.name == row["true"]
        assert row["confidence"] == row[row["predicted"]] == max((row[name] for name in names), key=float)
    again = scores_of(SHIPPED_MODEL, patches, "-o", tmp_path / "plots")
    for key in KEYS - {"images_per_s", "ece", "ece_calibrated"}:
        assert again[key] == scores[key], key


def test_what_is_left_out_is_said_before_anything_is_scored(patches, tmp_path):
    faces = shutil.copytree(patches, tmp_path / "faces")
    (faces / "mask" / "broken.png").write_bytes(b"no picture")
    (faces / "no_mask" / "notes.txt").write_text("x")
    done = run("train.evaluate", SHIPPED_MODEL, faces, "-o", tmp_path / "plots")
    head = " ".join(done.stderr.split())
    assert "│ all │ │ 9 (100 %) │" in head
    assert (
        "left out: 1 file: not a whole image (mask/broken.png); "
        "1 file: no picture by its suffix (no_mask/notes.txt)" in head
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.onnx", "."], "nowhere.onnx: no such model file"),
        ([SHIPPED_MODEL, "nowhere"], "nowhere: no such folder"),
        ([SHIPPED_MODEL, "tests"], "holds no pictures"),
        ([SHIPPED_MODEL, "DATA", "--split", "best"], "--split best: known are"),
        ([SHIPPED_MODEL, "DATA", "--split", "test"], "is not divided"),
        ([SHIPPED_MODEL, "DATA", "--device", "gpu"], "--device gpu"),
        ([SHIPPED_MODEL, "DATA", "--output", "README.md"], "README.md"),
    ],
)
def test_what_cannot_be_scored_is_refused_in_one_line(patches, arguments, said):
    done = run("train.evaluate", *(patches if one == "DATA" else one for one in arguments), code=1)
    errors = [line for line in done.stderr.splitlines() if line.startswith("maskstream: error:")]
    assert len(errors) == 1
    assert "Traceback" not in done.stderr
    assert said in errors[0]


def test_results_of_a_folder_without_runs_are_refused_in_one_line(tmp_path):
    done = run("train.results", tmp_path, code=1)
    assert done.stderr == f"maskstream: error: {tmp_path}: holds no record of a training run (NAME.run.json)\n"


@pytest.mark.slow
def test_the_shipped_model_on_real_faces_is_scored_by_source_and_size(tmp_path):
    if not FACES.is_dir():
        pytest.skip("needs the faces of shared/data")
    scores = scores_of(SHIPPED_MODEL, FACES, "-o", tmp_path)
    assert scores["split"] == "test"
    assert sum(one["support"] for one in scores["as_given"]["classes"].values()) == 881
    assert scores["pictures"] == 880, "one has no right label"
    assert len(scores["corrections"]["labels"]) == 15
    assert scores["accuracy_ci95"][0] < scores["accuracy"] < scores["accuracy_ci95"][1]
    for groups in ("per_source", "per_face_size"):
        assert sum(one["pictures"] for one in scores[groups].values()) == 880
