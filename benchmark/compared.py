"""The network that the pipeline and the loops run when they are compared: the same for all."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from msgspec import Struct

from benchmark.clip import Clip, face_crops
from configs.errors import InputError
from export.onnx_file import describe, write_onnx
from export.precision import to_int8
from inference.checkpoint import ModelInfo, known_backbone, load_checkpoint, save_checkpoint
from inference.networks import BACKBONES, HEADS, PREPROCESSING, build_network, require_torch

CLASSES = ("mask", "no_mask", "wrong_mask")
CALIBRATION_FACES = 60
SURE_LOGIT = 4.0  # more for the first class: a trained network is mostly sure, and a face of which it is not is asked
#                   about four times as often


class NetworkFiles(Struct, frozen=True):
    """One network as the loops run it and as the pipeline does, and what to call it."""

    called: str
    torch: Path
    onnx: Path


def prepare_network(network: str, clip: Clip, folder: Path, device: str, classes: Sequence[str] = ()) -> NetworkFiles:
    """A trained checkpoint (.pth), or a backbone by name with random weights, which take as long as trained ones.

    `classes` are the names of a checkpoint's outputs, where it has none. The pipeline runs it as int8 on a CPU, as fp32
    elsewhere.

    Raises InputError for what is neither.
    """
    require_torch("benchmark --compare")
    import onnx
    import torch

    checkpoint = Path(network)
    if checkpoint.suffix == ".pth":
        model, info = load_checkpoint(checkpoint, classes)
        called = checkpoint.name
        if classes:
            checkpoint = folder / checkpoint.name  # a copy that has them: the loops read it anew
            save_checkpoint(checkpoint, model, info)
    elif network in BACKBONES:
        backbone = known_backbone(Path(network), network)
        torch.manual_seed(0)
        model = build_network(backbone, len(CLASSES)).eval()
        info = ModelInfo(CLASSES, PREPROCESSING[backbone], backbone)
        with torch.no_grad():
            model.get_parameter(f"{HEADS[backbone]}.weight").mul_(0.1)
            model.get_parameter(f"{HEADS[backbone]}.bias")[0] += SURE_LOGIT
        checkpoint = folder / f"{network}.pth"
        save_checkpoint(checkpoint, model, info)
        called = f"{network}, random weights"
    else:
        raise InputError(f"--network {network}: neither a .pth file nor one of {', '.join(BACKBONES)}")
    fp32, int8 = folder / f"{checkpoint.stem}.onnx", folder / f"{checkpoint.stem}.int8.onnx"
    write_onnx(model, info, fp32)
    if device != "cpu":
        return NetworkFiles(called, checkpoint, fp32)
    to_int8(fp32, int8, calibration_crops(clip), info.preprocessing)
    content = onnx.load(int8)
    describe(content, info, "int8")
    onnx.save(content, int8)
    return NetworkFiles(called, checkpoint, int8)


def calibration_crops(clip: Clip) -> list[np.ndarray]:
    """Faces of the film where the truth tells them, else noise: for speed the ranges do not matter."""
    if clip.truth is not None:
        return face_crops(clip, CALIBRATION_FACES)
    rng = np.random.default_rng(0)
    return [rng.integers(0, 256, (96, 96, 3), np.uint8) for _ in range(CALIBRATION_FACES)]
