"""The networks that tell how a mask is worn: BasicCNN, ResNet50, MobileNetV3 and SlimResNet, the one that ships."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal, get_args

from configs.errors import InputError
from inference.preprocess import Preprocessing

if TYPE_CHECKING:  # torch takes seconds to import, and the serving install has none
    from torch import nn

Backbone = Literal["ResNet", "BasicCNN", "MobileNetV3", "SlimResNet"]
RetrainMode = Literal["not_retrain", "retrain", "all"]
BACKBONES: tuple[Backbone, ...] = get_args(Backbone)

PREPROCESSING: dict[Backbone, Preprocessing] = {
    "ResNet": Preprocessing(224),
    "BasicCNN": Preprocessing(256, mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
    "MobileNetV3": Preprocessing(112),
    "SlimResNet": Preprocessing(112),
}

HEADS: dict[Backbone, str] = {"ResNet": "fc", "BasicCNN": "12", "MobileNetV3": "classifier.3", "SlimResNet": "head"}
"""Name of the last layer of each network: the one with an output for each class."""


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
    if backbone == "SlimResNet":
        return slim_resnet(classes)
    # torchvision's momentum of 0.01 is for long training: after 190 steps eval mode still gave every face one class
    norm = partial(nn.BatchNorm2d, eps=0.001, momentum=0.1)
    return models.mobilenet_v3_small(weights=None, num_classes=classes, norm_layer=norm)


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


def slim_resnet(classes: int) -> nn.Sequential:
    """ResNet18 of half the width, 2.8 million weights: as deep, and small enough to learn from a few thousand faces.

    Fully convolutional up to its mean: it learns on small pictures first, and runs on larger ones.
    """
    from collections import OrderedDict

    from torch import nn
    from torchvision.models.resnet import BasicBlock

    def block(inputs: int, outputs: int, stride: int) -> nn.Module:
        if stride == 1:
            return BasicBlock(inputs, outputs)
        shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
        return BasicBlock(inputs, outputs, stride, shortcut)

    parts: OrderedDict[str, nn.Module] = OrderedDict(
        stem=nn.Sequential(
            nn.Conv2d(3, 32, 5, 2, padding=2, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, 2, padding=1),
        ),
        layer1=nn.Sequential(block(32, 32, 1), block(32, 32, 1)),
        layer2=nn.Sequential(block(32, 64, 2), block(64, 64, 1)),
        layer3=nn.Sequential(block(64, 128, 2), block(128, 128, 1)),
        layer4=nn.Sequential(block(128, 256, 2), block(256, 256, 1)),
        mean=nn.AdaptiveAvgPool2d(1),
        flat=nn.Flatten(),
        dropout=nn.Dropout(0.2),
        head=nn.Linear(256, classes),
    )
    return nn.Sequential(parts)


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
