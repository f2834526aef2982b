"""What a training starts from: torchvision's ImageNet weights, a file, or nothing."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from configs.errors import InputError
from inference.checkpoint import read_weights
from inference.networks import HEADS, Backbone, RetrainMode, build_network, freeze
from train.classifier.published_weights import (
    FIRST_OF_EFFICIENTNET,
    MANIFEST,
    read_face_weights,
    renamed_efficientnet,
)

if TYPE_CHECKING:
    import torch
    from torch import nn
    from torchvision.models import WeightsEnum

log = logging.getLogger("train")

MODELS = Path("models")  # where a training leaves its own
WITHOUT_IMAGENET = ("BasicCNN", "FaceResNet", "EfficientNet", "FaceEnsemble")  # torchvision has no weights of these


def new_network(
    backbone: Backbone, classes: int, weights: str, mode: RetrainMode, seed: int, device: torch.device
) -> nn.Module:
    """The network to begin with."""
    import torch

    torch.manual_seed(seed)
    network = build_network(backbone, classes)
    if weights != "none":
        load_pretrained(network, backbone, weights)
    freeze(network, mode)
    if backbone == "BasicCNN" and device.type == "cpu":
        from train.classifier.pooled_conv import with_pooled_conv

        assert isinstance(network, torch.nn.Sequential)
        network = with_pooled_conv(network)
    # channels last is faster on a CPU
    return network.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]


def load_pretrained(network: nn.Module, backbone: Backbone, weights: str) -> None:
    """Start from `weights`: `imagenet` (downloaded by torchvision) or a file. The head stays as it is.

    The file holds a state dict; for FaceResNet it can be the manifest of a face recognition network, for EfficientNet
    the published file; both have more layers. Raises InputError where the download is impossible or
    the file holds another network.
    """
    own = network.state_dict()
    if weights == "imagenet":
        state = imagenet_weights(backbone)
    elif weights.endswith(MANIFEST):
        state = {key: value for key, value in read_face_weights(found_weights(weights)).items() if key in own}
    else:
        state = read_weights(found_weights(weights))
        if backbone == "EfficientNet" and FIRST_OF_EFFICIENTNET in state:
            state = {key: value for key, value in renamed_efficientnet(state).items() if key in own}
    head = HEADS[backbone]
    body = {key: value for key, value in state.items() if not key.startswith(f"{head}.")}
    if body.keys() != {key for key in own if not key.startswith(f"{head}.")} or any(
        value.shape != own[key].shape for key, value in body.items()
    ):
        raise InputError(f"--weights {weights}: these are not weights of {backbone}; choose the --backbone they are of")
    network.load_state_dict(body, strict=False)


def found_weights(weights: str) -> Path:
    """The file that `--weights` means. A bare name is also looked for in models/ and in PyTorch's cache, and without
    its suffix. Raises InputError that names all places.
    """
    given = Path(weights)
    if given.exists():
        return given
    folders = (Path(), MODELS, cached_at("")) if len(given.parts) == 1 else (Path(),)
    names = [given] if given.suffix else [given, Path(f"{given}.pth")]
    places = [folder / name for folder in folders for name in names]
    found = next((place for place in places if place.is_file()), None)
    if found is None:
        raise InputError(
            f"--weights {weights}: no such file; looked for {', '.join(map(str, places))}; "
            "give the path of a state dict, or imagenet, or none"
        )
    log.info("--weights %s: %s is taken", weights, found)
    return found


def imagenet_weights(backbone: Backbone) -> Mapping[str, torch.Tensor]:
    """Torchvision's ImageNet state dict of the network, from its cache or its site.

    Torch checks the hash in a file's name only when it downloads it: a file in the cache that was cut off later would
    give an error from within a zip reader.
    """
    entry = imagenet_entry(backbone)
    cached = cached_at(entry.url)
    try:
        if cached.is_file() and not hash_fits(cached):
            raise InputError(
                f"--weights imagenet: {cached} is damaged or cut off: it does not fit the hash in its name; delete it, "
                "then it is downloaded again"
            )
        return entry.get_state_dict(progress=True, check_hash=True)
    except (OSError, RuntimeError) as error:  # no network, disk full; a wrong hash is a RuntimeError
        raise InputError(
            f"--weights imagenet: cannot download {entry.url} ({error}); put that file at {cached}, where PyTorch "
            "looks first, give a local copy by --weights FILE, or start from scratch by --weights none"
        ) from error


def imagenet_entry(backbone: Backbone) -> WeightsEnum:
    """Torchvision's name for the weights. Raises InputError where it has none."""
    from torchvision import models

    if backbone in WITHOUT_IMAGENET:
        raise InputError(f"--weights imagenet: there are none for {backbone}; use --weights none or --weights FILE")
    entries: dict[Backbone, WeightsEnum] = {
        "ResNet": models.ResNet50_Weights.IMAGENET1K_V2,
        "ResNet18": models.ResNet18_Weights.IMAGENET1K_V1,
        "MobileNetV3": models.MobileNet_V3_Small_Weights.IMAGENET1K_V1,
    }
    return entries[backbone]


def cached_at(url: str) -> Path:
    """Where PyTorch keeps the file of this address: below TORCH_HOME, else ~/.cache/torch."""
    import torch

    return Path(torch.hub.get_dir()) / "checkpoints" / url.rpartition("/")[2]


def hash_fits(file: Path) -> bool:
    """Whether the file is what its name says: `resnet50-11ad3fa6.pth` has a SHA-256 that begins with 11ad3fa6."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest().startswith(file.stem.rpartition("-")[2])


def origin_of(backbone: Backbone, weights: str) -> str:
    """Where the weights come from that a training starts with, in words."""
    if weights == "none":
        return "random weights"
    if weights == "imagenet":
        return f"weights learnt from ImageNet ({cached_at(imagenet_entry(backbone).url)})"
    return str(found_weights(weights))
