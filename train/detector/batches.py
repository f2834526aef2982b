"""The batches of views that a detector learns from, one after the other over any number of epochs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from train.detector.views import View, Views


class Batch(NamedTuple):
    """B views: `pictures` (B, S, S, 3) uint8 BGR, and their `boxes` (B, G, 4) and `unsure` (B, U, 4), float32 px.

    Where a view has fewer boxes than another its last ones are all 0.
    """

    pictures: np.ndarray
    boxes: np.ndarray
    unsure: np.ndarray


class Batches:
    """Those of the epochs from `first` to `last`, `steps` in each.

    What is in a batch follows from seed, epoch and step alone.
    """

    def __init__(self, views: Views, batch_size: int, steps: int, seed: int, first: int, last: int) -> None:
        self.views, self.batch_size, self.seed = views, batch_size, seed
        self.places = [(epoch, step) for epoch in range(first, last + 1) for step in range(steps)]

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, number: int) -> Batch:
        rng = np.random.default_rng((self.seed, *self.places[number]))
        return batch_of([self.views.draw(rng) for _ in range(self.batch_size)])


def batch_of(views: Sequence[View]) -> Batch:
    """The views as arrays."""
    pictures = np.stack([view.image for view in views])
    return Batch(pictures, padded([view.boxes for view in views]), padded([view.unsure for view in views]))


def padded(groups: Sequence[np.ndarray]) -> np.ndarray:
    """Boxes (N, 4) of each view as one array (B, G, 4), filled up with zeros; G is 1 and more."""
    most = max(1, *(len(group) for group in groups))
    return np.stack([np.pad(group, ((0, most - len(group)), (0, 0))) for group in groups])
