"""Reading the face recognition network that the shipped model starts from: the format of TensorFlow.js."""

import json

import numpy as np
import pytest

from configs.errors import InputError
from train.classifier.published_weights import read_face_weights, read_tensors

torch = pytest.importorskip("torch")

LAYER = {
    "conv/filters": np.arange(2 * 2 * 3 * 4, dtype=np.float32).reshape(2, 2, 3, 4),
    "conv/bias": np.array([1, 2, 3, 4], np.float32),
    "scale/weights": np.array([1, 0, 2, 0.5], np.float32),
    "scale/biases": np.array([0, 10, 0, 1], np.float32),
}


def write(folder, layers=("conv32_down", "conv64_1/conv2"), leave_out="", cut=0):
    entries, content = [], b""
    for layer in layers:
        for name, values in LAYER.items():
            if name == leave_out:
                continue
            entry = {"name": f"{layer}/{name}", "shape": values.shape, "dtype": "float32"}
            if name == "conv/filters":  # as bytes: a quarter of the file
                entry["quantization"] = {"dtype": "uint8", "scale": 0.5, "min": -3}
                content += ((values + 3) * 2).astype(np.uint8).tobytes()
            else:
                content += values.tobytes()
            entries.append(entry)
    (folder / "net.bin").write_bytes(content[: len(content) - cut])
    path = folder / "net-weights_manifest.json"
    path.write_text(json.dumps([{"weights": entries, "paths": ["net.bin"]}]))
    return path


def test_scales_are_folded_into_the_convolutions_and_axes_turned(tmp_path):
    state = read_face_weights(write(tmp_path))
    assert state.keys() == {"stem.weight", "stem.bias", "conv64_1.conv2.weight", "conv64_1.conv2.bias"}
    wanted = (LAYER["conv/filters"] * LAYER["scale/weights"]).transpose(3, 2, 0, 1)
    assert np.array_equal(state["stem.weight"].numpy(), wanted)
    assert state["stem.bias"].tolist() == [1, 10, 6, 3]


def test_bytes_and_floats_are_read_as_they_lie(tmp_path):
    tensors = read_tensors(write(tmp_path))
    for name, values in LAYER.items():
        assert np.array_equal(tensors[f"conv64_1/conv2/{name}"], values)


@pytest.mark.parametrize(
    ("damage", "words"),
    [({"leave_out": "scale/biases"}, "has no 'conv"), ({"cut": 1}, "end before conv64_1/conv2/scale/biases")],
)
def test_a_damaged_file_is_refused_in_words(tmp_path, damage, words):
    with pytest.raises(InputError, match=words):
        read_face_weights(write(tmp_path, **damage))


def test_what_is_no_manifest_is_refused(tmp_path):
    path = tmp_path / "a-weights_manifest.json"
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_face_weights(path)
    path.write_text("{}")
    with pytest.raises(InputError, match="not a weights manifest"):
        read_face_weights(path)
    path.write_text('[{"weights": [], "paths": ["gone.bin"]}]')
    with pytest.raises(InputError, match=r"gone\.bin: cannot be read"):
        read_face_weights(path)
