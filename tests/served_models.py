"""Models for inference servers in tests: the one that ships, and others that a server may hold by mistake."""

from __future__ import annotations

from pathlib import Path

from export.triton_repository import publish
from inference.backends import SHIPPED_INT8


def shipped(folder: Path) -> Path:
    """The model that ships, with uint8 faces as its input, as `maskstream export --triton` makes it."""
    return Path(publish(SHIPPED_INT8, folder / "repository", "mask").model)


def with_outputs(model: Path, made: Path, columns: list[int]) -> Path:
    """The same model with other outputs: these columns of its logits, in this order."""
    import numpy as np
    import onnx
    from onnx import helper, numpy_helper

    content = onnx.load(model)
    [logits] = content.graph.output
    for node in content.graph.node:
        for place, name in enumerate(node.output):
            if name == logits.name:
                node.output[place] = "all_logits"
    content.graph.initializer.append(numpy_helper.from_array(np.array(columns), "columns"))
    content.graph.node.append(helper.make_node("Gather", ["all_logits", "columns"], [logits.name], axis=1))
    logits.type.tensor_type.shape.dim[1].dim_value = len(columns)
    onnx.save(content, made)
    return made
