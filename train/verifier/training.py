"""The training of a verifier: batches of hard and easy windows, two losses, averaged (EMA) weights."""

from __future__ import annotations

import copy
import logging
import math

import numpy as np
import torch
from torch import nn

from train.session.schedule import update_ema
from train.verifier.network import VerifierNetwork, augmented
from train.verifier.windows import NO_FACE, Windows

log = logging.getLogger("verifier")

FACES, OTHERS = 96, 256  # windows in one step; half of the others are those that are mistaken for faces most,
MISSED_SHARE = 1 / 3  # and so many of the faces of each class those that are missed most
LEARNING_RATE, WARM_UP = 4e-3, 200
EMA_DECAY = 0.998  # of the averaged weights, kept in each step
MOVE_UNIT = 0.05  # sides of a window: errors of a box beyond it count linearly
CLASS_SHARES = (0.35, 0.4, 0.25)  # of mask, no_mask, wrong_mask among the faces shown


def fit(network: VerifierNetwork, windows: Windows, steps: int, seed: int) -> VerifierNetwork:
    """Train the network on the windows. Returns it with averaged (EMA) weights, in eval mode."""
    log.info("%d windows, %d of faces", len(windows.labels), (windows.labels != NO_FACE).sum())
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    network = network.to(memory_format=torch.channels_last)  # a fifth less CPU time
    ema_model = copy.deepcopy(network)
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate_share(step, steps))
    of_class = [np.flatnonzero(windows.labels == label) for label in (NO_FACE, *range(len(CLASS_SHARES)))]
    errors = np.ones(len(windows.labels), np.float32)  # |score - truth| of each window when it was last drawn
    for step in range(steps):
        drawn = draw(of_class, errors, rng)
        given = torch.from_numpy(windows.pixels[drawn]), torch.from_numpy(windows.moves[drawn])
        pixels, moves = augmented(*given, network.side_px, generator)
        logits, predicted_moves = network(pixels)
        is_face = torch.from_numpy(windows.labels[drawn] != NO_FACE)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, is_face.float())
        loss = loss + nn.functional.smooth_l1_loss(predicted_moves[is_face] / MOVE_UNIT, moves[is_face] / MOVE_UNIT) / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        errors[drawn] = (logits.detach().sigmoid() - is_face.float()).abs().numpy()
        update_ema(ema_model, network, min(EMA_DECAY, step / (step + 10)))
        if step % 250 == 0:
            mistaken, *missed = (errors[numbers].mean() for numbers in of_class)
            log.info(
                "step %d: loss %.3f, others taken for faces %.4f, faces missed %s", step, loss.item(), mistaken, missed
            )
    return ema_model.eval()


def draw(of_class: list[np.ndarray], errors: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Numbers of the windows of one step: of no face, then of each class of faces.

    Some of each are drawn with chances by their `errors` (N,), the others evenly.
    """
    counts = [OTHERS, *(round(share * FACES) for share in CLASS_SHARES)]
    drawn = []
    for numbers, count, hard_share in zip(
        of_class, counts, (1 / 2, *(len(CLASS_SHARES) * [MISSED_SHARE])), strict=True
    ):
        if len(numbers):
            chances = errors[numbers] / max(float(errors[numbers].sum()), 1.0)
            hard = numbers[rng.random(len(numbers)) < chances * hard_share * count][:count]
            drawn += [hard, rng.choice(numbers, count - len(hard))]
    return np.concatenate(drawn)


def learning_rate_share(step: int, steps: int) -> float:
    """Share of the learning rate: it rises, then falls along half a cosine to a hundredth."""
    if step < WARM_UP:
        return (step + 1) / WARM_UP
    return 0.01 + 0.99 * (1 + math.cos(math.pi * (step - WARM_UP) / max(1, steps - WARM_UP))) / 2
