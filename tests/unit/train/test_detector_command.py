"""`maskstream train-detector`: what it writes, that it learns, goes on, and what it refuses."""

import json

import cv2
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

torch = pytest.importorskip("torch")

from configs.errors import InputError  # noqa: E402
from inference.detectors.maskface_file import load_detector  # noqa: E402
from train.detector.__main__ import train_detector_command  # noqa: E402

app = typer.Typer()
app.command()(train_detector_command)
SMALL = ("--size", 64, "--batch-size", 4, "--validate-every", 1)


@pytest.fixture(autouse=True)
def one_thread(monkeypatch):
    """Beside other work on two cores, two threads took thirty times as long as one."""
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    """Grey noise with a bright disc for each face."""
    root = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for split, count in (("train", 8), ("val", 3)):
        (root / split / "images").mkdir(parents=True)
        images, notes = [], []
        for number in range(count):
            picture = rng.integers(60, 100, (96, 128, 3), np.uint8)
            x, y = int(rng.integers(30, 98)), int(rng.integers(30, 66))
            cv2.circle(picture, (x, y), 24, (200, 220, 250), -1)
            cv2.imwrite(str(root / split / "images" / f"{number}.png"), picture)
            images.append({"id": number, "file_name": f"{number}.png"})
            notes.append({"id": number, "image_id": number, "category_id": 1, "bbox": [x - 24, y - 24, 48, 48]})
        coco = {"images": images, "annotations": notes, "categories": [{"id": 1, "name": "face"}]}
        (root / split / "annotations.json").write_text(json.dumps(coco))
    return root


def run(*arguments):
    done = CliRunner().invoke(app, [*map(str, arguments), "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout.splitlines()[-1])


def refusal_of(*arguments):
    outcome = CliRunner().invoke(app, [str(argument) for argument in arguments])
    assert isinstance(outcome.exception, InputError), outcome.output
    assert "\n" not in str(outcome.exception)
    return str(outcome.exception)


def test_a_short_training_leaves_a_checkpoint_and_its_history(photos, tmp_path):
    answer = run(photos, *SMALL, "--epochs", 2, "-o", tmp_path / "d.pth")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.history.json", "d.pth"]
    assert answer["val"]["recall"].keys() == {"face"}
    history = json.loads((tmp_path / "d.history.json").read_text())
    assert [one["epoch"] for one in history] == [1, 2]
    _, info = load_detector(tmp_path / "d.pth")
    assert (info.kind, info.name) == ("detector", "maskface")


def test_discs_are_learnt_as_faces(photos, tmp_path):
    options = ("--size", 96, "--batch-size", 8, "--epochs", 80, "--validate-every", 80, "--learning-rate", 0.005)
    assert run(photos, *options, "-o", tmp_path / "d.pth")["val"]["average_precision"] > 0.6


def test_a_resumed_run_ends_where_an_unbroken_one_does(photos, tmp_path, monkeypatch):
    run(photos, *SMALL, "--epochs", 3, "-o", tmp_path / "whole.pth")
    from train.detector import training as detector_training

    class Killed(Exception):
        pass

    find_all = detector_training.find_all

    def killed_in_epoch_2(network, *others):
        if (tmp_path / "broken.state").exists():
            raise Killed
        return find_all(network, *others)

    monkeypatch.setattr(detector_training, "find_all", killed_in_epoch_2)
    with pytest.raises(Killed):
        run(photos, *SMALL, "--epochs", 3, "-o", tmp_path / "broken.pth")
    monkeypatch.setattr(detector_training, "find_all", find_all)
    other = refusal_of(photos, *SMALL, "--epochs", 3, "-o", tmp_path / "broken.pth", "--resume", "--seed", 1)
    assert "--seed 0, not 1" in other
    run(photos, *SMALL, "--epochs", 3, "-o", tmp_path / "broken.pth", "--resume", "--number-workers", 1)
    whole, broken = (json.loads((tmp_path / f"{name}.history.json").read_text()) for name in ("whole", "broken"))
    assert whole == broken
    assert not (tmp_path / "broken.state").exists()


def test_what_cannot_be_used_is_named_before_anything_is_read(photos, tmp_path):
    assert "--output d.onnx: a checkpoint ends in .pth" in refusal_of(photos, "-o", "d.onnx")
    assert "--size 70: must be a multiple of 32" in refusal_of(photos, "--size", 70)
    assert "annotations.json: No such file" in refusal_of(tmp_path, "-o", tmp_path / "d.pth")
    assert "no unfinished run" in refusal_of(photos, "-o", tmp_path / "d.pth", "--resume")
    missing = tmp_path / "yunet.onnx"
    assert "no such file" in refusal_of(photos, "-o", tmp_path / "d.pth", "--landmark-model", missing)


def test_a_training_that_diverges_is_named(photos, tmp_path, monkeypatch):
    from train.detector.training import DetectorTraining

    monkeypatch.setattr(DetectorTraining, "step", lambda self, views: (float("nan"), 1.0))
    line = refusal_of(photos, *SMALL, "-o", tmp_path / "d.pth", "--learning-rate", 50)
    assert "training diverged: --learning-rate 50 is too large" in line
    assert list(tmp_path.iterdir()) == []
