"""The runner of our own detector reads what its file says, keeps the likely boxes, and refuses other files."""

import json

import numpy as np
import pytest

from configs.errors import InputError
from configs.schema import DetectConfig
from inference.backends import SHIPPED_MODEL
from inference.detectors import open_detector
from inference.detectors.detector import shrink
from transport.frame import Box

onnx = pytest.importorskip("onnx")

INFO = {"kind": "detector", "name": "maskface", "score": 0.5, "nms_iou": 0.4, "learnt_on": "nothing"}
BOXES = [[10, 20, 60, 90], [12, 22, 62, 92], [100, 30, 130, 70], [200, 10, 240, 60]]
SCORES = [0.9, 0.8, 0.6, 0.3]


def write_detector(path, info=INFO, boxes=BOXES, scores=SCORES):
    """A network that always answers the same, and fails for a side that is no multiple of 32."""
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    constants = {
        "all_boxes": np.array(boxes, np.float32),
        "all_scores": np.array(scores, np.float32),
        "stride_shape": np.array([1, 3, -1, 32], np.int64),
        "zero": np.array(0, np.float32),
    }
    nodes = [
        helper.make_node("Reshape", ["image", "stride_shape"], ["rows"]),
        helper.make_node("ReduceSum", ["rows"], ["sum"], keepdims=0),
        helper.make_node("Mul", ["sum", "zero"], ["nothing"]),
        helper.make_node("Add", ["all_boxes", "nothing"], ["boxes"]),
        helper.make_node("Add", ["all_scores", "nothing"], ["scores"]),
    ]
    graph = helper.make_graph(
        nodes,
        "detector",
        [helper.make_tensor_value_info("image", 1, [1, 3, "height", "width"])],
        [helper.make_tensor_value_info("boxes", 1, None), helper.make_tensor_value_info("scores", 1, None)],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    if info is not None:
        helper.set_model_props(model, {"maskstream": json.dumps(info)})
    onnx.save(model, str(path))
    return str(path)


@pytest.fixture
def model(tmp_path):
    return write_detector(tmp_path / "tiny.onnx")


def opened(model, **options):
    return open_detector(DetectConfig(detector="maskface", model=model, verify=False, **options))


@pytest.fixture
def picture():
    return shrink(np.full((200, 300, 3), 128, np.uint8), 320)


def test_likely_boxes_without_doubles_come_from_left_to_right(model, picture):
    detector = opened(model)
    assert detector.name == "maskface tiny.onnx"
    assert detector.rectangles(picture) == [Box(10, 20, 50, 70), Box(100, 30, 30, 40)]


def test_the_least_score_can_be_set(model, picture):
    assert len(opened(model, score=0.2).rectangles(picture)) == 3
    assert len(opened(model, score=0.7).rectangles(picture)) == 1
    assert opened(model, score=0.95).rectangles(picture) == []


def test_boxes_are_in_px_of_the_picture_that_was_given(model):
    half = opened(model, width=320).find(np.zeros((480, 640, 3), np.uint8))
    assert [round(box.width / 2) for box in half] == [round(opened(model).mapping.width * side) for side in (50, 30)]


def test_faces_of_another_size_than_asked_for_are_left_out(model, picture):
    assert opened(model, min_face=0.3).rectangles(picture) == [Box(10, 20, 50, 70)]
    assert opened(model, max_face=0.3).rectangles(picture) == [Box(100, 30, 30, 40)]


@pytest.mark.parametrize("size", [(1, 1), (32, 64), (241, 319)])
def test_a_picture_of_any_size_is_padded(model, size):
    opened(model).find(np.zeros((*size, 3), np.uint8))


def test_a_missing_file_is_named():
    with pytest.raises(InputError, match=r"nowhere\.onnx: no such model file"):
        opened("nowhere.onnx")


@pytest.mark.parametrize("info", [None, {"kind": "verifier"}, INFO | {"score": "high"}])
def test_a_file_that_does_not_say_that_it_is_a_detector_is_refused(tmp_path, info):
    with pytest.raises(InputError, match=r"other\.onnx: is no face detector of maskstream"):
        opened(write_detector(tmp_path / "other.onnx", info))


def test_a_classifier_is_refused():
    with pytest.raises(InputError, match=r"face_mask\.onnx: is no face detector"):
        opened(str(SHIPPED_MODEL))


def test_outputs_that_do_not_fit_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"odd\.onnx: cannot be run as a detector: its boxes and scores"):
        opened(write_detector(tmp_path / "odd.onnx", boxes=[[0, 0, 1]], scores=[0.9]))


def test_what_is_no_onnx_file_is_refused(tmp_path):
    (tmp_path / "text.onnx").write_text("I am no model\n" * 100)
    with pytest.raises(InputError, match=r"text\.onnx: not a model"):
        opened(str(tmp_path / "text.onnx"))
