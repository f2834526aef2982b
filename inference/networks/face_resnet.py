"""Half of the network that ships: the lower layers of dlib's face recognition network, with a head that sees masks.

A network that has learnt to tell three million faces apart knows eyes, noses, mouths and skin already; from random
weights four thousand faces teach it those badly. Layers: Davis King, "High quality face recognition with deep metric
learning" (2017), a ResNet after He et al. (2015). Its last two blocks, nearest to telling persons apart, are left out.
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import nn
from torch.nn.functional import avg_pool2d, pad, relu

BLOCKS = (  # name, inputs, outputs, halves the picture
    ("conv32_1", 32, 32, False),
    ("conv32_2", 32, 32, False),
    ("conv32_3", 32, 32, False),
    ("conv64_down", 32, 64, True),
    ("conv64_1", 64, 64, False),
    ("conv64_2", 64, 64, False),
    ("conv64_3", 64, 64, False),
    ("conv128_down", 64, 128, True),
    ("conv128_1", 128, 128, False),
    ("conv128_2", 128, 128, False),
    ("conv256_down", 128, 256, True),
    ("conv256_1", 256, 256, False),
)


class Block(nn.Module):
    """Two convolutions beside a way past them: as it is, or shrunk by two and padded with empty channels."""

    def __init__(self, inputs: int, outputs: int, halves: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, 2, 0) if halves else nn.Conv2d(inputs, outputs, 3, 1, 1)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1)
        self.halves, self.new_channels = halves, outputs - inputs

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        found = self.conv2(relu(self.conv1(maps)))
        if self.halves:
            maps = avg_pool2d(maps, 2)
            right, below = maps.shape[3] - found.shape[3], maps.shape[2] - found.shape[2]
            found = pad(found, (0, right, 0, below))
            maps = pad(maps, (0, 0, 0, 0, 0, self.new_channels))
        return relu(maps + found)


def face_resnet(classes: int) -> nn.Sequential:
    """The network with random weights, 3.2 million of them; no batch norm: dlib's was folded into the convolutions."""
    parts: OrderedDict[str, nn.Module] = OrderedDict(
        stem=nn.Conv2d(3, 32, 7, 2),
        relu=nn.ReLU(inplace=True),
        pool=nn.MaxPool2d(3, 2),
    )
    for name, inputs, outputs, halves in BLOCKS:
        parts[name] = Block(inputs, outputs, halves)
    parts |= OrderedDict(
        mean=nn.AdaptiveAvgPool2d(1),
        flat=nn.Flatten(),
        dropout=nn.Dropout(0.2),
        head=nn.Linear(BLOCKS[-1][2], classes),
    )
    return nn.Sequential(parts)
