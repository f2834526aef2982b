"""Model files of PyTorch: weights together with everything that is needed to use them."""

from __future__ import annotations

import logging
import pickle
import struct
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeGuard

import msgspec
from msgspec import Struct

from configs.errors import InputError
from configs.whole_file import write_whole
from inference.foreign_checkpoint import (
    found_class_names,
    found_weights,
    pickled_object,
    plain_values,
    with_counters,
)
from inference.networks import BACKBONES, HEAD_INPUTS, HEADS, PREPROCESSING, Backbone, build_network
from inference.original import classes_in_name
from inference.preprocess import Preprocessing

if TYPE_CHECKING:
    import torch
    from torch import nn

log = logging.getLogger("classify")

FORMAT = "maskstream-checkpoint-1"
ORIGINAL_OUTPUTS = 3  # of every network of the original program, however many classes it was trained on

DAMAGED = (  # what torch.load raised on 6,000 files with some bytes changed or the end cut off
    RuntimeError, OSError, EOFError, ValueError, LookupError, TypeError, AttributeError, AssertionError, struct.error
)  # fmt: skip


class ModelInfo(Struct, frozen=True, forbid_unknown_fields=True):
    """What belongs to the weights: `classes` in the order of the outputs, and how to prepare faces for them.

    Probabilities are softmax((logits + points[preference]) / temperature): `points` has what each preference but
    balanced adds to the logits of the classes (`inference/preference.py`). `backbone` is empty for ONNX files of
    unknown making.
    `data_fingerprint` is a hash of the pictures and labels it learnt from, empty where that is not known.
    """

    classes: tuple[str, ...]
    preprocessing: Preprocessing
    backbone: str = ""
    temperature: float = 1.0
    data_fingerprint: str = ""
    points: dict[str, tuple[float, ...]] = {}


def save_checkpoint(path: Path, network: nn.Module, info: ModelInfo) -> None:
    """Write weights and info; the file appears when it is complete, and an older one stays until then."""
    import torch

    content = {
        "format": FORMAT,
        "info": msgspec.to_builtins(info),
        "weights": {key: value.cpu() for key, value in network.state_dict().items()},
    }
    write_whole(path, lambda partial: torch.save(content, partial))


def load_checkpoint(path: Path, classes: Sequence[str] = (), backbone: str = "") -> tuple[nn.Module, ModelInfo]:
    """The network in eval mode on the CPU, and its info.

    A bare state dict loads too when `classes` are given; its backbone is told by its keys. Raises InputError for
    a file that is no model, that holds pickled objects, whose weights do not fit, or whose classes are not known.
    """
    content = read_content(path)
    if content.get("format") == FORMAT:
        try:
            info = msgspec.convert(content.get("info"), ModelInfo)
        except msgspec.ValidationError as error:
            raise InputError(f"{path}: damaged checkpoint: {error}") from error
        if classes and len(classes) != len(info.classes):
            raise InputError(f"{path}: it has {len(info.classes)} classes, --classes gives {len(classes)}")
        info = msgspec.structs.replace(info, classes=tuple(classes) or info.classes)
        weights = content.get("weights")
    else:
        weights, info = understand_bare_weights(path, content, classes, backbone)
    network = build_network(known_backbone(path, info.backbone), len(info.classes))
    if is_state_dict(weights):
        weights = with_counters(weights, network.state_dict())
    if not is_state_dict(weights) or not fits(network, weights):
        raise InputError(f"{path}: these are not weights of {info.backbone} with {len(info.classes)} classes")
    network.load_state_dict(weights)
    return network.eval(), info


def has_class_names(path: Path) -> bool:
    """Whether class names are saved in the file, ours or another program's."""
    content = read_content(path)
    weights = found_weights(path, content)
    name = recognised(weights)
    outputs = len(weights.get(f"{HEADS[known_backbone(path, name)]}.bias", ())) if name else 0
    return content.get("format") == FORMAT or bool(found_class_names(content, outputs)[0])


def read_weights(path: Path) -> Mapping[str, torch.Tensor]:
    """The state dict in a file: of a checkpoint of ours or of others, or bare."""
    content = read_content(path)
    weights = content.get("weights") if content.get("format") == FORMAT else found_weights(path, content)
    if not is_state_dict(weights):
        raise InputError(f"{path}: not a model file: it holds no weights")
    return weights


def read_content(path: Path) -> dict[str, Any]:
    """What `torch.save` put into the file, tensors and plain values only: no code in it is ever run."""
    import torch

    try:
        with path.open("rb") as file:
            start = file.read(2)
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    if start != b"PK" and start[:1] != b"\x80":  # torch.save writes a zip file; before 1.6 it was a pickle
        raise InputError(f"{path}: not a PyTorch model file{other_format(path)}")
    refuse_programs(path)
    try:
        with torch.serialization.safe_globals(plain_values()):
            content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        name = pickled_object(error) or "a pickled object"
        raise InputError(
            f"{path}: refused: it holds {name}, and unpickling that could run code; where it was made, save its "
            "weights alone: torch.save(model.state_dict(), 'weights.pth')"
        ) from error
    except DAMAGED as error:
        raise InputError(f"{path}: not a PyTorch model file, or a damaged one") from error
    if not isinstance(content, dict):
        raise InputError(f"{path}: not a model file: it holds a {type(content).__name__}, not weights")
    return content


def refuse_programs(path: Path) -> None:
    """Raise InputError for TorchScript and torch.export files: they are programs, not weights."""
    if not zipfile.is_zipfile(path):
        return
    try:
        with zipfile.ZipFile(path) as archive:
            parts = {name.partition("/")[2].partition("/")[0] for name in archive.namelist()}
    except (zipfile.BadZipFile, OSError):
        return  # torch.load says it
    if "code" in parts:
        kind, how = "TorchScript", f"torch.jit.load('{path.name}').state_dict()"
    elif "archive_format" in parts:
        kind, how = "a program of torch.export", f"torch.export.load('{path.name}').state_dict"
    else:
        return
    raise InputError(f"{path}: is {kind}, which is code; save its weights alone: torch.save({how}, 'weights.pth')")


def other_format(path: Path) -> str:
    """What to do with a file of another kind, as its name tells it."""
    if path.suffix == ".safetensors":
        return f"; make one of it: torch.save(safetensors.torch.load_file('{path.name}'), 'weights.pth')"
    return ""


def understand_bare_weights(
    path: Path, content: Mapping[str, Any], classes: Sequence[str], backbone: str
) -> tuple[Mapping[str, Any], ModelInfo]:
    """The original project saved weights alone, others more: the keys tell the network, the user tells the classes.

    Class names that other programs have saved with the weights, or that are in the file's name, are taken where the
    user gives none.

    It wrote three outputs for two classes, too. Then the third, which was never trained, is dropped here, so that
    probabilities are the softmax over the other two and no face is ever called by a class without a name.
    """
    weights = found_weights(path, content)
    found = recognised(weights) or backbone
    if backbone and found != backbone:
        raise InputError(f"{path}: these are weights of {found}, not of {backbone}")
    if not found:
        raise InputError(f"{path}: holds no network that is known here: {', '.join(BACKBONES)}")
    name = known_backbone(path, found)
    if not classes:
        classes, place = found_class_names(content, len(weights.get(f"{HEADS[name]}.bias", ())))
        if not classes:
            classes, place = classes_in_name(path), "its own name"
        if not classes:
            raise InputError(f"{path}: holds weights without class names; give them in order: --classes a,b,c")
        log.warning("%s: takes its class names from %s: %s", path, place, ", ".join(classes))
    info = ModelInfo(tuple(classes), PREPROCESSING[name], name)
    head = {f"{HEADS[name]}.{part}": weights.get(f"{HEADS[name]}.{part}") for part in ("weight", "bias")}
    if not is_state_dict(head) or 0 in (value.dim() for value in head.values()):
        return weights, info  # not half a head fits a network: refused where the others are
    outputs = {len(value) for value in head.values()}
    if outputs == {ORIGINAL_OUTPUTS} and len(classes) == 2:
        log.warning(
            "%s: has three outputs for two classes, as the original program wrote it: the third is dropped", path
        )
        return {**weights, **{key: value[:2] for key, value in head.items()}}, info
    if outputs != {len(classes)}:
        raise InputError(
            f"{path}: the network has {max(outputs)} outputs, but there are {len(classes)} class names: "
            f"{', '.join(classes)}"
        )
    return weights, info


def recognised(weights: Mapping[str, Any]) -> str:
    """The network with a head of this name; of two, as the ResNets have it, the one with a head of this width."""
    named = [name for name in BACKBONES if f"{HEADS[name]}.weight" in weights]
    width = getattr(weights[f"{HEADS[named[0]]}.weight"], "shape", ())[1:] if named else ()
    return next((name for name in named if width == (HEAD_INPUTS[name],)), named[0] if named else "")


def known_backbone(path: Path, backbone: str) -> Backbone:
    for name in BACKBONES:
        if name == backbone:
            return name
    raise InputError(f"{path}: unknown backbone {backbone!r}; known are {', '.join(BACKBONES)}")


def is_state_dict(weights: object) -> TypeGuard[dict[str, torch.Tensor]]:
    import torch

    return isinstance(weights, dict) and all(isinstance(value, torch.Tensor) for value in weights.values())


def fits(network: nn.Module, weights: Mapping[str, torch.Tensor]) -> bool:
    own = network.state_dict()
    return own.keys() == weights.keys() and all(own[key].shape == value.shape for key, value in weights.items())
