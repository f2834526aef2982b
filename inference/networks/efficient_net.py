"""The other half: EfficientNet-Lite0 without its last layers; it has learnt from ImageNet to tell things apart.

Layers: Tan and Le, "EfficientNet" (2019), in the form for phones ("Lite", Google, 2020): no squeeze-and-excitation,
ReLU6. The last stage, nearest to telling ImageNet's classes apart, is left out.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable
from functools import partial

import torch
from torch import nn
from torch.nn.functional import pad
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torchvision.ops import Conv2dNormActivation

STAGES = (  # kernel, stride, expansion, channels, blocks
    (3, 1, 1, 16, 1),
    (3, 2, 6, 24, 2),
    (5, 2, 6, 40, 2),
    (3, 2, 6, 80, 3),
    (5, 1, 6, 112, 3),
    (5, 2, 6, 192, 4),
)
# TensorFlow's epsilon; its momentum of 0.01 is for long training, see inference/networks/__init__.py
norm = partial(nn.BatchNorm2d, eps=0.001, momentum=0.05)


class SamePad(nn.Module):
    """Pads as TensorFlow does, which these weights were learnt with: what is odd goes to the right and below."""

    def __init__(self, kernel: int, stride: int) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        height, width = (self.kernel - (side % self.stride or self.stride) for side in maps.shape[2:])
        return pad(maps, (width // 2, width - width // 2, height // 2, height - height // 2))


class Block(nn.Module):
    """Widen, look around in each channel by itself, narrow; added to what came in where the shapes agree."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int, layer: Callable[..., nn.Module]
    ) -> None:
        super().__init__()
        wide = inputs * expansion
        parts: OrderedDict[str, nn.Module] = OrderedDict()
        if expansion > 1:
            parts["widen"] = layer(inputs, wide, 1)
        parts["pad"] = SamePad(kernel, stride)
        parts["look"] = layer(wide, wide, kernel, stride, groups=wide)
        parts["narrow"] = layer(wide, outputs, 1, activation_layer=None)
        self.parts = nn.Sequential(parts)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = self.parts(maps)
        return maps + found if self.adds else found


def efficient_net(classes: int, folded: bool = False) -> nn.Sequential:
    """The network with random weights, 2.4 million of them: (N, 3, side, side) float32 RGB, normalised, to logits.

    `folded`: as `fold` leaves it.
    """
    layer = partial(Conv2dNormActivation, norm_layer=None if folded else norm, activation_layer=nn.ReLU6, padding=0)
    parts: OrderedDict[str, nn.Module] = OrderedDict(pad=SamePad(3, 2), stem=layer(3, 32, 3, 2))
    inputs, number = 32, 0
    for kernel, stride, expansion, outputs, blocks in STAGES:
        for block in range(blocks):
            parts[f"block{number}"] = Block(inputs, outputs, kernel, 1 if block else stride, expansion, layer)
            inputs, number = outputs, number + 1
    parts |= OrderedDict(
        mean=nn.AdaptiveAvgPool2d(1),
        flat=nn.Flatten(),
        dropout=nn.Dropout(0.2),
        head=nn.Linear(inputs, classes),
    )
    return nn.Sequential(parts)


def fold(network: nn.Module) -> nn.Module:
    """A copy whose batch norms are part of the convolutions before them: same logits, faster, weights can be halved."""
    folded = copy.deepcopy(network).eval()
    for part in folded.modules():
        if isinstance(part, Conv2dNormActivation) and any(isinstance(layer, nn.BatchNorm2d) for layer in part):
            part[0] = fuse_conv_bn_eval(part[0], part[1])
            del part[1]
    return folded
