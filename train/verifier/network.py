"""The verifier's network, of some thousand weights, which sees a small window, and its augmentation."""

from __future__ import annotations

import torch
from torch import nn

WIDTHS = (24, 56, 96)  # channels: of 23 thousand weights


class VerifierNetwork(nn.Module):
    """Windows (N, side, side, 3) uint8 BGR in; logits (N,) of being a face and moves (N, 4) of the verifier out.

    Depthwise and pointwise layers as in MobileNet (Howard et al., 2017); the last depthwise one covers all that is
    left, so that eyes above and mouth below weigh differently.
    """

    def __init__(self, side_px: int, widths: tuple[int, int, int] = WIDTHS) -> None:
        super().__init__()
        self.side_px = side_px
        first, second, third = widths
        left = side_px // 8
        self.layers = nn.Sequential(
            nn.Conv2d(3, first, 3, 2, 1, bias=False),
            nn.BatchNorm2d(first),
            nn.ReLU(),
            *separable(first, second, 2),
            *separable(second, third, 2),
            *separable(third, third, 1),
            nn.Conv2d(third, third, left, groups=third, bias=False),
            nn.BatchNorm2d(third),
            nn.ReLU(),
            nn.Flatten(),
        )
        self.head = nn.Linear(third, 5)

    def forward(self, windows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        planes = (windows.permute(0, 3, 1, 2).float() - 127.5) / 64
        out = self.head(self.layers(planes))
        return out[:, 0], out[:, 1:]


def separable(inputs: int, outputs: int, stride: int) -> list[nn.Module]:
    """A depthwise and a pointwise convolution."""
    return [
        nn.Conv2d(inputs, inputs, 3, stride, 1, groups=inputs, bias=False),
        nn.BatchNorm2d(inputs),
        nn.ReLU(),
        nn.Conv2d(inputs, outputs, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(),
    ]


def augmented(
    windows: torch.Tensor, moves: torch.Tensor, side_px: int, generator: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Windows (N, roomy, roomy, 3) uint8 turned, moved, scaled, mirrored and lit otherwise, and their moves.

    What comes out is (N, side_px, side_px, 3): the middle, which the network will see.
    """
    count, roomy = windows.shape[:2]

    def draw(low: float, high: float, *shape: int) -> torch.Tensor:
        return torch.rand(count, *shape, generator=generator) * (high - low) + low

    angle, zoom = draw(-0.35, 0.35), draw(-0.12, 0.12).exp()
    shift = draw(-0.06, 0.06, 2)
    side = torch.where(draw(0, 1) < 0.5, -1.0, 1.0)  # -1: mirrored
    share = side_px / roomy
    cos, sin = angle.cos() * zoom * share, angle.sin() * zoom * share
    rows = torch.stack([cos * side, -sin, 2 * share * shift[:, 0], sin * side, cos, 2 * share * shift[:, 1]], dim=1)
    grid = nn.functional.affine_grid(rows.view(-1, 2, 3), [count, 3, side_px, side_px], align_corners=False)
    planes = windows.permute(0, 3, 1, 2).float()
    planes = nn.functional.grid_sample(planes, grid, padding_mode="border", align_corners=False)
    blurred = nn.functional.avg_pool2d(planes, 3, 1, 1, count_include_pad=False)
    planes = torch.where(draw(0, 1, 1, 1, 1) < 0.25, blurred, planes)
    grey = planes.mean(dim=1, keepdim=True)
    planes = torch.where(draw(0, 1, 1, 1, 1) < 0.15, grey.expand_as(planes), planes)
    middle = planes.mean(dim=(1, 2, 3), keepdim=True)
    planes = (planes - middle) * draw(0.6, 1.4, 1, 1, 1) + middle + draw(-40, 40, 1, 1, 1)
    planes = planes * draw(0.85, 1.15, 3, 1, 1) + draw(0, 6, 1, 1, 1) * torch.randn(planes.shape, generator=generator)
    # the point p of the output lies at zoom * turned(p) + shift of the input: undo that for the box's centre
    offset = moves[:, :2] - shift
    x, y = offset[:, 0], offset[:, 1]
    turned = torch.stack([(angle.cos() * x + angle.sin() * y) * side, -angle.sin() * x + angle.cos() * y], dim=1)
    changed = torch.cat([turned / zoom[:, None], moves[:, 2:] - zoom.log()[:, None]], dim=1)
    return planes.clamp(0, 255).to(torch.uint8).permute(0, 2, 3, 1), changed
