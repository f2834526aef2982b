"""ONNX files that others made: what is behind their logits is undone, how they take faces is found out, and said."""

import numpy as np
import pytest

from configs.errors import InputError
from configs.schema import ClassifyConfig
from inference.backends import open_backend
from inference.backends.backend import softmax, varied_faces
from inference.backends.onnx_graph import last_operation
from inference.backends.outputs import meaning_of
from inference.backends.session import METADATA_KEY

onnx = pytest.importorskip("onnx")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

SIZE = 16
NAMES = {3: ("mask", "no_mask", "wrong_mask"), 2: ("mask", "no_mask"), 1: ("mask", "no_mask")}
WEIGHTS = np.array([[2, 0, 0], [0, 2, 0], [0, 0, 2]], np.float32)
BIAS = np.array([2, 0, -1], np.float32)


def network(path, after=(), outputs=3, before=(), shape=("N", 3, SIZE, SIZE), dtype=TensorProto.FLOAT, metadata=None):
    """Mean colours times WEIGHTS plus BIAS, with nodes before and after that another program may have put there."""
    names = ["x", *(f"b{number}" for number in range(len(before)))]
    nodes = [
        helper.make_node(operation, [start], [end], **attributes)
        for (operation, attributes), start, end in zip(before, names, names[1:], strict=False)
    ]
    nodes += [
        helper.make_node("GlobalAveragePool", [names[-1]], ["means"]),
        helper.make_node("Flatten", ["means"], ["row"]),
        helper.make_node("Gemm", ["row", "w", "b"], ["y0"]),
    ]
    for number, (operation, attributes) in enumerate(after):
        nodes.append(helper.make_node(operation, [f"y{number}"], [f"y{number + 1}"], **attributes))
    graph = helper.make_graph(
        nodes,
        "other",
        [helper.make_tensor_value_info("x", dtype, shape)],
        [helper.make_tensor_value_info(f"y{len(after)}", TensorProto.FLOAT, None)],
        [
            numpy_helper.from_array(WEIGHTS[:, :outputs].copy(), "w"),
            numpy_helper.from_array(BIAS[:outputs].copy(), "b"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    if metadata:
        helper.set_model_props(model, metadata)
    onnx.save(model, path)
    return path


def opened(path, classes=3):
    return open_backend(ClassifyConfig(model=str(path), classes=NAMES[classes]))


def expected(backend):
    """The logits of WEIGHTS and BIAS, by NumPy, and the faces that they are of."""
    faces = varied_faces(backend.preprocessing)
    return faces, faces.mean(axis=(2, 3)) @ WEIGHTS + BIAS


TAKEN = {
    "logits": ((), "logits"),
    "softmax": ((("Softmax", {"axis": 1}),), "probabilities"),
    "softmax by parts": ((("Exp", {}), ("LpNormalization", {"axis": 1, "p": 1})), "probabilities"),
    "softmax, cast": ((("Softmax", {"axis": -1}), ("Cast", {"to": TensorProto.FLOAT})), "probabilities"),
    "log softmax": ((("LogSoftmax", {"axis": 1}),), "logits"),
    "softmax, log": ((("Softmax", {"axis": 1}), ("Log", {})), "logits"),
    "sigmoid": ((("Sigmoid", {}),), "sigmoids"),
}


@pytest.mark.parametrize(("after", "meaning"), TAKEN.values(), ids=TAKEN)
def test_what_stands_behind_the_logits_is_undone(tmp_path, after, meaning):
    backend = opened(network(tmp_path / "m.onnx", after))
    assert backend.meaning == meaning
    faces, logits = expected(backend)
    np.testing.assert_allclose(backend.probabilities(faces), softmax(logits), atol=3e-3)


def test_what_was_found_out_is_said_in_one_line(tmp_path, caplog):
    opened(network(tmp_path / "m.onnx", TAKEN["softmax"][0]))
    [line] = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert (
        line == f"{tmp_path / 'm.onnx'}: its outputs are probabilities, as after a softmax: they are taken as they are"
    )


def test_the_temperature_of_the_file_softens_probabilities_as_it_does_logits(tmp_path):
    about = '{"classes": ["a", "b", "c"], "preprocessing": {"size": 16}, "temperature": 2.0}'
    backend = opened(network(tmp_path / "m.onnx", TAKEN["softmax"][0], metadata={METADATA_KEY: about}))
    faces, logits = expected(backend)
    np.testing.assert_allclose(backend.probabilities(faces), softmax(logits / 2), atol=1e-5)


@pytest.mark.parametrize(("after", "meaning"), [((), "one logit"), ((("Sigmoid", {}),), "one probability")])
def test_one_output_for_two_classes_speaks_of_the_second(tmp_path, caplog, after, meaning):
    backend = opened(network(tmp_path / "m.onnx", after, outputs=1), classes=2)
    assert backend.meaning == meaning
    assert "of 'no_mask', the second class" in caplog.text
    faces, logits = expected(backend)
    second = 1 / (1 + np.exp(-logits[:, 0]))
    np.testing.assert_allclose(backend.probabilities(faces), np.stack([1 - second, second], axis=1), atol=1e-5)


def test_one_output_for_three_classes_is_refused(tmp_path):
    with pytest.raises(InputError, match="1 outputs, but 3 class names"):
        opened(network(tmp_path / "m.onnx", outputs=1))


def test_a_softmax_over_the_faces_of_a_batch_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"m\.onnx: its Softmax does not run over the classes"):
        opened(network(tmp_path / "m.onnx", (("Softmax", {"axis": 0}),)))


def test_logits_that_look_like_shares_by_chance_stay_logits():
    assert meaning_of(np.full((4, 2), 0.5), "Gemm", 2) == "logits"
    assert meaning_of(np.full((4, 2), 0.5), "", 2) == "probabilities"


FORMS = {
    "channels last": {"before": [("Transpose", {"perm": [0, 3, 1, 2]})], "shape": ("N", SIZE, SIZE, 3)},
    "half precision": {"before": [("Cast", {"to": TensorProto.FLOAT})], "dtype": TensorProto.FLOAT16},
    "double precision": {"before": [("Cast", {"to": TensorProto.FLOAT})], "dtype": TensorProto.DOUBLE},
    "batch of 1": {"shape": (1, 3, SIZE, SIZE)},
    "batch of 3": {"shape": (3, 3, SIZE, SIZE)},
    "batch without a name": {"shape": (None, 3, SIZE, SIZE)},
    "channels last, batch of 1": {
        "before": [("Transpose", {"perm": [0, 3, 1, 2]})],
        "shape": (1, SIZE, SIZE, 3),
        "after": (("Softmax", {"axis": 1}),),
    },
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_every_form_of_input_gets_the_same_answers(tmp_path, form):
    backend = opened(network(tmp_path / "m.onnx", **form))
    faces, logits = expected(backend)
    np.testing.assert_allclose(backend.probabilities(faces), softmax(logits), atol=2e-3)
    np.testing.assert_allclose(backend.probabilities(faces[:1]), softmax(logits[:1]), atol=2e-3)


def test_of_several_outputs_the_one_with_a_number_for_each_class_counts(tmp_path):
    content = onnx.load(network(tmp_path / "m.onnx"))
    features = helper.make_tensor_value_info("means", TensorProto.FLOAT, None)
    best = helper.make_tensor_value_info("best", TensorProto.INT64, None)
    content.graph.node.append(helper.make_node("ArgMax", ["y0"], ["best"], axis=1))
    del content.graph.output[0]
    content.graph.node[2].CopyFrom(helper.make_node("Gemm", ["row", "w2", "b2"], ["y0"]))
    content.graph.initializer.append(numpy_helper.from_array(WEIGHTS[:, :2].copy(), "w2"))
    content.graph.initializer.append(numpy_helper.from_array(BIAS[:2].copy(), "b2"))
    logits = helper.make_tensor_value_info("y0", TensorProto.FLOAT, None)
    content.graph.output.extend([best, features, logits])
    onnx.save(content, tmp_path / "m.onnx")
    backend = opened(tmp_path / "m.onnx", classes=2)
    faces, logits = expected(backend)
    np.testing.assert_allclose(backend.probabilities(faces), softmax(logits[:, :2]), atol=1e-5)


REFUSED = {
    "two inputs": "its input must be one tensor",
    "free sides": "must be square and of one size, it is H x W",
    "newer format": r"written in version 99 of ONNX's format, .*: update onnxruntime",
    "weights elsewhere": r"its weights are in a file that is not there: .*/m\.data",
    "pixels": "takes uint8 pixels, but has no maskstream metadata",
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_cannot_be_used_gets_one_line_with_the_reason(tmp_path, kind):
    path = tmp_path / "m.onnx"
    if kind == "pixels":
        before = [("Cast", {"to": TensorProto.FLOAT}), ("Transpose", {"perm": [0, 3, 1, 2]})]
        network(path, before=before, shape=("N", SIZE, SIZE, 3), dtype=TensorProto.UINT8)
    else:
        network(path, shape=("N", 3, "H", "W") if kind == "free sides" else ("N", 3, SIZE, SIZE))
    content = onnx.load(path)
    if kind == "two inputs":
        content.graph.input.append(helper.make_tensor_value_info("size", TensorProto.INT64, [2]))
    if kind == "newer format":
        content.ir_version = 99
    apart = kind == "weights elsewhere"
    onnx.save_model(content, path, save_as_external_data=apart, location="m.data", size_threshold=0)
    (tmp_path / "m.data").unlink(missing_ok=True)
    with pytest.raises(InputError, match=REFUSED[kind]) as refusal:
        opened(path)
    assert "\n" not in str(refusal.value)


def test_the_last_operation_is_found_behind_casts_and_reshapes(tmp_path):
    after = (("Softmax", {"axis": 1}), ("Identity", {}), ("Cast", {"to": TensorProto.FLOAT}))
    assert last_operation(network(tmp_path / "m.onnx", after), "y3") == "Softmax"
    assert last_operation(tmp_path / "m.onnx", "nothing") == ""


@pytest.mark.parametrize("content", [b"\x0f", b"\x3a\xff\xff\xff\xff", b"hello", b"\x80" * 9, b"\x3a\x02\x0a\x05"])
def test_a_file_that_is_no_graph_tells_nothing(tmp_path, content):
    (tmp_path / "m.onnx").write_bytes(content)
    assert last_operation(tmp_path / "m.onnx", "y") == ""
