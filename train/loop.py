"""The training loop: epochs over varied faces, the best one by validation macro F1 kept."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from configs.errors import InputError
from inference.networks import training_mode
from inference.preprocess import Preprocessing, normalise, resize_crop
from train.augment import augment
from train.metrics import Scores, best_temperature, score
from train.painted_masks import Worn, paint_mask

if TYPE_CHECKING:
    import torch
    from torch import nn

LABEL_SMOOTHING = 0.05
WARM_UP_STEPS = 50
PAINTED_SHARE = 0.35  # of the bare faces drawn; half of them get the mask on well, half badly


@dataclass(frozen=True, slots=True)
class TrainingFaces:
    """Crops (H, W, 3) uint8 BGR of any size, labels (N,), and for bare faces to paint masks on their landmarks."""

    crops: list[np.ndarray]
    labels: np.ndarray
    classes: tuple[str, ...]
    landmarks: dict[int, np.ndarray]


@dataclass(frozen=True, slots=True)
class EpochResult:
    """One epoch: mean training loss, scores on the validation split, and the temperature that fits it best."""

    epoch: int
    loss: float
    val: Scores
    temperature: float


def fit(
    network: nn.Module,
    train: TrainingFaces,
    val: tuple[list[np.ndarray], np.ndarray],
    preprocessing: Preprocessing,
    *,
    device: torch.device,
    epochs: int,
    batch_size: int,
    learning_rate: float,
    seed: int,
    on_step: Callable[[int, float], None],
    on_best: Callable[[EpochResult], None],
) -> Iterator[EpochResult]:
    """Train in place, yielding each epoch; `on_best` is called while the network holds the best weights so far."""
    import torch
    from torch.nn.functional import cross_entropy

    rng = np.random.default_rng(seed)
    val_pixels = np.stack([resize_crop(crop, preprocessing.size) for crop in val[0]])
    learning = [weight for weight in network.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(learning, learning_rate, weight_decay=0.02)
    batch_size = min(batch_size, len(train.crops))
    steps = len(train.crops) // batch_size
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, warm_up_then_cosine(epochs * steps))
    best = -1.0
    for epoch in range(1, epochs + 1):
        training_mode(network)
        total = 0.0
        for step in range(1, steps + 1):
            pixels, labels = draw_batch(train, batch_size, preprocessing.size, rng)
            faces = torch.from_numpy(normalise(pixels, preprocessing)).to(device)
            loss = cross_entropy(network(faces), torch.from_numpy(labels).to(device), label_smoothing=LABEL_SMOOTHING)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
            on_step(batch_size, total / step)
        if not math.isfinite(total):
            raise InputError(f"training diverged in epoch {epoch}: --learning-rate {learning_rate:g} is too large")
        logits = logits_of(network, val_pixels, preprocessing, device, batch_size)
        temperature = best_temperature(logits, val[1])
        probabilities = torch.softmax(torch.from_numpy(logits) / temperature, dim=1).numpy()
        result = EpochResult(epoch, total / steps, score(probabilities, val[1], train.classes), temperature)
        if result.val.macro_f1 > best:
            best = result.val.macro_f1
            on_best(result)
        yield result


def warm_up_then_cosine(steps: int) -> Callable[[int], float]:
    """Share of the learning rate at each step: a linear rise, then half a cosine down to zero."""
    warm_up = min(WARM_UP_STEPS, steps // 5)
    return lambda step: (
        (step + 1) / (warm_up + 1)
        if step < warm_up
        else 0.5 + 0.5 * math.cos(math.pi * (step - warm_up) / max(steps - warm_up, 1))
    )


def draw_batch(
    train: TrainingFaces, batch_size: int, size: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Varied faces (N, size, size, 3) uint8 BGR and their labels (N,) int64, rare classes more often.

    Classes are drawn by the root of their size: between how they come and all alike.
    """
    counts = np.bincount(train.labels, minlength=len(train.classes))
    chances = (np.maximum(counts, 1) ** -0.5)[train.labels]
    chosen = rng.choice(len(train.labels), batch_size, p=chances / chances.sum())
    pixels = np.empty((batch_size, size, size, 3), np.uint8)
    labels = train.labels[chosen].copy()
    for place, index in enumerate(chosen):
        crop = train.crops[index]
        if index in train.landmarks and rng.random() < PAINTED_SHARE:
            worn: Worn = "well" if rng.random() < 0.5 else ("under_nose" if rng.random() < 0.6 else "on_chin")
            crop = paint_mask(crop, train.landmarks[index], worn, rng)
            labels[place] = train.classes.index("mask" if worn == "well" else "wrong_mask")
        pixels[place] = augment(crop, size, rng)
    return pixels, labels


def logits_of(
    network: nn.Module, pixels: np.ndarray, preprocessing: Preprocessing, device: torch.device, batch_size: int
) -> np.ndarray:
    """Outputs (N, C) float32 of the network in eval mode for resized crops (N, size, size, 3) uint8 BGR."""
    import torch

    network.eval()
    with torch.inference_mode():
        answers = [
            network(torch.from_numpy(normalise(pixels[start : start + batch_size], preprocessing)).to(device)).cpu()
            for start in range(0, len(pixels), batch_size)
        ]
    return torch.cat(answers).numpy()
