"""Export: a file that decides as the model does is kept; one that does not is refused and leaves nothing behind."""

import msgspec
import numpy as np
import pytest

from configs.errors import InputError
from configs.schema import ClassifyConfig
from inference.backends import open_backend
from inference.checkpoint import ModelInfo, save_checkpoint
from inference.networks import PREPROCESSING, build_network

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("torchvision")

from export import __main__ as exporting  # noqa: E402

INFO = ModelInfo(("mask", "no_mask"), PREPROCESSING["MobileNetV3"], "MobileNetV3", temperature=1.5)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    torch.manual_seed(0)
    network = build_network("MobileNetV3", 2)
    path = tmp_path_factory.mktemp("model") / "m.pth"
    save_checkpoint(path, network, INFO)
    return path


@pytest.fixture(scope="module")
def exported(checkpoint):
    """The good file. Making one takes seconds, so the damaged ones are made from it."""
    exporting.export(checkpoint)
    return checkpoint.with_suffix(".onnx")


def other_weights(content, info):
    weights = content.graph.initializer[0]
    changed = onnx.numpy_helper.to_array(weights) * np.float32(1.01)
    weights.CopyFrom(onnx.numpy_helper.from_array(changed, weights.name))


def other_mean(content, info):
    preprocessing = msgspec.structs.replace(info.preprocessing, mean=(0.5, 0.5, 0.5))
    text = msgspec.json.encode(msgspec.structs.replace(info, preprocessing=preprocessing)).decode()
    onnx.helper.set_model_props(content, {"maskstream": text})


def blue_first(content, info):
    preprocessing = info.preprocessing
    swapped = msgspec.structs.replace(preprocessing, mean=preprocessing.mean[::-1], std=preprocessing.std[::-1])
    text = msgspec.json.encode(msgspec.structs.replace(info, preprocessing=swapped)).decode()
    onnx.helper.set_model_props(content, {"maskstream": text})


def fixed_batch(content, info):
    content.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1


def swapped_classes(content, info):
    text = msgspec.json.encode(msgspec.structs.replace(info, classes=info.classes[::-1])).decode()
    onnx.helper.set_model_props(content, {"maskstream": text})


@pytest.mark.parametrize("how", [other_weights, other_mean, blue_first, fixed_batch, swapped_classes])
def test_a_damaged_export_is_refused_and_the_old_file_stays(checkpoint, exported, tmp_path, monkeypatch, how):
    output = tmp_path / "m.onnx"
    output.write_text("the old one")

    def write_damaged(network, info, path):
        content = onnx.load(exported)
        how(content, info)
        onnx.save(content, path)

    monkeypatch.setattr(exporting, "write_onnx", write_damaged)
    with pytest.raises(InputError) as refusal:
        exporting.export(checkpoint, output)
    assert "\n" not in str(refusal.value)
    assert output.read_text() == "the old one"
    assert list(tmp_path.iterdir()) == [output]


def test_the_exported_file_carries_all_that_the_checkpoint_does(exported):
    assert sorted(path.name for path in exported.parent.iterdir()) == ["m.onnx", "m.pth"]
    assert open_backend(ClassifyConfig(model=str(exported))).info == INFO


def test_the_exported_file_tells_nothing_of_the_machine_that_made_it(exported):
    content = exported.read_bytes()
    assert b"site-packages" not in content
    assert b".py" not in content


def test_what_cannot_be_exported_is_named(checkpoint, tmp_path):
    with pytest.raises(InputError, match=r"ends in \.onnx"):
        exporting.export(checkpoint, tmp_path / "m.pt")
    with pytest.raises(InputError, match=r"no\.pth: cannot be read"):
        exporting.export(tmp_path / "no.pth", tmp_path / "m.onnx")
