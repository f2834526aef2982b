"""What a user would rather have: fewer faces missed that wear no mask well, or fewer alarms about those that do."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from configs.errors import InputError
from configs.schema import BALANCED
from inference.checkpoint import ModelInfo


def added_to_logits(info: ModelInfo, prefer: str, path: Path) -> np.ndarray:
    """What the preference adds to a face's logits, (classes,) float32: the model's own operating point.

    Raises InputError where the model has none: how much is right for it was found on its validation faces.
    """
    if prefer == BALANCED:
        return np.zeros(len(info.classes), np.float32)
    point = info.points.get(prefer, ())
    if len(point) != len(info.classes):
        raise InputError(
            f"classify.prefer={prefer}: {path} has no such operating point; models that `maskstream train` makes have "
            f"them, with any other the choice is {BALANCED}"
        )
    return np.array(point, np.float32)
