"""Checkpoints of our own face detector: its weights, and what its ONNX file says of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec
from msgspec import Struct

from configs.errors import InputError
from configs.whole_file import write_whole
from inference.checkpoint import fits, is_state_dict, read_content

if TYPE_CHECKING:
    from inference.networks.maskface_net import MaskFace

FORMAT = "maskstream-detector-1"
MULTIPLE = 32  # px that heights and widths of pictures must be multiples of: the coarsest places lie so far apart
PADDING_GREY = 114  # of what is filled up to that, right and below
NMS_IOU = 0.4  # of two boxes that overlap by more, one is dropped


class DetectorInfo(Struct, frozen=True, kw_only=True):
    """What an exported detector says of itself, as JSON under `maskstream` in its metadata.

    A candidate counts from `score` on; of two that overlap by more than `nms_iou` only the better one does.
    """

    kind: Literal["detector"] = "detector"
    name: str = "maskface"
    score: float
    nms_iou: float = NMS_IOU


def save_detector(path: Path, network: MaskFace, info: DetectorInfo) -> None:
    """Write weights and info; the file appears when it is complete, and an older one stays until then."""
    import torch

    content = {
        "format": FORMAT,
        "info": msgspec.to_builtins(info),
        "weights": {key: value.cpu() for key, value in network.state_dict().items()},
    }
    write_whole(path, lambda partial: torch.save(content, partial))


def load_detector(path: Path) -> tuple[MaskFace, DetectorInfo]:
    """The network in eval mode on the CPU, and its info. Raises InputError for any other file."""
    from inference.networks.maskface_net import MaskFace

    content = read_content(path)
    if content.get("format") != FORMAT:
        raise InputError(f"{path}: not the checkpoint of a face detector, as maskstream train-detector writes it")
    try:
        info = msgspec.convert(content.get("info"), DetectorInfo)
    except msgspec.ValidationError as error:
        raise InputError(f"{path}: damaged checkpoint: {error}") from error
    network, weights = MaskFace(), content.get("weights")
    if not is_state_dict(weights) or not fits(network, weights):
        raise InputError(f"{path}: these are not weights of the detector {info.name}")
    network.load_state_dict(weights)
    return network.eval(), info


def is_detector(path: Path) -> bool:
    """Whether the file is a detector's checkpoint. Raises InputError where it is no model file at all."""
    return read_content(path).get("format") == FORMAT
