"""The export command: what cannot be exported is named in one line before any work is done."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from configs.errors import InputError
from inference.checkpoint import ModelInfo, save_checkpoint
from inference.networks import PREPROCESSING, build_network

torch = pytest.importorskip("torch")
pytest.importorskip("onnx")
pytest.importorskip("torchvision")

from export.__main__ import export, gather_faces  # noqa: E402
from export.faces import choose, face_files, read_faces, synthetic_faces  # noqa: E402
from export.gate import Demand  # noqa: E402

INFO = ModelInfo(("mask", "no_mask"), PREPROCESSING["MobileNetV3"], "MobileNetV3")
INT8 = Demand("int8", False, "cpu", 0.02)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "m.pth"
    save_checkpoint(path, build_network("MobileNetV3", 2), INFO)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """100 pictures of mask, 20 of no_mask, 3 in a folder that is no class; one broken."""
    root = tmp_path_factory.mktemp("faces")
    rng = np.random.default_rng(0)
    for name, count in (("mask", 100), ("no_mask", 20), ("other", 3)):
        (root / name).mkdir()
        for number in range(count):
            cv2.imwrite(str(root / name / f"{number}.png"), rng.integers(0, 256, (9, 9, 3), np.uint8))
    (root / "mask" / "broken.jpg").write_text("no picture")
    return root


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({"output": "m.pt"}, r"--output m\.pt: an ONNX file ends in \.onnx"),
        ({"int8": True}, "--int8: needs real faces to quantise with; give a folder by --calibrate"),
        ({"fp16": True}, "--fp16: needs real faces to be tested on; give a folder by --faces"),
        ({"int8": True, "fp16": True}, "--int8 --fp16: choose one"),
        ({"calibrate": "faces"}, "--calibrate: is for --int8 only"),
        ({"faces": "nowhere"}, "nowhere: no such folder"),
        ({"device": "gpu"}, "--device gpu: known are"),
        ({"device": "auto"}, "--device auto: name the device"),
    ],
)
def test_options_that_cannot_be_met_are_named(checkpoint, tmp_path, monkeypatch, options, line):
    monkeypatch.chdir(tmp_path)
    paths = {key: Path(options[key]) for key in ("output", "calibrate", "faces") if key in options}
    with pytest.raises(InputError, match=line) as refusal:
        export(checkpoint, **(options | paths))
    assert "\n" not in str(refusal.value)
    assert not any(tmp_path.iterdir())


def test_what_is_no_checkpoint_is_named(tmp_path):
    with pytest.raises(InputError, match=r"no\.pth: cannot be read"):
        export(tmp_path / "no.pth", tmp_path / "m.onnx")
    with pytest.raises(InputError, match=r"m\.onnx: is exported already; give the \.pth"):
        export(tmp_path / "m.onnx")
    (tmp_path / "m.onnx").mkdir()
    with pytest.raises(InputError, match=r"--output .*m\.onnx: is a folder"):
        export(tmp_path / "m.pth")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match=r"--output .*cannot be written: .*file is no folder"):
        export(tmp_path / "m.pth", tmp_path / "file" / "new" / "m.onnx")


def test_folders_without_faces_are_named(checkpoint, folder, tmp_path):
    with pytest.raises(InputError, match="holds no pictures"):
        export(checkpoint, faces=tmp_path)
    for number in range(7):
        (tmp_path / f"{number}.png").write_text("no picture")
    with pytest.raises(InputError, match="none of its pictures can be read"):
        export(checkpoint, faces=tmp_path)
    with pytest.raises(InputError, match="3 faces to test on: too few, at least 7"):
        export(checkpoint, faces=folder / "other")


def test_one_percent_cannot_be_tested_on_fewer_than_a_hundred_faces(folder):
    with pytest.raises(InputError, match="20 faces to test on: too few, at least 100"):
        gather_faces(INFO, Demand("fp16", False, "cpu", 0.01), None, folder / "no_mask")


def test_a_face_that_calibrates_does_not_test(folder):
    calibration, test_faces = gather_faces(INFO, INT8, folder, None)
    pixels = [{crop.tobytes() for crop in faces.crops} for faces in (calibration, test_faces)]
    assert len(pixels[0]) + len(pixels[1]) == 123
    assert not pixels[0] & pixels[1]
    calibration, test_faces = gather_faces(INFO, INT8, folder / "no_mask", folder)
    assert (len(calibration.crops), len(test_faces.crops)) == (20, 103)
    assert gather_faces(INFO, INT8, folder, folder)[1].origin == f"62 faces of {folder}"
    with pytest.raises(InputError, match="0 faces to test on: too few"):
        gather_faces(INFO, INT8, folder, folder / "no_mask")


def test_calibration_takes_as_many_faces_of_each_class_and_always_the_same(folder):
    chosen = choose(face_files(folder), 43, balanced=True)
    assert sorted(path.parent.name for path in chosen) == ["mask"] * 20 + ["no_mask"] * 20 + ["other"] * 3
    assert choose(face_files(folder), 43, balanced=True) == chosen


def test_a_broken_picture_is_named_and_left_out_and_a_folder_that_is_no_class_gives_no_label(folder, caplog):
    faces = read_faces(face_files(folder), INFO.classes, folder)
    assert {label: faces.labels.count(label) for label in faces.labels} == {"mask": 100, "no_mask": 20, "": 3}
    assert "broken.jpg: left out: not a whole image" in caplog.text


def test_without_faces_fp32_is_tested_on_synthetic_pictures_and_says_so():
    calibration, test_faces = gather_faces(INFO, Demand("fp32", False, "cpu", 0.01), None, None)
    assert calibration is None
    assert test_faces.origin == "32 synthetic pictures"
    assert all((a == b).all() for a, b in zip(test_faces.crops, synthetic_faces(32).crops, strict=True))
