"""The export command as users run it: every network passes the gate; what does not pass leaves all as it was."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from inference.checkpoint import ModelInfo, save_checkpoint
from inference.networks import HEADS, PREPROCESSING, build_network
from inference.preprocess import prepare

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("torchvision")

ROOT = Path(__file__).resolve().parents[2]
SHARED_FACES = ROOT / ".." / "shared" / "data" / "faces"


def run_export(*arguments):
    command = [sys.executable, "-m", "export", *(str(argument) for argument in arguments), "--json"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=250)


def report_of(done):
    return json.loads(done.stdout.splitlines()[-1])


def checkpoint(path, backbone, crops=()):
    """Random weights; with `crops`, the last bias is such that they are called this and that."""
    torch.manual_seed(1)
    info = ModelInfo(("mask", "no_mask", "wrong_mask"), PREPROCESSING[backbone], backbone, temperature=0.7)
    network = build_network(backbone, 3).eval()
    if crops:
        with torch.inference_mode():
            logits = network(torch.from_numpy(prepare(crops, info.preprocessing)))
            network.get_parameter(f"{HEADS[backbone]}.bias").sub_(logits.mean(dim=0))
    save_checkpoint(path, network, info)
    return path


@pytest.fixture(scope="module")
def patches(tmp_path_factory):
    """40 coloured patches in two class folders."""
    folder = tmp_path_factory.mktemp("patches")
    rng = np.random.default_rng(0)
    for name in ("mask", "no_mask"):
        (folder / name).mkdir()
        for number in range(20):
            patch = cv2.resize(rng.integers(0, 256, (3, 4, 3), np.uint8), (60, 50))
            cv2.imwrite(str(folder / name / f"{number}.png"), patch)
    return folder


def read(folder):
    return [cv2.imread(str(path)) for path in sorted(folder.rglob("*.png"))]


@pytest.mark.parametrize("backbone", ["BasicCNN", "FaceEnsemble", pytest.param("ResNet", marks=pytest.mark.slow)])
def test_every_network_passes_the_gate(tmp_path, patches, backbone):
    model = checkpoint(tmp_path / "m.pth", backbone, read(patches))
    done = run_export(model, "-o", tmp_path / "m.onnx", "--faces", patches, "--uint8-input")
    assert done.returncode == 0, done.stdout + done.stderr
    report = report_of(done)
    assert report["kept"]
    assert report["verdict"]["agreement"] == 1.0
    assert report["verdict"]["max_relative_difference"] < 1e-4
    assert 0 < report["verdict"]["accuracy_torch"] == report["verdict"]["accuracy_exported"]
    assert {check["name"] for check in report["verdict"]["checks"]} == {
        "onnx.checker", "runs alone", "provider", "metadata", "preprocessing", "logits", "decisions",
    }  # fmt: skip
    assert set(report["ms_per_face"]) == set(report["size_mb"]) == {"torch", "fp32", "fp32 uint8 in"}
    assert json.loads((tmp_path / "m.report.json").read_text()) == report
    assert sorted(path.name for path in tmp_path.iterdir()) == ["m.onnx", "m.pth", "m.report.json"]


def test_a_checkpoint_that_passed_the_gate_is_a_version_of_a_repository(tmp_path, patches):
    model = checkpoint(tmp_path / "m.pth", "BasicCNN", read(patches))
    options = ("--triton", tmp_path / "repository", "--triton-name", "mine")
    done = run_export(model, *options, "--faces", patches)
    assert done.returncode == 0, done.stdout + done.stderr
    assert report_of(done)["input"] == "uint8 NHWC BGR"
    served = tmp_path / "repository" / "mine" / "1" / "model.onnx"
    assert served.read_bytes() == (tmp_path / "m.onnx").read_bytes()
    (tmp_path / "other" / "mine").mkdir(parents=True)
    (tmp_path / "other" / "mine" / "notes.txt").write_text("not ours")
    refused = run_export(model, "--triton", tmp_path / "other", "--triton-name", "mine", "-o", tmp_path / "n.onnx")
    assert refused.returncode != 0
    assert "its mine was not made by maskstream" in refused.stderr
    assert not (tmp_path / "n.onnx").exists()


def test_a_refused_file_leaves_the_older_one_and_its_report(patches, tmp_path, tmp_path_factory):
    """Quantised by black pictures: the ranges are too narrow for any face."""
    black = tmp_path_factory.mktemp("black")
    for number in range(5):
        cv2.imwrite(str(black / f"{number}.png"), np.zeros((20, 20, 3), np.uint8))
    small = checkpoint(tmp_path_factory.mktemp("small") / "m.pth", "MobileNetV3", read(patches))
    (tmp_path / "m.onnx").write_text("older")
    (tmp_path / "m.report.json").write_text("its report")
    tested = ["--calibrate", black, "--faces", patches, "--max-disagreement", 0]  # the second try changes 1 of 40
    done = run_export(small, "-o", tmp_path / "m.onnx", "--int8", *tested)
    assert done.returncode == 1
    assert not report_of(done)["kept"]
    assert report_of(done)["ms_per_face"] == {}
    assert done.stderr.startswith(f"maskstream: error: {tmp_path / 'm.onnx'}: refused: decisions: ")
    assert done.stderr.count("\n") == 1
    assert (tmp_path / "m.onnx").read_text() == "older"
    assert (tmp_path / "m.report.json").read_text() == "its report"
    assert len(list(tmp_path.iterdir())) == 2


@pytest.mark.slow
def test_basic_cnn_as_int8_decides_real_faces_as_before(tmp_path):
    if not SHARED_FACES.is_dir():
        pytest.skip("needs the faces of shared/data")
    model = checkpoint(tmp_path / "m.pth", "BasicCNN")
    folders = ["--calibrate", SHARED_FACES / "val", "--faces", SHARED_FACES / "test"]
    done = run_export(model, "-o", tmp_path / "m.onnx", "--int8", *folders)
    assert done.returncode == 0, done.stdout + done.stderr
    assert report_of(done)["verdict"]["agreement"] >= 0.99
