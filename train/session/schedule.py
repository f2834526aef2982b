"""How a training moves over its steps: its learning rate, and how fast averaged (EMA) weights follow the network's."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import compress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

WARM_UP_STEPS = 50  # of `warm_up_then_cosine`, unless told otherwise


def warm_up_then_cosine(steps: int, warm_up: int | None = None) -> Callable[[int], float]:
    """Share of the learning rate at each step: a linear rise, then half a cosine down to zero."""
    rise = min(WARM_UP_STEPS, steps // 5) if warm_up is None else warm_up
    return lambda step: (
        (step + 1) / (rise + 1)
        if step < rise
        else 0.5 + 0.5 * math.cos(math.pi * min(step - rise, steps - rise) / max(steps - rise, 1))
    )


def ema_decay(highest: float, steps: int) -> float:
    """Share of the averaged weights that is kept after so many steps; at first less, or they would stay near the start.

    >>> ema_decay(0.998, 0), ema_decay(0.998, 10**6)
    (0.1, 0.998)
    """
    return min(highest, (1 + steps) / (10 + steps))


def update_ema(ema_model: nn.Module, network: nn.Module, decay: float) -> None:
    """Move the averaged weights and batch-norm statistics towards those of the network; `decay` is what they keep.

    Integers, as the batches that batch norm has counted, are copied.
    """
    import torch
    from torch.optim.swa_utils import get_ema_multi_avg_fn

    averages, currents = list(ema_model.state_dict().values()), list(network.state_dict().values())
    floating = [one.is_floating_point() for one in averages]
    with torch.no_grad():
        # all at once: one by one they are some hundred launches a step on a GPU
        get_ema_multi_avg_fn(decay)(list(compress(averages, floating)), list(compress(currents, floating)), 0)
        for average, current, floats in zip(averages, currents, floating, strict=True):
            if not floats:
                average.copy_(current)
