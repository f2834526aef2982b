"""Exported files: what they carry, what they take, and in which precision they compute."""

import copy

import numpy as np
import pytest

from configs.errors import InputError
from configs.schema import ClassifyConfig
from inference.backends import SHIPPED_INT8, open_backend
from inference.backends.backend import softmax
from inference.checkpoint import ModelInfo
from inference.classify import probabilities_of
from inference.preprocess import Preprocessing, crop_face, prepare
from transport.frame import Box

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("torchvision")

from export.__main__ import make  # noqa: E402
from export.faces import synthetic_faces  # noqa: E402
from export.gate import Demand  # noqa: E402
from export.onnx_file import write_onnx  # noqa: E402
from export.precision import to_int8  # noqa: E402

INFO = ModelInfo(("red", "green"), Preprocessing(24, margin=1.3), temperature=1.5)
FACES = synthetic_faces(40)


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(3)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(4), torch.nn.Flatten(),
        torch.nn.Linear(128, 2),
    ).eval()  # fmt: skip


@pytest.fixture(scope="module")
def plain(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "plain.onnx"
    write_onnx(network, INFO, path)
    return path


def made(plain, tmp_path, precision="fp32", normalised_inside=False):
    path = tmp_path / "m.onnx"
    calibration = FACES if precision == "int8" else None
    make(plain, path, INFO, Demand(precision, normalised_inside, "cpu", 0.01), calibration)
    return path


def opened(path):
    return open_backend(ClassifyConfig(model=str(path)))


def test_the_file_carries_all_that_the_checkpoint_does(plain):
    assert opened(plain).info == INFO
    assert opened(plain).precision == "fp32"


def test_the_file_tells_nothing_of_the_machine_that_made_it(plain):
    content = plain.read_bytes()
    assert b"site-packages" not in content
    assert b".py" not in content


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
@pytest.mark.parametrize("normalised_inside", [False, True], ids=["float in", "uint8 in"])
def test_every_kind_of_file_answers_as_the_network_does(network, plain, tmp_path, precision, normalised_inside):
    backend = opened(made(plain, tmp_path, precision, normalised_inside))
    assert backend.precision == precision
    batch = prepare(FACES.crops, backend.preprocessing)
    assert batch.dtype == (np.uint8 if normalised_inside else np.float32)
    with torch.inference_mode():
        logits = network(torch.from_numpy(prepare(FACES.crops, INFO.preprocessing))).numpy()
    span = np.ptp(logits, axis=0).max()
    allowed = {"fp32": 1e-5, "fp16": 5e-3, "int8": 0.1}[precision]
    assert np.abs(backend.logits(batch) - logits).max() < allowed * span
    np.testing.assert_allclose(backend.probabilities(batch), softmax(logits / 1.5), atol=allowed)


def test_pixels_are_normalised_inside_as_outside_to_the_last_bit(plain, tmp_path):
    outside, inside = opened(plain), opened(made(plain, tmp_path, normalised_inside=True))
    answers = [backend.logits(prepare(FACES.crops, backend.preprocessing)) for backend in (outside, inside)]
    np.testing.assert_array_equal(*answers)


def test_a_pipeline_gets_the_same_predictions_from_a_file_of_pixels(plain, tmp_path):
    image = np.random.default_rng(4).integers(0, 256, (240, 320, 3), np.uint8)
    answers = []
    for path in (plain, made(plain, tmp_path, normalised_inside=True)):
        backend = opened(path)
        crops = [crop_face(image, Box(x, 30, 60, 70), backend.preprocessing.margin) for x in (10, 120, 240)]
        answers.append(np.array(list(probabilities_of(crops, backend, max_batch=2))))
    assert np.array_equal(answers[0], answers[1])


def types(path):
    return {weight.data_type for weight in onnx.load(path).graph.initializer}


def test_int8_has_a_scale_for_each_channel_and_unsigned_activations(plain, tmp_path):
    content = onnx.load(made(plain, tmp_path, "int8"))
    shapes = {weight.name: list(weight.dims) for weight in content.graph.initializer}
    zero_points = {weight.name: weight.data_type for weight in content.graph.initializer}
    activations = [node for node in content.graph.node if node.op_type == "QuantizeLinear"]
    assert len(activations) >= 3
    assert {zero_points[node.input[2]] for node in activations} == {onnx.TensorProto.UINT8}
    [conv] = [node for node in content.graph.node if node.op_type == "Conv"]
    [weights] = [node for node in content.graph.node if node.output[0] == conv.input[1]]
    assert weights.op_type == "DequantizeLinear"
    assert shapes[weights.input[1]] == [8]
    assert zero_points[weights.input[0]] == onnx.TensorProto.INT8


def test_fp16_halves_the_weights_and_keeps_float32_outside(plain, tmp_path):
    path = made(plain, tmp_path, "fp16")
    assert types(path) & {onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16} == {onnx.TensorProto.FLOAT16}
    graph = onnx.load(path).graph
    assert {end.type.tensor_type.elem_type for end in (*graph.input, *graph.output)} == {onnx.TensorProto.FLOAT}


@pytest.mark.parametrize("opset", [18, 25])
def test_the_opset_is_that_which_was_asked_for(network, tmp_path, opset):
    write_onnx(network, INFO, tmp_path / "plain.onnx", opset)
    for precision in ("fp32", "fp16", "int8"):
        path = made(tmp_path / "plain.onnx", tmp_path, precision)
        assert onnx.load(path).opset_import[0].version == opset
        assert opened(path).precision == precision


def test_an_opset_that_the_network_cannot_be_written_in_is_an_error(network, tmp_path):
    with pytest.raises(InputError, match="--opset 17"):
        write_onnx(network, INFO, tmp_path / "m.onnx", 17)


def test_a_file_of_pixels_that_does_not_say_which_colours_is_refused(plain, tmp_path):
    path = made(plain, tmp_path, normalised_inside=True)
    content = onnx.load(path)
    del content.metadata_props[:]
    onnx.save(content, path)
    with pytest.raises(InputError, match=r"m\.onnx: takes uint8 pixels, but has no maskstream metadata"):
        open_backend(ClassifyConfig(model=str(path), classes=("a", "b")))


def test_metadata_of_another_kind_of_input_are_refused(plain, tmp_path):
    content = onnx.load(made(plain, tmp_path, normalised_inside=True))
    onnx.helper.set_model_props(content, {prop.key: prop.value for prop in onnx.load(plain).metadata_props})
    onnx.save(content, tmp_path / "m.onnx")
    with pytest.raises(InputError, match="metadata are of another model"):
        opened(tmp_path / "m.onnx")


def test_weights_that_are_half_precision_numbers_are_stored_so_and_change_nothing(network, tmp_path):
    rounded = copy.deepcopy(network)
    with torch.no_grad():
        rounded[4].weight.copy_(rounded[4].weight.half())  # the convolution's are not: they stay as they are
    write_onnx(rounded, INFO, tmp_path / "plain.onnx")
    path = made(tmp_path / "plain.onnx", tmp_path)
    kinds = {tuple(one.dims): one.data_type for one in onnx.load(path).graph.initializer}
    assert kinds[2, 128] == onnx.TensorProto.FLOAT16
    assert kinds[8, 3, 3, 3] == onnx.TensorProto.FLOAT
    faces = prepare(FACES.crops[:7], INFO.preprocessing)
    assert np.array_equal(opened(path).logits(faces), opened(tmp_path / "plain.onnx").logits(faces))


def largest_int8(path):
    """The largest weight of an int8 file, without its sign."""
    weights = [one for one in onnx.load(path).graph.initializer if one.data_type == onnx.TensorProto.INT8]
    return max(int(np.abs(onnx.numpy_helper.to_array(one).astype(int)).max()) for one in weights)


def test_no_cpu_can_saturate_an_int8_file_that_ships():
    """Without VNNI two products of a uint8 and a weight are added in 16 bits."""
    assert 2 * 255 * largest_int8(SHIPPED_INT8) < 1 << 15


@pytest.mark.parametrize(("first_layer_too", "in_fp32"), [(True, 0), (False, 1)])
def test_the_first_convolution_can_stay_as_it_is(tmp_path, first_layer_too, in_fp32):
    two = torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.Conv2d(8, 4, 3), torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(), torch.nn.Linear(4, 2),
    ).eval()  # fmt: skip
    write_onnx(two, INFO, tmp_path / "plain.onnx")
    to_int8(tmp_path / "plain.onnx", tmp_path / "m.onnx", FACES.crops, INFO.preprocessing, first_layer_too)
    graph = onnx.load(tmp_path / "m.onnx").graph
    made_by = {name: node.op_type for node in graph.node for name in node.output}
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    assert [made_by.get(node.input[1]) for node in convolutions].count("DequantizeLinear") == 2 - in_fp32
    assert (made_by.get(convolutions[0].input[1]) is None) == bool(in_fp32)
    assert 2 * 255 * largest_int8(tmp_path / "m.onnx") < 1 << 15
