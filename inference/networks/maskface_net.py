"""The network of our own face detector: one pass over the picture, a score and a box for each of its places.

Anchor-free after FCOS (Tian et al., 2019) and YOLOX (Ge et al., 2021), of the size of YuNet (Wu et al., 2023): plain
convolutions where the picture is still large and channels are few, depthwise ones behind them, and three maps of
places 8, 16 and 32 px apart, the finer ones told by the coarser ones what is around them.
"""

from __future__ import annotations

import copy

import torch
from torch import nn
from torch.nn.functional import interpolate, relu
from torch.nn.utils.fusion import fuse_conv_bn_eval

STRIDES = (8, 16, 32)  # px between the places of each map
STEM, EARLY, WIDTH = 16, 32, 64  # channels at 2, 4 and from 8 px on
BLOCKS = {8: 2, 16: 3, 32: 2}
FIRST_SCORE = -4.0  # logit of every place at the start: faces are rare, and the first steps do not have to learn that
LARGEST_GROWTH = 5.0  # a box is at most e to this many strides wide: 4,749 px, and no infinity ever


class Conv(nn.Module):
    """Convolution and batch norm; `grouped` has one filter for each channel."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int = 1, grouped: bool = False) -> None:
        super().__init__()
        groups = inputs if grouped else 1
        self.conv = nn.Conv2d(inputs, outputs, size, stride, size // 2, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        normed: torch.Tensor = self.norm(self.conv(maps))
        return normed

    def folded(self) -> nn.Conv2d:
        """One convolution that does the same in eval mode."""
        return fuse_conv_bn_eval(self.conv, self.norm)


class Separable(nn.Module):
    """A depthwise and a pointwise convolution; beside them a way past them where the shape stays."""

    def __init__(self, channels: int, stride: int = 1) -> None:
        super().__init__()
        self.depthwise = Conv(channels, channels, 3, stride, grouped=True)
        self.pointwise = Conv(channels, channels, 1)
        self.passes = stride == 1

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        found = self.pointwise(self.depthwise(maps))
        return relu(maps + found if self.passes else found)


class Head(nn.Module):
    """From a map of places, `stride` px apart, to a logit and a box for each of them."""

    def __init__(self, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.mix = Separable(WIDTH)
        self.answer = nn.Conv2d(WIDTH, 5, 1)
        nn.init.normal_(self.answer.weight, std=0.01)
        self.answer.bias = nn.Parameter(torch.tensor([FIRST_SCORE, 0.0, 0.0, 1.0, 1.0]))

    def forward(self, maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits (B, h * w) and boxes (B, h * w, 4) px of maps (B, channels, h, w), row by row."""
        score, right, down, width, height = self.answer(self.mix(maps)).float().unbind(dim=1)
        x = (torch.arange(maps.shape[3], device=maps.device) + 0.5 + right) * self.stride
        y = ((torch.arange(maps.shape[2], device=maps.device) + 0.5).unsqueeze(1) + down) * self.stride
        half_x, half_y = (self.stride / 2 * size.clamp(max=LARGEST_GROWTH).exp() for size in (width, height))
        boxes = torch.stack([x - half_x, y - half_y, x + half_x, y + half_y], dim=-1)
        return score.flatten(1), boxes.flatten(1, 2)


class MaskFace(nn.Module):
    """Pictures (B, 3, H, W) float32 BGR 0..255, H and W multiples of 32, to logits and boxes of all N places.

    Logits are (B, N); boxes (B, N, 4) are x1, y1, x2, y2 in px of the picture, as an annotator draws them, and may
    reach outside. N is H * W * (1/64 + 1/256 + 1/1024), the finest map first.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(Conv(3, STEM, 3, 2), nn.ReLU(), Conv(STEM, EARLY, 3, 2), nn.ReLU(), Separable(EARLY))
        self.down8 = nn.Sequential(Conv(EARLY, WIDTH, 3, 2), nn.ReLU(), *(Separable(WIDTH) for _ in range(BLOCKS[8])))
        self.down16 = nn.Sequential(Separable(WIDTH, 2), *(Separable(WIDTH) for _ in range(BLOCKS[16])))
        self.down32 = nn.Sequential(Separable(WIDTH, 2), *(Separable(WIDTH) for _ in range(BLOCKS[32])))
        self.up16, self.up8 = Separable(WIDTH), Separable(WIDTH)
        self.heads = nn.ModuleList(Head(stride) for stride in STRIDES)

    def forward(self, pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        at8 = self.down8(self.stem((pictures - 127.5) / 64))
        at16 = self.down16(at8)
        at32 = self.down32(at16)
        at16 = self.up16(at16 + interpolate(at32, scale_factor=2.0))
        at8 = self.up8(at8 + interpolate(at16, scale_factor=2.0))
        answers = [head(maps) for head, maps in zip(self.heads, (at8, at16, at32), strict=True)]
        return torch.cat([logits for logits, _ in answers], dim=1), torch.cat([boxes for _, boxes in answers], dim=1)


class OnePicture(nn.Module):
    """The form that is exported: an image (1, 3, H, W) to boxes (N, 4) px and scores (N,) 0..1 of all places."""

    def __init__(self, network: MaskFace) -> None:
        super().__init__()
        self.network = without_norms(network)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        logits, boxes = self.network(image)
        return boxes[0], logits[0].sigmoid()


def places(height: int, width: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Middles (N, 2) x, y px and strides (N,) of the places of a picture of that size, in the order of the answers."""
    middles, strides = [], []
    for stride in STRIDES:
        rows, columns = height // stride, width // stride
        y, x = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        middles.append((torch.stack([x, y], dim=-1).reshape(-1, 2) + 0.5) * stride)
        strides.append(torch.full((rows * columns,), float(stride)))
    return torch.cat(middles), torch.cat(strides)


def without_norms(network: MaskFace) -> MaskFace:
    """A copy in eval mode with its batch norms folded into the convolutions before them."""
    folded = copy.deepcopy(network).eval()
    for part in folded.modules():
        for name, child in list(part.named_children()):
            if isinstance(child, Conv):
                setattr(part, name, child.folded())
    return folded
