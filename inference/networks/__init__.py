"""The networks that tell how a mask is worn: ResNets, BasicCNN, MobileNetV3 and FaceEnsemble, the one that ships."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal, get_args

from configs.errors import InputError
from inference.preprocess import Preprocessing

if TYPE_CHECKING:  # torch takes seconds to import, and the serving install has none
    from torch import nn

Trainable = Literal["ResNet", "BasicCNN", "ResNet18", "MobileNetV3", "FaceResNet", "EfficientNet"]
Backbone = Literal[Trainable, "FaceEnsemble"]  # the last is put together of two that were trained
RetrainMode = Literal["not_retrain", "retrain", "all"]
BACKBONES: tuple[Backbone, ...] = get_args(Backbone)

PREPROCESSING: dict[Backbone, Preprocessing] = {
    "ResNet": Preprocessing(224),
    "BasicCNN": Preprocessing(256, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
    "ResNet18": Preprocessing(112),
    "MobileNetV3": Preprocessing(112),
    # the mean that dlib takes off, and its scale
    "FaceResNet": Preprocessing(112, mean=(0.4815, 0.4588, 0.4090), std=(1.0, 1.0, 1.0)),
    "EfficientNet": Preprocessing(112, mean=(0.498, 0.498, 0.498), std=(0.502, 0.502, 0.502)),  # 127 and 128 of 255
    "FaceEnsemble": Preprocessing(112, mean=(0.4815, 0.4588, 0.4090), std=(1.0, 1.0, 1.0)),
}

HEADS: dict[Backbone, str] = {
    "ResNet": "fc",
    "BasicCNN": "12",
    "ResNet18": "fc",
    "MobileNetV3": "classifier.3",
    "FaceResNet": "head",
    "EfficientNet": "head",
    "FaceEnsemble": "head",
}
"""Name of the last layer of each network: the one with an output for each class."""

HEAD_INPUTS: dict[Backbone, int] = {
    "ResNet": 2048,
    "BasicCNN": 64,
    "ResNet18": 512,
    "MobileNetV3": 1024,
    "FaceResNet": 256,
    "EfficientNet": 192,
    "FaceEnsemble": 448,
}


def require_torch(what: str) -> None:
    """Refuse in words what needs PyTorch where it is not installed: the serving install has none."""
    missing = [name for name in ("torch", "torchvision", "onnx", "onnxscript") if find_spec(name) is None]
    if missing:
        raise InputError(f"{what} needs {missing[0]}, which is not installed: pip install -e '.[train]' brings it")


def build_network(backbone: Backbone, classes: int) -> nn.Module:
    """The network with random weights: (N, 3, size, size) float32 RGB, normalised, to (N, classes) logits."""
    from torch import nn
    from torchvision import models

    if backbone == "BasicCNN":
        return basic_cnn(classes)
    if backbone == "ResNet":
        network = models.resnet50(weights=None)
        network.fc = nn.Linear(2048, classes)
        return network
    if backbone == "ResNet18":
        return models.resnet18(weights=None, num_classes=classes)
    if backbone == "FaceResNet":
        from inference.networks.face_resnet import face_resnet

        return face_resnet(classes)
    if backbone == "EfficientNet":
        from inference.networks.efficient_net import efficient_net

        return efficient_net(classes)
    if backbone == "FaceEnsemble":
        from inference.networks.face_ensemble import FaceEnsemble

        return FaceEnsemble(classes, PREPROCESSING["FaceEnsemble"], PREPROCESSING["EfficientNet"])
    # torchvision's momentum of 0.01 is for long training: after 190 steps eval mode still gave every face one class
    norm = partial(nn.BatchNorm2d, eps=0.001, momentum=0.1)
    return models.mobilenet_v3_small(weights=None, num_classes=classes, norm_layer=norm)


def with_biases(network: nn.Module, backbone: Backbone, biases: Sequence[float]) -> nn.Module:
    """A copy of the network whose logits are higher by `biases`, one for each class; none: the network itself."""
    if not biases:
        return network
    import torch

    shifted = copy.deepcopy(network)
    head = shifted.get_parameter(f"{HEADS[backbone]}.bias")
    with torch.no_grad():
        head.add_(torch.tensor(biases, dtype=head.dtype, device=head.device))
    return shifted


def basic_cnn(classes: int) -> nn.Sequential:
    """The original project's own network, for 3 x 256 x 256. One Sequential: its bare state dicts load by index."""
    from torch import nn

    return nn.Sequential(
        nn.Conv2d(3, 64, kernel_size=5),  # 0: 64 x 252 x 252
        nn.ReLU(inplace=True),
        nn.MaxPool2d(kernel_size=7, stride=7),  # 64 x 36 x 36
        nn.Conv2d(64, 128, kernel_size=3, padding=1),  # 3: 128 x 36 x 36
        nn.ReLU(inplace=True),
        nn.MaxPool2d(kernel_size=2),  # 128 x 18 x 18
        nn.Flatten(),
        nn.Linear(128 * 18 * 18, 512),  # 7
        nn.ReLU(inplace=True),
        nn.Linear(512, 64),  # 9
        nn.ReLU(inplace=True),
        nn.Dropout(0.5),
        nn.Linear(64, classes),  # 12
    )


def freeze(network: nn.Module, mode: RetrainMode) -> None:
    """Let only some of a ResNet learn: its `fc` (not_retrain), `layer3`, `layer4` and `fc` (retrain), or all of it."""
    learning = {"not_retrain": ("fc",), "retrain": ("layer3", "layer4", "fc"), "all": None}[mode]
    for name, part in network.named_children():
        part.requires_grad_(learning is None or name in learning)


def training_mode(network: nn.Module) -> None:
    """`network.train()`, but batch norm of frozen layers keeps its statistics: they are part of the frozen weights."""
    from torch.nn.modules.batchnorm import _BatchNorm

    network.train()
    for module in network.modules():
        if isinstance(module, _BatchNorm) and not any(weight.requires_grad for weight in module.parameters()):
            module.eval()
