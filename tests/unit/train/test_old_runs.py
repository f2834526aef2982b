"""Files that older code wrote are read: unfinished runs go on, models open, records stand in the table.

`old_runs/` was written by the code of 26 November 2026 before train/ was divided into rooms (commit 5f69410): both
trainings stopped after the first of two epochs, with the options below. Then all weights were set to 0.01, so that the
files are small.
"""

import json
import lzma
import shutil
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

torch = pytest.importorskip("torch")
pytest.importorskip("torchvision")

from configs.schema import ClassifyConfig  # noqa: E402
from inference.backends import open_backend  # noqa: E402
from train.__main__ import train  # noqa: E402
from train.data.held_out import find_pictures  # noqa: E402
from train.detector.__main__ import train_detector_command  # noqa: E402
from train.results import read_runs, row_of  # noqa: E402

OF_CLASSIFIER = (
    *("--backbone", "MobileNetV3", "--weights", "none", "--batch_size", "4", "--size", "32"),
    *("--number_workers", "0", "--epochs", "2", "--ema", "0.9"),
)
OF_DETECTOR = ("--size", "64", "--batch-size", "2", "--validate-every", "1", "--epochs", "2")


@pytest.fixture
def old(tmp_path, monkeypatch):
    """A copy of the folder, unpacked, as the working folder."""
    folder = shutil.copytree(Path(__file__).parent / "old_runs", tmp_path / "old")
    for packed in folder.glob("*.xz"):
        packed.with_suffix("").write_bytes(lzma.decompress(packed.read_bytes()))
    monkeypatch.chdir(folder)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    return folder


def resumed(command, *arguments):
    app = typer.Typer()
    app.command()(command)
    done = CliRunner().invoke(app, [*arguments, "--resume", "--json"])
    assert done.exit_code == 0, (done.output, done.exception)
    return json.loads(done.stdout.splitlines()[-1]), done.stderr


def test_an_unfinished_training_of_a_classifier_goes_on(old):
    answer, said = resumed(train, "faces", *OF_CLASSIFIER, "-o", "m.pth")
    assert "1 of them done before" in said
    epochs = [line[1:].split()[0] for line in said.splitlines() if "/2 " in line]
    assert epochs == ["1/2", "2/2"]
    assert answer["pictures"] == {"train": 12, "val": 3}
    lines = (old / "results" / "m.metrics.csv").read_text().splitlines()
    assert lines[1].startswith("1,0.001,1.1150")  # the loss of the epoch that the older code trained
    assert len(lines) == 3
    assert not (old / "m.state").exists()


def test_an_unfinished_training_of_a_detector_goes_on(old):
    resumed(train_detector_command, "photos", *OF_DETECTOR, "-o", "d.pth")
    history = json.loads((old / "d.history.json").read_text())
    assert [one["epoch"] for one in history] == [1, 2]
    assert history[0]["score_loss"] == pytest.approx(0.378, abs=5e-4)
    assert not (old / "d.state").exists()


def test_a_model_and_its_manifest_are_read(old):
    backend = open_backend(ClassifyConfig(model="m.pth"))
    assert backend.classes == ("mask", "no_mask", "wrong_mask")
    assert backend.preprocessing.size == 32
    held_out = find_pictures(old / "faces", "val", old / "m.pth")
    assert sorted(picture.label for picture in held_out.pictures) == ["mask", "no_mask", "wrong_mask"]


def test_a_record_stands_in_the_table_of_results(old):
    [run] = read_runs(old)
    row = row_of(run)
    assert (row.model, row.mode, row.classes, row.epochs) == ("MobileNetV3 (done)", "from scratch", 3, 2)
    assert row.accuracies == pytest.approx((1 / 3, 1 / 3, None))
