"""Writes a network as one ONNX file that carries its classes and preprocessing and needs nothing beside it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from configs.errors import InputError
from inference.backends.onnx_backend import PRECISION_KEY
from inference.backends.session import METADATA_KEY
from inference.checkpoint import ModelInfo
from inference.preprocess import Preprocessing

if TYPE_CHECKING:
    from onnx import ModelProto
    from torch import nn

DEFAULT_OPSET = 20
OPSETS = (18, 25)  # below 18 torch's exporter fails to convert and leaves 18; 25 is the last that it knows


def write_onnx(network: nn.Module, info: ModelInfo, path: Path, opset: int = DEFAULT_OPSET) -> None:
    """One file: (batch, 3, size, size) float32 `faces` in, (batch, classes) `logits` out, ModelInfo in its metadata."""
    import onnx
    import torch

    size = info.preprocessing.size
    torch.onnx.export(
        network,
        (torch.zeros(2, 3, size, size),),  # an example batch of 1 would silently fix the batch at 1
        path,
        input_names=["faces"],
        output_names=["logits"],
        dynamic_shapes=({0: torch.export.Dim("batch")},),
        external_data=False,
        dynamo=True,
        verbose=False,
        opset_version=opset,
    )
    content = read_written(path, opset)
    describe(content, info, "fp32")
    onnx.save(content, path)


def read_written(path: Path, opset: int) -> ModelProto:
    """What torch has written, without stack traces. Raises InputError where it is in another operator set."""
    import onnx

    content = onnx.load(path)
    if content.opset_import[0].version != opset:
        raise InputError(f"--opset {opset}: this network cannot be written in it, only in another; try {DEFAULT_OPSET}")
    for part in (*content.graph.node, *content.graph.value_info, *content.graph.initializer):
        part.ClearField("metadata_props")  # stack traces: folders of the machine that exported it
    return content


def describe(content: ModelProto, info: ModelInfo, precision: str) -> None:
    """Put into the file what the pipeline must know of it."""
    import onnx

    onnx.helper.set_model_props(content, {METADATA_KEY: msgspec.json.encode(info).decode(), PRECISION_KEY: precision})


def normalise_inside(content: ModelProto, preprocessing: Preprocessing) -> None:
    """Put the normalisation before the network: its input becomes `pixels` (batch, size, size, 3) uint8 BGR.

    The same arithmetic in the same order as inference.preprocess.normalise, in float32 whatever the precision.
    """
    from onnx import TensorProto, helper, numpy_helper

    [faces] = content.graph.input
    mean = np.array(preprocessing.mean, np.float32)
    std = np.array(preprocessing.std, np.float32)
    constants = {
        "pixels_rgb_order": np.array([2, 1, 0], np.int64),
        "pixels_scale": (1 / (255 * std)).reshape(3, 1, 1),
        "pixels_shift": (mean / std).reshape(3, 1, 1),
    }
    nodes = [  # planes first: swapping colours pixel by pixel, then transposing floats, took 22 times as long
        helper.make_node("Transpose", ["pixels"], ["pixels_planes"], perm=[0, 3, 1, 2]),
        helper.make_node("Gather", ["pixels_planes", "pixels_rgb_order"], ["pixels_rgb"], axis=1),
        helper.make_node("Cast", ["pixels_rgb"], ["pixels_float"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["pixels_float", "pixels_scale"], ["pixels_scaled"]),
        helper.make_node("Sub", ["pixels_scaled", "pixels_shift"], [faces.name]),
    ]
    network_nodes = list(content.graph.node)
    del content.graph.node[:]
    content.graph.node.extend([*nodes, *network_nodes])
    content.graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in constants.items())
    shape = [faces.type.tensor_type.shape.dim[0].dim_param, preprocessing.size, preprocessing.size, 3]
    content.graph.input.remove(faces)
    content.graph.input.append(helper.make_tensor_value_info("pixels", TensorProto.UINT8, shape))


def halve(content: ModelProto) -> None:
    """Store the weights that are half-precision numbers as such: half the file, and every result stays the same.

    A `Cast` makes them float32 again; ONNX Runtime runs it once, while it loads the file.
    """
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for weight in content.graph.initializer:
        if weight.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(weight)
        with np.errstate(over="ignore"):
            halves = values.astype(np.float16)
        if values.size < 256 or not np.array_equal(halves.astype(np.float32), values):
            continue
        casts.append(helper.make_node("Cast", [f"{weight.name}_half"], [weight.name], to=TensorProto.FLOAT))
        weight.CopyFrom(numpy_helper.from_array(halves, f"{weight.name}_half"))
    network_nodes = list(content.graph.node)
    del content.graph.node[:]
    content.graph.node.extend([*casts, *network_nodes])
