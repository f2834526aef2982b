"""The export of a detector: an exported file answers as PyTorch does, or it is not there."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from configs.errors import Failure, InputError  # noqa: E402
from export import detector  # noqa: E402
from export.__main__ import export  # noqa: E402
from export.gate import Verdict  # noqa: E402
from inference.detectors.maskface_file import DetectorInfo, save_detector  # noqa: E402
from inference.networks.maskface_net import MaskFace  # noqa: E402

INFO = DetectorInfo(score=0.02)  # a random network is sure of nothing


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    torch.manual_seed(0)
    network = MaskFace()
    network(torch.rand(4, 3, 64, 64) * 255)
    path = tmp_path_factory.mktemp("model") / "d.pth"
    save_detector(path, network, INFO)
    return path


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    for number, (height, width) in enumerate([(60, 100), (130, 64), (90, 200)]):
        noise = cv2.resize(rng.integers(0, 256, (9, 9, 3), np.uint8), (width, height))
        cv2.imwrite(str(folder / f"{number}.png"), noise)
    return folder


@pytest.fixture(scope="module")
def exported(checkpoint, photos):
    path = checkpoint.with_name("d.onnx")
    export(checkpoint, path, photos=photos)
    return path


def test_the_file_is_what_the_pipeline_relies_on(exported):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(exported), providers=["CPUExecutionProvider"])
    assert [(one.name, one.shape, one.type) for one in session.get_inputs()] == [
        ("image", [1, 3, "H", "W"], "tensor(float)")
    ]
    assert [(one.name, one.shape) for one in session.get_outputs()] == [("boxes", ["N", 4]), ("scores", ["N"])]
    said = json.loads(session.get_modelmeta().custom_metadata_map["maskstream"])
    assert said == {"kind": "detector", "name": "maskface", "score": 0.02, "nms_iou": INFO.nms_iou}
    assert exported.stat().st_size < 500_000
    for height, width in ((32, 32), (64, 160), (256, 320)):
        boxes, scores = session.run(["boxes", "scores"], {"image": np.zeros((1, 3, height, width), np.float32)})
        assert boxes.shape == (height * width * 21 // 1024, 4)
        assert scores.shape == boxes.shape[:1]
        assert 0 <= scores.min() <= scores.max() <= 1


def test_the_file_does_not_tell_where_it_was_made(exported):
    assert b"site-packages" not in exported.read_bytes()
    assert b"maskface_net.py" not in exported.read_bytes()


def test_the_report_says_what_was_compared(exported):
    report = json.loads(exported.with_suffix(".report.json").read_text())
    assert report["kept"] is True
    names = [check["name"] for check in report["verdict"]["checks"]]
    assert names == ["onnx.checker", "runs alone", "metadata", "scores", "boxes", "decisions"]
    assert report["ms_per_picture"].keys() == {"torch", "onnx"}


def test_a_file_of_other_weights_is_refused_and_an_older_one_stays(exported, photos, tmp_path, monkeypatch):
    def with_other_weights(network, info, path, opset):
        content = onnx.load(exported)
        for weight in content.graph.initializer:
            if weight.name.endswith("answer.bias"):
                values = onnx.numpy_helper.to_array(weight) * np.float32(1.01)
                weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
        onnx.save(content, path)

    monkeypatch.setattr(detector, "write_detector", with_other_weights)
    (tmp_path / "d.onnx").write_text("older")
    with pytest.raises(Failure, match=r"refused: scores: .* differ by up to"):
        export(exported.with_name("d.pth"), tmp_path / "d.onnx", photos=photos)
    assert [path.name for path in tmp_path.iterdir()] == ["d.onnx"]
    assert (tmp_path / "d.onnx").read_text() == "older"


def test_a_file_that_cannot_be_run_is_refused(exported, photos, tmp_path, monkeypatch):
    def with_another_input(network, info, path, opset):
        content = onnx.load(exported)
        for node in content.graph.node:
            node.input[:] = ["picture" if name == "image" else name for name in node.input]
        content.graph.input[0].name = "picture"
        onnx.save(content, path)

    monkeypatch.setattr(detector, "write_detector", with_another_input)
    with pytest.raises(Failure, match="refused: runs alone: ONNX Runtime cannot run it"):
        export(exported.with_name("d.pth"), tmp_path / "d.onnx", photos=photos)
    assert list(tmp_path.iterdir()) == []


def test_boxes_that_moved_are_refused():
    scores, boxes = np.array([0.9, 0.1]), np.zeros((2, 4))
    verdict = Verdict()
    detector.weigh_answers(verdict, [(boxes + 0.1, scores)], [(boxes, scores)], INFO)
    assert verdict.refusal.startswith("boxes: edges differ by up to 1.0e-01 px")


def test_answers_that_are_no_numbers_are_refused():
    scores, boxes = np.array([0.9, 0.1]), np.zeros((2, 4))
    verdict = Verdict()
    detector.weigh_answers(verdict, [(boxes, scores * np.nan)], [(boxes, scores)], INFO)
    assert verdict.refusal.startswith("scores")


@pytest.mark.parametrize(
    ("options", "line"),
    [
        ({}, "a detector is tested on real photographs: give a folder of them by --photos"),
        ({"int8": True, "calibrate": "photos"}, "--int8: is for classifiers"),
        ({"classes": "a,b"}, "--classes: is for classifiers"),
        ({"device": "cuda"}, "--device cuda: is for classifiers"),
        ({"photos": "nowhere"}, "--photos nowhere: no such folder"),
    ],
)
def test_options_that_a_detector_does_not_have_are_named(checkpoint, tmp_path, options, line):
    given = {name: Path(value) if name in ("photos", "calibrate") else value for name, value in options.items()}
    with pytest.raises(InputError, match=line):
        export(checkpoint, tmp_path / "d.onnx", **given)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_without_pictures_is_named(checkpoint, tmp_path):
    with pytest.raises(InputError, match="no pictures in it"):
        export(checkpoint, tmp_path / "d.onnx", photos=tmp_path)
