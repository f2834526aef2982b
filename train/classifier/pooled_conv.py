"""BasicCNN's first layer, trained several times as fast on a CPU: gradients only where its max pooling looked."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from torch.nn.functional import conv2d, embedding_bag, max_pool2d


def with_pooled_conv(network: nn.Sequential) -> nn.Sequential:
    """The network with its first three layers, convolution, ReLU and max pooling, as one; weights keep their names.

    What it computes is the same to the last bit, and gradients are the same but for rounding: max pooling by 7 lets
    one of 49 values through, so 48 of 49 gradients of the convolution are zero. Of BasicCNN's 115 ms a picture
    (one thread, AMD EPYC), 85 went backward, most of it through those zeros.
    """
    first, _, pool = network[0], network[1], network[2]
    assert isinstance(first, nn.Conv2d)
    assert isinstance(pool, nn.MaxPool2d)
    return nn.Sequential(PooledConv(first, pool), nn.Identity(), nn.Identity(), *network[3:])


class PooledConv(nn.Module):
    """max_pool(relu(conv(x))) of a picture (N, C, H, W), which needs no gradient itself."""

    def __init__(self, conv: nn.Conv2d, pool: nn.MaxPool2d) -> None:
        super().__init__()
        assert conv.stride == (1, 1)
        assert conv.padding == (0, 0)
        assert conv.kernel_size[0] == conv.kernel_size[1]
        self.weight, self.bias = conv.weight, conv.bias
        self.pool = pool.kernel_size

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        return WinnersOnly.apply(pictures, self.weight, self.bias, self.pool)


class WinnersOnly(torch.autograd.Function):
    """The gradient of a weight is the sum of the patches below the winners of the pooling, each times its gradient."""

    @staticmethod
    def forward(  # type: ignore[override]
        ctx: Any, pictures: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor, pool: int
    ) -> torch.Tensor:
        pooled, winners = max_pool2d(conv2d(pictures, weight, bias), pool, return_indices=True)
        pooled = pooled.relu_()  # the largest of the ReLUs is the ReLU of the largest
        ctx.save_for_backward(pictures, weight, pooled, winners)
        return pooled

    @staticmethod
    def backward(ctx: Any, gradient: torch.Tensor) -> tuple[torch.Tensor | None, ...]:  # type: ignore[override]
        pictures, weight, pooled, winners = ctx.saved_tensors
        outputs, channels, side, _ = weight.shape
        height, width = pictures.shape[2:]
        gradient = gradient.where(pooled > 0, 0)
        out_width = width - side + 1
        corners = (winners.div(out_width, rounding_mode="floor") * width + winners % out_width).flatten(1)
        bags = torch.arange(0, corners.shape[1], corners.shape[1] // outputs)
        rows = torch.zeros(side, outputs, side * channels)  # of the patches, as they lie in a picture
        for picture, corner, values in zip(
            pictures.permute(0, 2, 3, 1).contiguous(), corners, gradient.flatten(1).contiguous(), strict=True
        ):
            starts = height * width - side + 1
            table = picture.flatten().as_strided((starts, side * channels), (channels, 1)).contiguous()
            for row in range(side):
                rows[row] += embedding_bag(corner + row * width, table, bags, mode="sum", per_sample_weights=values)
        of_weight = rows.reshape(side, outputs, side, channels).permute(1, 3, 0, 2)
        return None, of_weight, gradient.sum((0, 2, 3)), None
