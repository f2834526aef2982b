"""What a training starts from: torchvision's ImageNet weights, a file, or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from configs.errors import InputError
from inference.checkpoint import read_weights
from inference.networks import HEADS, Backbone
from train.efficient_weights import FIRST, own_names
from train.face_weights import MANIFEST, read_face_weights

if TYPE_CHECKING:
    import torch
    from torch import nn

WITHOUT_IMAGENET = ("BasicCNN", "FaceResNet", "EfficientNet", "FaceEnsemble")  # torchvision has no weights of these


def load_pretrained(network: nn.Module, backbone: Backbone, weights: str) -> None:
    """Start from `weights`: `imagenet` (downloaded by torchvision) or a file. The head stays as it is.

    The file holds a state dict; for FaceResNet it can be the manifest of a face recognition network, for EfficientNet
    the file of train/efficient_weights.py; both have more layers. Raises InputError where the download is impossible or
    the file holds another network.
    """
    own = network.state_dict()
    if weights == "imagenet":
        state = imagenet_weights(backbone)
    elif weights.endswith(MANIFEST):
        state = {key: value for key, value in read_face_weights(Path(weights)).items() if key in own}
    else:
        state = read_weights(Path(weights))
        if backbone == "EfficientNet" and FIRST in state:
            state = {key: value for key, value in own_names(state).items() if key in own}
    head = HEADS[backbone]
    body = {key: value for key, value in state.items() if not key.startswith(f"{head}.")}
    if body.keys() != {key for key in own if not key.startswith(f"{head}.")} or any(
        value.shape != own[key].shape for key, value in body.items()
    ):
        raise InputError(f"--weights {weights}: these are not weights of {backbone}; choose the --backbone they are of")
    network.load_state_dict(body, strict=False)


def imagenet_weights(backbone: Backbone) -> Mapping[str, torch.Tensor]:
    """Torchvision's ImageNet state dict of the network, from its cache or its site."""
    from torchvision import models

    if backbone in WITHOUT_IMAGENET:
        raise InputError(f"--weights imagenet: there are none for {backbone}; use --weights none or --weights FILE")
    weights = {
        "ResNet": models.ResNet50_Weights.IMAGENET1K_V2,
        "ResNet18": models.ResNet18_Weights.IMAGENET1K_V1,
        "MobileNetV3": models.MobileNet_V3_Small_Weights.IMAGENET1K_V1,
    }[backbone]
    try:
        return weights.get_state_dict(progress=True, check_hash=True)
    except (OSError, RuntimeError) as error:  # no network, disk full; a wrong hash is a RuntimeError
        raise InputError(
            f"--weights imagenet: cannot download {weights.url} ({error}); "
            "give a local copy by --weights FILE, or start from scratch by --weights none"
        ) from error
