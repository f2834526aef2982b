"""From pictures to a running model: train, evaluate, export; and every path to an answer gives the same one."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from configs.schema import ClassifyConfig
from inference.backends import SHIPPED_INT8, SHIPPED_MODEL, open_backend
from inference.backends.backend import softmax
from inference.networks import PREPROCESSING, build_network
from inference.preprocess import prepare, resize_crop

ROOT = Path(__file__).resolve().parents[2]
COLOURS_BGR = {"green": (40, 200, 40), "red": (40, 40, 200), "blue": (200, 40, 40)}


@pytest.fixture(scope="module")
def torch():
    pytest.importorskip("torchvision")
    return pytest.importorskip("torch")


def run(*arguments):
    """The last line of the program's stdout, which is JSON."""
    command = [sys.executable, "-m", *(str(argument) for argument in arguments), "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=250)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def coloured_faces(tmp_path_factory):
    """Noisy patches whose class is their colour: 12 of each."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("faces")
    for name, colour in COLOURS_BGR.items():
        (folder / name).mkdir()
        for number in range(12):
            picture = (np.array(colour) + rng.normal(0, 25, (60, 50, 3))).clip(0, 255).astype(np.uint8)
            cv2.imwrite(str(folder / name / f"{number}.png"), picture)
    return folder


@pytest.fixture(scope="module")
def trained(torch, coloured_faces, tmp_path_factory):
    """One epoch of the small network, exported: (folder with m.pth and m.onnx, JSON of train)."""
    folder = tmp_path_factory.mktemp("model")
    small = ["--backbone", "MobileNetV3", "--weights", "none", "--epochs", 1, "--batch-size", 8]
    answer = run("train", coloured_faces, *small, "-o", folder / "m.pth")
    run("export", folder / "m.pth", "-o", folder / "m.onnx")
    return folder, answer


def test_training_reports_what_it_made(trained):
    folder, answer = trained
    assert answer["classes"] == ["blue", "green", "red"]
    assert answer["pictures"] == {"train": 24, "val": 6, "test": 6}
    assert answer["best_epoch"] == 1
    assert answer["model"] == str(folder / "m.pth")


def test_both_files_score_the_same(trained, coloured_faces):
    folder, _ = trained
    by_torch, by_onnx = (
        run("train.evaluate", folder / name, coloured_faces, "-o", folder / "plots") for name in ("m.pth", "m.onnx")
    )
    same = ("accuracy", "accuracy_ci95", "macro_f1", "classes", "confusion", "temperature", "split")
    assert {key: by_torch[key] for key in same} == {key: by_onnx[key] for key in same}


@pytest.mark.parametrize("backbone", ["FaceEnsemble", "EfficientNet", "BasicCNN", "ResNet"])
def test_train_eval_pytorch_and_onnx_decide_the_same(torch, tmp_path, backbone):
    """The parity test, on random weights: the same crops by the three ways that lead to an answer."""
    from export.__main__ import export
    from inference.checkpoint import ModelInfo, save_checkpoint
    from train.classifier.loop import logits_of

    torch.manual_seed(1)
    network = build_network(backbone, 3)
    with torch.no_grad():
        for _ in range(3):  # batch norm statistics that are not those of a new network
            network.train()(torch.rand(4, 3, PREPROCESSING[backbone].size, PREPROCESSING[backbone].size))
    info = ModelInfo(("a", "b", "c"), PREPROCESSING[backbone], backbone, temperature=0.7)
    save_checkpoint(tmp_path / "m.pth", network, info)
    export(tmp_path / "m.pth", tmp_path / "m.onnx")

    rng = np.random.default_rng(2)
    crops = [cv2.resize(rng.integers(0, 256, (3, 4, 3), np.uint8), (w, w)) for w in (40, 112, 300, 61, 224)]
    pixels = np.stack([resize_crop(crop, info.preprocessing.size) for crop in crops])
    logits = logits_of(network, pixels, info.preprocessing, torch.device("cpu"), batch_size=2)
    answers = [softmax(logits / info.temperature)]
    for name in ("m.pth", "m.onnx"):
        backend = open_backend(ClassifyConfig(model=str(tmp_path / name)))
        answers.append(backend.probabilities(prepare(crops, backend.preprocessing)))
    for other in answers[1:]:
        assert (other.argmax(axis=1) == answers[0].argmax(axis=1)).all()
        np.testing.assert_allclose(other, answers[0], atol=1e-5)


def test_the_same_seed_trains_the_same_network(torch, trained, coloured_faces, tmp_path):
    folder, _ = trained
    small = ["--backbone", "MobileNetV3", "--weights", "none", "--epochs", 1, "--batch-size", 8]
    run("train", coloured_faces, *small, "-o", tmp_path / "again.pth")
    first, again = (
        torch.load(path, weights_only=True)["weights"] for path in (folder / "m.pth", tmp_path / "again.pth")
    )
    assert all(torch.equal(first[name], again[name]) for name in first)


def test_a_mistake_of_the_user_is_one_line_and_no_traceback(tmp_path):
    for module, arguments in (("train", ["nowhere"]), ("train.evaluate", ["no.onnx", "."]), ("export", ["no.pth"])):
        if module != "train.evaluate":
            pytest.importorskip("torch")
        command = [sys.executable, "-m", module, *arguments]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
        assert done.returncode == 1
        assert done.stderr.startswith("maskstream: error: no")
        assert done.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_training_on_real_faces_learns(torch, tmp_path):
    """BasicCNN, 2 epochs, real faces: better than calling everything by the most frequent class (55 %)."""
    faces = ROOT / ".." / "shared" / "data" / "faces"
    if not faces.is_dir():
        pytest.skip("needs the faces of shared/data")
    command = [
        sys.executable,
        "-m",
        "train",
        faces,
        "--backbone",
        "BasicCNN",
        "--epochs",
        "2",
        "-o",
        tmp_path / "m.pth",
        "--json",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["test"]["accuracy"] > 0.65


def test_the_int8_file_that_ships_decides_as_the_fp32_file():
    faces = ROOT / ".." / "shared" / "data" / "faces" / "val"
    if not faces.is_dir():
        pytest.skip("needs the faces of shared/data")
    crops = [cv2.imread(str(path)) for path in sorted(faces.glob("*/*"))[::5]]
    decisions = []
    for file in (SHIPPED_MODEL, SHIPPED_INT8):
        backend = open_backend(ClassifyConfig(model=str(file)))
        decisions.append(backend.logits(prepare(crops, backend.preprocessing)).argmax(axis=1))
    assert len(crops) > 150
    assert (decisions[0] == decisions[1]).mean() >= 0.985


@pytest.mark.slow
def test_the_shipped_model_is_as_good_as_its_card_says():
    faces = ROOT / ".." / "shared" / "data" / "faces"
    if not faces.is_dir():
        pytest.skip("needs the faces of shared/data")
    scores = run("train.evaluate", SHIPPED_MODEL, faces)
    assert scores["accuracy"] > 0.92
    assert scores["macro_f1"] > 0.84
