"""Export a trained model to ONNX, kept only if it decides as the model does: `python -m export MODEL.pth`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import numpy as np
import typer

from configs.command import run_command
from configs.errors import InputError
from configs.schema import ClassifyConfig
from inference.backends import METADATA_KEY, Backend, open_backend
from inference.checkpoint import ModelInfo, load_checkpoint, write_whole
from inference.networks import require_torch
from inference.preprocess import prepare
from transport.cores import usable_cores

if TYPE_CHECKING:
    from torch import nn

BATCHES_CHECKED = (1, 2, 7)  # "dynamic" batches that are in truth fixed at 1 or at the example's 2 are a known defect
LARGEST_DIFFERENCE = 1e-4  # of logits, relative to the largest; ResNet50 differs by 6e-5


def export(
    model: Annotated[Path, typer.Argument(help="Checkpoint, .pth.")],
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File to write, .onnx.")] = None,
    classes: Annotated[str, typer.Option(help="Class names a,b,c in the model's order, where its file has none.")] = "",
    backbone: Annotated[str, typer.Option(help="Network of a bare .pth that does not tell its own.")] = "",
) -> None:
    """Write the model as one ONNX file with its classes and preprocessing inside; kept only if it decides the same."""
    require_torch("export")
    output = output or model.with_suffix(".onnx")
    if output.suffix != ".onnx":
        raise InputError(f"--output {output}: an ONNX file ends in .onnx")
    names = tuple(name.strip() for name in classes.split(",")) if classes else ()
    network, info = load_checkpoint(model, names, backbone)
    differences: dict[int, float] = {}

    def write_and_check(partial: Path) -> None:
        write_onnx(network, info, partial)
        differences.update(check(network, info, partial, output))

    write_whole(output, write_and_check)
    worst = max(differences.values())
    size_mb = output.stat().st_size / 1e6
    print(f"{output}: {size_mb:.1f} MB, decides as {model} does, logits within {worst:.1e}")
    facts = {"model": str(output), "classes": info.classes, "size_mb": size_mb, "max_relative_difference": worst}
    print(msgspec.json.encode(facts).decode())


def write_onnx(network: nn.Module, info: ModelInfo, path: Path) -> None:
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
    )
    content = onnx.load(path)
    for part in (*content.graph.node, *content.graph.value_info, *content.graph.initializer):
        part.ClearField("metadata_props")  # stack traces: folders of the machine that exported it
    onnx.helper.set_model_props(content, {METADATA_KEY: msgspec.json.encode(info).decode()})
    onnx.save(content, path)


def check(network: nn.Module, info: ModelInfo, path: Path, name: Path) -> dict[int, float]:
    """Relative difference of the logits for each size of batch. Raises InputError where the file decides otherwise.

    The faces are random pictures, prepared by what the file says of itself and by what the checkpoint says.
    """
    import onnx

    onnx.checker.check_model(str(path), full_check=True)
    exported = open_backend(ClassifyConfig(model=str(path), threads=usable_cores()))
    if exported.classes != info.classes:
        raise InputError(f"{name}: not exported: its classes are {exported.classes}, not {info.classes}")
    rng = np.random.default_rng(0)
    return {batch: difference(network, info, exported, batch, rng, name) for batch in BATCHES_CHECKED}


def difference(
    network: nn.Module, info: ModelInfo, exported: Backend, batch: int, rng: np.random.Generator, name: Path
) -> float:
    """How far the logits of one random batch are apart."""
    import torch

    pictures = [rng.integers(0, 256, (*rng.integers(40, 200, 2), 3), np.uint8) for _ in range(batch)]
    with torch.inference_mode():
        ours = network(torch.from_numpy(prepare(pictures, info.preprocessing))).numpy()
    theirs = exported.logits(prepare(pictures, exported.preprocessing))
    if theirs.shape != ours.shape:
        raise InputError(f"{name}: not exported: a batch of {batch} gives logits {theirs.shape}, not {ours.shape}")
    worst = float(np.abs(theirs - ours).max() / np.abs(ours).max())
    if worst > LARGEST_DIFFERENCE or (theirs.argmax(axis=1) != ours.argmax(axis=1)).any():
        raise InputError(f"{name}: not exported: on a batch of {batch} its logits are off by {worst:.1e}")
    return worst


if __name__ == "__main__":
    run_command([export], "python -m export")
