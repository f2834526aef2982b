"""What the last step of an ONNX graph is, read from the file itself: the serving install has no `onnx` package."""

from __future__ import annotations

import mmap
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

# field numbers of onnx.proto
MODEL_GRAPH = 7
GRAPH_NODE = 1
NODE_INPUT, NODE_OUTPUT, NODE_OPERATION = 1, 2, 4

CHANGES_NO_VALUE = {
    "Cast", "DequantizeLinear", "Dropout", "Flatten", "Identity", "QuantizeLinear", "Reshape", "Squeeze", "Unsqueeze"
}  # fmt: skip


class Node(NamedTuple):
    operation: str
    inputs: list[str]
    outputs: list[str]


def last_operation(path: Path, output: str) -> str:
    """The operator that computes an output (`Gemm`, `Softmax`, ...), looked for behind casts and reshapes.

    Empty where the file does not tell: it is not protobuf, or its output comes from nowhere.
    """
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        try:
            makers = {name: node for node in nodes(content) for name in node.outputs}
        except (IndexError, UnicodeDecodeError):
            return ""
    for _ in makers:  # no graph needs more steps back than it has nodes
        node = makers.get(output)
        if node is None or node.operation not in CHANGES_NO_VALUE or not node.inputs:
            break
        output = node.inputs[0]
    return makers[output].operation if output in makers else ""


def nodes(content: mmap.mmap) -> Iterator[Node]:
    """The nodes of the main graph."""
    for model_field, start, end in fields(content, 0, len(content)):
        if model_field != MODEL_GRAPH:
            continue
        for graph_field, node_start, node_end in fields(content, start, end):
            if graph_field == GRAPH_NODE:
                texts: dict[int, list[str]] = {NODE_INPUT: [], NODE_OUTPUT: [], NODE_OPERATION: [""]}
                for node_field, text_start, text_end in fields(content, node_start, node_end):
                    if node_field in texts:
                        texts[node_field].append(content[text_start:text_end].decode())
                yield Node(texts[NODE_OPERATION][-1], texts[NODE_INPUT], texts[NODE_OUTPUT])


def fields(content: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, start and end of each length-delimited field of a protobuf message; other fields are passed over.

    Raises IndexError where the bytes are no such message.
    """
    while start < end:
        key, start = varint(content, start)
        kind = key & 7
        if kind == 0:
            _, start = varint(content, start)
        elif kind == 1:
            start += 8
        elif kind == 5:
            start += 4
        elif kind == 2:
            length, start = varint(content, start)
            if start + length > end:
                raise IndexError("a field reaches beyond its message")
            yield key >> 3, start, start + length
            start += length
        else:
            raise IndexError(f"no protobuf field has the wire type {kind}")


def varint(content: mmap.mmap, place: int) -> tuple[int, int]:
    """The whole number that begins at `place`, and the place behind it."""
    value = shift = 0
    while True:
        byte = content[place]
        place += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, place
