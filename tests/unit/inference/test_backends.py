"""Backends: the same decisions from every path, the device that was asked for, and clear refusals."""

import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest

from configs.errors import InputError
from configs.schema import ClassifyConfig
from inference.backends import SHIPPED_INT8, SHIPPED_MODEL, model_file, open_backend
from inference.backends.backend import softmax, varied_faces
from inference.backends.device import parse_device
from inference.preprocess import prepare


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch")


@pytest.fixture(scope="module")
def crops():
    rng = np.random.default_rng(5)
    return [rng.integers(0, 256, (*rng.integers(30, 300, 2), 3), np.uint8) for _ in range(5)]


def linear_onnx(path, classes=2, batch="batch", size=4, metadata=None, last=("Flatten",)):
    """A model file of one layer: its outputs are the sums of the red, green, ... pixels."""
    onnx = pytest.importorskip("onnx")
    from onnx import TensorProto, helper, numpy_helper

    kernel = np.zeros((classes, 3, size, size), np.float32)
    for output in range(classes):
        kernel[output, output % 3] = 1
    graph = helper.make_graph(
        [helper.make_node("Conv", ["x", "w"], ["c"]), helper.make_node(last[0], ["c", *last[1:]], ["y"])],
        "linear",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [batch, 3, size, size])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(kernel, "w"), numpy_helper.from_array(np.array([1, classes]), "one_face")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    if metadata:
        helper.set_model_props(model, metadata)
    onnx.save(model, path)
    return str(path)


def test_the_shipped_model_needs_nothing_but_itself(crops):
    backend = open_backend(ClassifyConfig())
    assert backend.classes == ("mask", "no_mask", "wrong_mask")
    assert backend.provider == "CPUExecutionProvider"
    answers = backend.probabilities(prepare(crops, backend.preprocessing))
    assert answers.shape == (5, 3)
    assert answers.dtype == np.float32
    np.testing.assert_allclose(answers.sum(axis=1), 1, rtol=1e-5)
    assert SHIPPED_MODEL.stat().st_size < 12e6


@pytest.mark.parametrize(
    ("device", "file"), [("cpu", SHIPPED_INT8), ("cuda", SHIPPED_MODEL), ("cuda:1", SHIPPED_MODEL)]
)
def test_the_model_that_ships_is_int8_on_a_cpu_and_fp32_on_cuda(device, file):
    assert model_file(ClassifyConfig(device=device)) == file
    assert model_file(ClassifyConfig(device=device, model="own.onnx")) == Path("own.onnx")


@pytest.mark.parametrize(("built_in", "file"), [(True, SHIPPED_MODEL), (False, SHIPPED_INT8)])
def test_any_device_gets_the_file_for_what_onnx_runtime_was_built_with(built_in, file, monkeypatch):
    monkeypatch.setattr("inference.backends.device.cuda_built_in", lambda: built_in)
    assert model_file(ClassifyConfig(device="auto")) == file


def test_a_face_gets_the_same_answer_alone_and_in_any_batch(crops):
    backend = open_backend(ClassifyConfig())
    faces = prepare(crops, backend.preprocessing)
    alone = np.concatenate([backend.probabilities(face[None]) for face in faces])
    np.testing.assert_allclose(backend.probabilities(faces), alone, atol=1e-5)


def test_swapped_red_and_blue_change_the_answer(tmp_path):
    backend = open_backend(ClassifyConfig(model=linear_onnx(tmp_path / "m.onnx", 3), classes=("red", "green", "blue")))
    red_bgr = np.full((50, 50, 3), (0, 0, 200), np.uint8)
    right, swapped = backend.probabilities(prepare([red_bgr, red_bgr[..., ::-1]], backend.preprocessing))
    assert backend.classes[right.argmax()] == "red"
    assert backend.classes[swapped.argmax()] == "blue"


def test_probabilities_are_softened_by_the_temperature_of_the_file(tmp_path):
    info = {"classes": ["a", "b"], "preprocessing": {"size": 4}, "temperature": 2.0}
    metadata = {"maskstream": msgspec.json.encode(info).decode()}
    backend = open_backend(ClassifyConfig(model=linear_onnx(tmp_path / "m.onnx", metadata=metadata)))
    faces = np.zeros((1, 3, 4, 4), np.float32)
    faces[0, 0, 0, 0] = 1.0
    np.testing.assert_allclose(backend.probabilities(faces), softmax(np.array([[0.5, 0.0]])), rtol=1e-6)


def test_basic_cnn_from_bare_weights_is_the_softmax_of_plain_torch(tmp_path, torch, crops):
    plain = torch.nn.Sequential(
        torch.nn.Conv2d(3, 64, 5), torch.nn.ReLU(), torch.nn.MaxPool2d(7, 7),
        torch.nn.Conv2d(64, 128, 3, 1, 1), torch.nn.ReLU(), torch.nn.MaxPool2d(2, 2),
        torch.nn.Flatten(), torch.nn.Linear(128 * 18 * 18, 512), torch.nn.ReLU(),
        torch.nn.Linear(512, 64), torch.nn.ReLU(), torch.nn.Dropout(), torch.nn.Linear(64, 3),
    ).eval()  # fmt: skip
    torch.save(plain.state_dict(), tmp_path / "bare.pth")
    backend = open_backend(ClassifyConfig(model=str(tmp_path / "bare.pth"), classes=("a", "b", "c")))
    assert backend.provider == "torch cpu"
    import cv2

    picture = cv2.resize(crops[0], (256, 256), interpolation=cv2.INTER_AREA if crops[0].size > 3 * 256**2 else 1)
    rgb = torch.from_numpy(picture[..., ::-1].copy()).permute(2, 0, 1)[None] / 255
    with torch.inference_mode():
        expected = plain(rgb).softmax(dim=1).numpy()
    np.testing.assert_allclose(backend.probabilities(prepare(crops[:1], backend.preprocessing)), expected, atol=1e-6)


def test_an_onnx_file_without_class_names_says_how_to_give_them(tmp_path):
    path = linear_onnx(tmp_path / "m.onnx")
    with pytest.raises(InputError, match=r"m\.onnx: holds no class names; .*--classes a,b,c"):
        open_backend(ClassifyConfig(model=path))
    assert open_backend(ClassifyConfig(model=path, classes=("with", "without"))).classes == ("with", "without")


def test_the_number_of_class_names_must_be_that_of_the_outputs(tmp_path):
    path = linear_onnx(tmp_path / "m.onnx", classes=2)
    with pytest.raises(InputError, match="2 outputs, but 3 class names"):
        open_backend(ClassifyConfig(model=path, classes=("a", "b", "c")))


@pytest.mark.parametrize(
    ("batch", "last"), [(1, ("Flatten",)), ("batch", ("Reshape", "one_face"))], ids=["1", "inside"]
)
def test_a_model_that_takes_one_face_at_a_time_gets_them_one_by_one(tmp_path, caplog, batch, last):
    free = open_backend(ClassifyConfig(model=linear_onnx(tmp_path / "free.onnx"), classes=("a", "b")))
    fixed = linear_onnx(tmp_path / "m.onnx", batch=batch, last=last)
    backend = open_backend(ClassifyConfig(model=fixed, classes=("a", "b")))
    assert "m.onnx: it takes one face at a time" in caplog.text
    faces = varied_faces(backend.preprocessing)
    np.testing.assert_allclose(backend.logits(faces), free.logits(faces), rtol=1e-5)


@pytest.mark.parametrize("faces", [1, 2, 3, 4])
def test_a_batch_that_is_fixed_is_filled_up(tmp_path, faces):
    fixed = linear_onnx(tmp_path / "m.onnx", batch=3)
    backend = open_backend(ClassifyConfig(model=fixed, classes=("a", "b")))
    free = open_backend(ClassifyConfig(model=linear_onnx(tmp_path / "free.onnx"), classes=("a", "b")))
    given = varied_faces(backend.preprocessing)[:faces]
    np.testing.assert_allclose(backend.logits(given), free.logits(given), rtol=1e-5)


def test_a_model_whose_output_is_no_row_per_face_is_refused(tmp_path):
    path = linear_onnx(tmp_path / "m.onnx", last=("Expand", "one_face"))
    with pytest.raises(
        InputError, match=r"must give a row of numbers for each face, of 4 faces it gives \(4, 2, 1, 2\)"
    ):
        open_backend(ClassifyConfig(model=path, classes=("a", "b")))


@pytest.mark.parametrize("name", ["m.onnx", "m.pth", "m.txt"])
def test_a_text_file_as_model_gives_one_line(tmp_path, name):
    (tmp_path / name).write_text("hello")
    if name == "m.pth":
        pytest.importorskip("torch")
    with pytest.raises(InputError, match=name) as refusal:
        open_backend(ClassifyConfig(model=str(tmp_path / name)))
    assert "\n" not in str(refusal.value)


def test_a_model_that_is_not_there_is_named():
    with pytest.raises(InputError, match=r"nowhere\.onnx: no such model file"):
        open_backend(ClassifyConfig(model="nowhere.onnx"))


def test_a_model_that_takes_neither_floats_nor_pixels_is_refused(tmp_path):
    onnx = pytest.importorskip("onnx")
    content = onnx.load(linear_onnx(tmp_path / "m.onnx"))
    content.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.INT32
    content.graph.node[0].input[0] = "floats"
    content.graph.node.insert(0, onnx.helper.make_node("Cast", ["x"], ["floats"], to=onnx.TensorProto.FLOAT))
    onnx.save(content, tmp_path / "m.onnx")
    with pytest.raises(InputError, match=r"float \(batch, 3, size, size\) or uint8 .*; it is tensor\(int32\)"):
        open_backend(ClassifyConfig(model=str(tmp_path / "m.onnx"), classes=("a", "b")))


def test_metadata_of_another_size_are_refused(tmp_path):
    info = {"classes": ["a", "b"], "preprocessing": {"size": 8}}
    path = linear_onnx(tmp_path / "m.onnx", metadata={"maskstream": msgspec.json.encode(info).decode()})
    with pytest.raises(InputError, match="metadata are of another model"):
        open_backend(ClassifyConfig(model=path))


def test_metadata_of_another_kind_are_named(tmp_path):
    path = linear_onnx(tmp_path / "m.onnx", metadata={"maskstream": '{"classes": 3}'})
    with pytest.raises(InputError, match="metadata cannot be read"):
        open_backend(ClassifyConfig(model=path))


def test_cuda_without_cuda_is_an_error_and_not_the_cpu():
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    with pytest.raises(InputError, match=r"--device cuda: .*onnxruntime-gpu.*--device cpu"):
        open_backend(ClassifyConfig(device="cuda"))


def test_cuda_without_cuda_is_an_error_for_pytorch_too(tmp_path, torch):
    if torch.cuda.is_available():
        pytest.skip("this PyTorch has CUDA")
    (tmp_path / "m.pth").write_bytes(b"")
    with pytest.raises(InputError, match="--device cuda:3: PyTorch finds no CUDA devices"):
        open_backend(ClassifyConfig(model=str(tmp_path / "m.pth"), device="cuda:3"))


def test_auto_says_what_it_chose(caplog):
    with caplog.at_level("INFO"):
        backend = open_backend(ClassifyConfig(device="auto"))
    assert f"chose {backend.provider}" in caplog.text


@pytest.mark.parametrize("device", ["", "gpu", "cuda:", "cuda:x", "cuda:-1", "cpu:0"])
def test_unknown_devices_are_refused(device):
    with pytest.raises(InputError, match="known are cpu, cuda, cuda:N and auto"):
        parse_device(device)


def test_a_pth_model_without_pytorch_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "m.pth").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InputError, match=r"m\.pth: a \.pth model needs torch.*\[train\]"):
        open_backend(ClassifyConfig(model=str(tmp_path / "m.pth")))
