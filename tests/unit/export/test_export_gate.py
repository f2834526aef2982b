"""The decision gate: a file that decides as the network does passes; one that was damaged in any way does not."""

from shutil import copyfile

import msgspec
import numpy as np
import pytest
from msgspec.structs import replace

from inference.checkpoint import ModelInfo
from inference.preprocess import Preprocessing

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("torchvision")

from export.__main__ import make  # noqa: E402
from export.alone import ask_alone  # noqa: E402
from export.faces import Faces, synthetic_faces  # noqa: E402
from export.gate import Demand, Verdict, check_provider, examine, weigh_logits  # noqa: E402
from export.onnx_file import describe, write_onnx  # noqa: E402

FP32 = Demand("fp32", False, "cpu", 0.01)
UINT8 = Demand("fp32", True, "cpu", 0.01)
FACES = synthetic_faces(40)


@pytest.fixture(scope="module")
def network():
    """A small network whose answers depend on colour and place."""
    torch.manual_seed(3)
    return torch.nn.Sequential(
        torch.nn.Conv2d(3, 8, 3), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(4), torch.nn.Flatten(),
        torch.nn.Linear(128, 3),
    ).eval()  # fmt: skip


@pytest.fixture(scope="module")
def info():
    return ModelInfo(("mask", "no_mask", "wrong_mask"), Preprocessing(32), temperature=1.5)


@pytest.fixture(scope="module")
def plain(network, info, tmp_path_factory):
    path = tmp_path_factory.mktemp("good") / "plain.onnx"
    write_onnx(network, info, path)
    return path


@pytest.fixture(scope="module")
def normalising(plain, info):
    """The same network with its normalisation inside."""
    path = plain.with_name("normalising.onnx")
    make(plain, path, info, UINT8, None)
    return path


def failed(verdict):
    return {check.name for check in verdict.checks if not check.passed}


def set_info(content, info, **changed):
    describe(content, replace(info, preprocessing=replace(info.preprocessing, **changed)), "fp32")


def wrong_mean(content, info):
    set_info(content, info, mean=(0.5, 0.5, 0.5))


def blue_first(content, info):
    set_info(content, info, mean=info.preprocessing.mean[::-1], std=info.preprocessing.std[::-1])


def weights(content, name):
    return next(value for value in content.graph.initializer if value.name == name)


def wrong_mean_inside(content, info):
    shift = weights(content, "pixels_shift")
    shift.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(shift) + np.float32(0.02), shift.name))


def blue_first_inside(content, info):
    order = weights(content, "pixels_rgb_order")
    order.CopyFrom(onnx.numpy_helper.from_array(np.array([0, 1, 2]), order.name))


def blue_first_in_the_weights(content, info):
    kernel = next(value for value in content.graph.initializer if list(value.dims) == [8, 3, 3, 3])
    swapped = np.ascontiguousarray(onnx.numpy_helper.to_array(kernel)[:, ::-1])
    kernel.CopyFrom(onnx.numpy_helper.from_array(swapped, kernel.name))


def batch_fixed_at_1(content, info):
    content.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1


def batch_fixed_at_1_inside(content, info):
    """As an exporter does that was given an example of one face: the flattening is written for just one."""
    [flatten] = [node for node in content.graph.node if node.op_type in ("Reshape", "Flatten")]
    content.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1, 128]), "one_face"))
    flatten.CopyFrom(onnx.helper.make_node("Reshape", [flatten.input[0], "one_face"], flatten.output))


def batch_fixed_at_2_inside(content, info):
    batch_fixed_at_1_inside(content, info)
    weights(content, "one_face").CopyFrom(onnx.numpy_helper.from_array(np.array([2, 128]), "one_face"))


def swapped_classes(content, info):
    describe(content, replace(info, classes=info.classes[::-1]), "fp32")


def other_temperature(content, info):
    describe(content, replace(info, temperature=1.0), "fp32")


def not_the_precision_asked_for(content, info):
    describe(content, info, "int8")


def no_valid_graph(content, info):
    content.graph.node.append(content.graph.node[0])


DAMAGE = {
    wrong_mean: {"metadata", "preprocessing", "logits"},
    blue_first: {"metadata", "preprocessing", "logits"},
    blue_first_in_the_weights: {"logits"},
    batch_fixed_at_1: {"runs alone"},
    batch_fixed_at_1_inside: {"runs alone"},
    batch_fixed_at_2_inside: {"runs alone"},
    swapped_classes: {"metadata"},
    other_temperature: {"metadata"},
    not_the_precision_asked_for: {"metadata"},
    no_valid_graph: {"onnx.checker", "runs alone"},
}


@pytest.mark.parametrize("damage", DAMAGE, ids=lambda damage: damage.__name__)
def test_a_damaged_export_is_refused(network, info, plain, tmp_path, damage):
    content = onnx.load(plain)
    damage(content, info)
    onnx.save(content, tmp_path / "damaged.onnx")
    verdict = examine(tmp_path / "damaged.onnx", network, info, FACES, FP32)
    assert failed(verdict) >= DAMAGE[damage]
    assert not verdict.passed
    assert "\n" not in verdict.refusal


@pytest.mark.parametrize("damage", [wrong_mean_inside, blue_first_inside], ids=lambda damage: damage.__name__)
def test_a_damaged_normalisation_in_the_graph_is_refused(network, info, normalising, tmp_path, damage):
    content = onnx.load(normalising)
    damage(content, info)
    onnx.save(content, tmp_path / "damaged.onnx")
    verdict = examine(tmp_path / "damaged.onnx", network, info, FACES, UINT8)
    assert "logits" in failed(verdict)


def test_the_undamaged_files_pass(network, info, plain, normalising):
    for path, demand in ((plain, FP32), (normalising, UINT8)):
        verdict = examine(path, network, info, FACES, demand)
        assert verdict.passed, verdict.refusal
        assert verdict.agreement == 1.0
        assert verdict.max_relative_difference < 2e-5
        assert verdict.accuracy_torch is verdict.accuracy_exported is None  # synthetic pictures have no labels


def test_weights_kept_beside_the_file_are_missed(network, info, plain, tmp_path):
    onnx.save(onnx.load(plain), tmp_path / "m.onnx", save_as_external_data=True, size_threshold=0)
    verdict = examine(tmp_path / "m.onnx", network, info, FACES, FP32)
    assert "runs alone" in failed(verdict)


def test_a_device_that_is_not_there_is_refused_and_does_not_become_the_cpu(network, info, plain):
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    verdict = examine(plain, network, info, FACES, replace(FP32, device="cuda"))
    assert failed(verdict) == {"runs alone"}
    assert "--device cuda" in verdict.refusal


def test_nodes_that_another_provider_ran_are_counted(network, info, plain):
    answers = ask_alone(plain, FACES.crops, "cpu")
    assert check_provider(answers, FP32).passed
    [(provider, count)] = answers.said.nodes_by_provider.items()
    answers.said.nodes_by_provider = {provider: 1, "OtherExecutionProvider": count}
    assert not check_provider(answers, FP32).passed


def test_labels_tell_what_the_changed_decisions_cost(network, info, plain, tmp_path):
    labelled = Faces(FACES.crops, ["mask"] * 39 + [""], "labelled")
    content = onnx.load(plain)
    blue_first_in_the_weights(content, info)
    onnx.save(content, tmp_path / "m.onnx")
    verdict = examine(tmp_path / "m.onnx", network, info, labelled, replace(FP32, precision="int8"))
    assert verdict.agreement < 1
    assert verdict.accuracy_torch != verdict.accuracy_exported
    assert "decisions" in failed(verdict)
    lenient = replace(FP32, precision="int8", max_disagreement=1.0)
    assert "decisions" not in failed(examine(tmp_path / "m.onnx", network, info, labelled, lenient))


class Same:
    """Answers that are those of PyTorch, but for `error`."""

    def __init__(self, logits, error):
        self.logits = logits + np.float32(error)
        self.by_batch = {1: self.logits[:7]}


def test_differences_count_beside_what_tells_faces_apart_and_not_beside_the_bias():
    logits = np.array([[100.0, 0.0], [100.5, 0.5]], np.float32)
    verdict = Verdict()
    weigh_logits(verdict, Same(logits, 1e-3), logits, FP32)
    assert failed(verdict) == {"logits"}  # 2e-3 of 0.5, though it is 1e-5 of 100


def test_a_network_that_calls_all_faces_alike_is_said_to_prove_little():
    logits = np.array([[1.0, 0.0], [1.0 + 1e-6, 0.0]], np.float32)
    verdict = Verdict()
    weigh_logits(verdict, Same(logits, 0), logits, FP32)
    assert verdict.passed
    assert "proves little" in verdict.checks[0].finding


def test_logits_that_are_no_numbers_are_refused_at_any_precision():
    logits = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    for precision in ("fp32", "fp16", "int8"):
        verdict = Verdict()
        weigh_logits(verdict, Same(logits, np.nan), logits, replace(FP32, precision=precision))
        assert failed(verdict) == {"logits"}


def test_a_verdict_goes_into_json(network, info, plain, tmp_path):
    copyfile(plain, tmp_path / "m.onnx")
    verdict = examine(tmp_path / "m.onnx", network, info, FACES, FP32)
    assert msgspec.json.decode(msgspec.json.encode(verdict), type=Verdict) == verdict
