"""The training loop: epochs over varied faces, each validated at its end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from configs.errors import InputError
from inference.backends.backend import softmax
from inference.networks import training_mode
from inference.preprocess import Preprocessing, normalise
from train.classifier.batches import Batches, TrainingFaces, class_weights, steps_of
from train.classifier.training import EpochResult, Recipe, Training
from train.score.metrics import Scores, best_calibration, score
from train.score.operating_points import operating_points
from train.session.process_group import ProcessGroup
from train.session.schedule import warm_up_then_cosine
from train.session.workers import in_order

if TYPE_CHECKING:
    import torch
    from torch import nn


def fit(
    training: Training,
    faces: TrainingFaces,
    val: tuple[np.ndarray, np.ndarray],
    preprocessing: Preprocessing,
    group: ProcessGroup,
    *,
    workers: int = 0,
    on_step: Callable[[int, float, float], None] = lambda count, loss, accuracy: None,
) -> Iterator[EpochResult]:
    """Train from the epoch that `training` has reached, and yield the result of each epoch.

    `val` is resized crops (N, size, size, 3) uint8 BGR and labels (N,). `on_step` hears after each step how many
    faces it took, and the mean loss and accuracy of the epoch so far. Raises InputError if training diverges.
    """
    import torch

    recipe = training.recipe
    ddp_model = group.ddp_model(training.network)
    while not training.finished:
        started = time.monotonic()
        epoch = len(training.history) + 1
        # of dropout; derived, so that a resumed run need not know what was drawn before
        torch.manual_seed(int(np.random.SeedSequence((recipe.seed, epoch, group.rank)).generate_state(1)[0]))
        loss, accuracy = run_epoch(training, ddp_model, faces, preprocessing, group, epoch, workers, on_step)
        if not math.isfinite(loss):
            raise InputError(
                f"training diverged in epoch {epoch}: --learning-rate {recipe.learning_rate:g} is too large"
            )
        validation = None
        if group.is_main_process:
            logits = logits_of(training.ema_model, val[0], preprocessing, group.device, recipe.batch_size)
            validation = validate(logits, val[1], faces.classes)
        val_loss, scores, temperature, biases, points = group.broadcast(validation)
        result = EpochResult(
            epoch,
            training.optimizer.param_groups[0]["lr"],
            loss,
            accuracy,
            val_loss,
            scores,
            temperature,
            time.monotonic() - started,
            biases,
            points,
        )
        training.history.append(result)
        yield result


def run_epoch(
    training: Training,
    ddp_model: nn.Module,
    faces: TrainingFaces,
    preprocessing: Preprocessing,
    group: ProcessGroup,
    epoch: int,
    workers: int,
    on_step: Callable[[int, float, float], None],
) -> tuple[float, float]:
    """Take all steps of an epoch; mean loss and accuracy over the faces of all processes."""
    import torch
    from torch.nn.functional import cross_entropy

    recipe, device = training.recipe, group.device
    batches = epoch_batches(faces, preprocessing, recipe, epoch, group.rank, group.world_size)
    weights = None
    if recipe.balance == "weights":
        weights = torch.from_numpy(class_weights(faces.labels, len(faces.classes))).to(device)
    share = rate_share(recipe, recipe.epochs * steps_of(len(faces.labels), recipe.batch_size))
    training_mode(training.network)
    total, right, seen, batch_total = 0.0, 0.0, 0, 0
    for step, (pixels, drawn) in enumerate(in_order(batches, workers)):
        for param_group in training.optimizer.param_groups:
            param_group["lr"] = recipe.learning_rate * share(training.steps)
        whole = len(batches.batches[step])  # of all processes
        labels = torch.from_numpy(drawn).to(device)
        with torch.autocast(device.type, torch.float16, enabled=training.half):
            logits = ddp_model(torch.from_numpy(normalise(pixels, preprocessing)).to(device))
            loss = cross_entropy(
                logits.float(), labels, weights, reduction="sum", label_smoothing=recipe.label_smoothing
            )
        training.optimizer.zero_grad()
        # DDP averages gradients over the processes: this makes them those of the mean over the whole batch
        training.scaler.scale(loss * (group.world_size / whole)).backward()
        training.scaler.step(training.optimizer)
        training.scaler.update()
        training.steps += 1
        training.update_ema()
        total += loss.item()
        right += (logits.argmax(dim=1) == labels).sum().item()
        seen += len(drawn)
        batch_total += whole
        on_step(whole, total / seen, right / seen)
    total, right = group.all_reduce([total, right])
    return total / batch_total, right / batch_total


def epoch_batches(
    faces: TrainingFaces, preprocessing: Preprocessing, recipe: Recipe, epoch: int, rank: int = 0, world_size: int = 1
) -> Batches:
    """The batches of an epoch by the recipe: all of them, or the part of one process of a group."""
    return Batches(
        faces,
        preprocessing.size,
        recipe.batch_size,
        epoch=epoch,
        seed=recipe.seed,
        shuffled=recipe.shuffled,
        sampled=recipe.balance == "sampling",
        rank=rank,
        world_size=world_size,
    )


def validate(
    logits: np.ndarray, labels: np.ndarray, classes: Sequence[str]
) -> tuple[float, Scores, float, tuple[float, ...], dict[str, tuple[float, ...]]]:
    """Loss of logits (N, C) against labels (N,); scores once they are calibrated; temperature and biases for that.

    And the operating points: what a preference adds to logits and biases.
    """
    import torch
    from torch.nn.functional import cross_entropy

    temperature, biases = best_calibration(logits, labels)
    loss = cross_entropy(torch.from_numpy(logits), torch.from_numpy(labels)).item()
    biased = logits + np.array(biases, np.float32)
    scores = score(softmax(biased / np.float32(temperature)), labels, classes)
    return loss, scores, temperature, biases, operating_points(biased, labels, classes)


def rate_share(recipe: Recipe, steps: int) -> Callable[[int], float]:
    """Share of the learning rate in each of `steps` steps."""
    if recipe.schedule == "cosine":
        return warm_up_then_cosine(steps, recipe.warm_up)
    return lambda step: min(1.0, (step + 1) / (recipe.warm_up + 1))


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
