"""A detector in training: its steps, its averaged (EMA) weights, and all that a killed run needs to go on."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from msgspec import Struct, convert, to_builtins

from configs.errors import InputError
from inference.boxes import area, intersection
from inference.detectors.detector import Shrunken, stretched
from inference.detectors.maskface_file import NMS_IOU
from inference.detectors.scales import find_at_all_scales
from inference.networks.maskface_net import MaskFace, places
from train.data.boxes import Detections
from train.data.photo_set import TrainingPhoto
from train.detector.batches import Batch
from train.detector.loss import Targets, detection_loss
from train.detector.matches import LEAST_SCORE, DetectorScores
from train.session.schedule import ema_decay, update_ema, warm_up_then_cosine
from train.session.workers import in_order

if TYPE_CHECKING:
    import torch

WEIGHT_DECAY = 0.02
WARM_UP_STEPS = 300
LARGEST_GRADIENT = 10.0
EMA_DECAY = 0.998  # of the averaged weights, kept in each step: the mean of about the last 500
MISTAKEN_SCORE = 0.15  # from which on a place is shown more often, as what it is
ELSEWHERE = 0.2  # share of a box that may lie on known faces, and it is still somewhere else
LONGEST_PX = 480  # of the pictures that are searched to validate: larger ones take four times as long


class DetectorEpoch(Struct, frozen=True):
    """One epoch: mean losses, and scores on the validation photographs where it was validated."""

    epoch: int
    score_loss: float
    box_loss: float
    val: DetectorScores | None = None


class DetectorTraining:
    """A detector in training. `ema_model` has the averaged weights; it is validated and saved.

    It starts from random weights, or from those of `start`. With `half` the convolutions are computed in bfloat16: 16
    instead of 23 ms a view of 256 px on a CPU that has it.
    """

    def __init__(
        self,
        device: torch.device,
        steps: int,
        learning_rate: float,
        seed: int,
        half: bool,
        start: MaskFace | None = None,
    ) -> None:
        import torch

        torch.manual_seed(seed)
        self.device, self.learning_rate, self.half = device, learning_rate, half
        # channels last is faster on a CPU
        self.network = (start or MaskFace()).to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.ema_model = copy.deepcopy(self.network).eval()
        decaying = [weight for weight in self.network.parameters() if weight.ndim > 1]
        others = [weight for weight in self.network.parameters() if weight.ndim <= 1]
        groups = [{"params": decaying, "weight_decay": WEIGHT_DECAY}, {"params": others, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, learning_rate)
        self.share = warm_up_then_cosine(steps, min(WARM_UP_STEPS, steps // 5))
        self.steps = 0
        self.history: list[DetectorEpoch] = []

    @property
    def best(self) -> DetectorEpoch | None:
        """The epoch with the highest average precision on the validation photographs."""
        validated = [one for one in self.history if one.val is not None]
        return max(validated, key=lambda one: one.val.average_precision if one.val else 0.0, default=None)

    def run_epoch(self, batches: Iterable[Batch], on_step: Callable[[int, float, float], None]) -> tuple[float, float]:
        """Learn from the batches; mean losses of scores and boxes. Raises InputError if training diverges."""
        self.network.train()
        losses = []
        for batch in batches:
            losses.append(self.step(batch))
            if not math.isfinite(sum(losses[-1])):
                raise InputError(f"training diverged: --learning-rate {self.learning_rate:g} is too large")
            on_step(len(batch.pictures), *np.mean(losses[-50:], axis=0).tolist())
        score_loss, box_loss = np.mean(losses, axis=0).tolist()
        return score_loss, box_loss

    def step(self, batch: Batch) -> tuple[float, float]:
        import torch

        for group in self.optimizer.param_groups:
            group["lr"] = self.learning_rate * self.share(self.steps)
        pictures = torch.from_numpy(batch.pictures).to(self.device)
        height, width = pictures.shape[1:3]
        middles, strides = (part.to(self.device) for part in places(height, width))
        # (B, H, W, 3) seen as (B, 3, H, W) is channels last already
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.half):
            logits, boxes = self.network(pictures.permute(0, 3, 1, 2).float())
        targets = Targets(batch, self.device)
        score_loss, box_loss = detection_loss(logits, boxes, (middles, strides), targets)
        self.optimizer.zero_grad()
        (score_loss + box_loss).backward()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), LARGEST_GRADIENT)
        self.optimizer.step()
        self.steps += 1
        update_ema(self.ema_model, self.network, ema_decay(EMA_DECAY, self.steps))
        return score_loss.item(), box_loss.item()

    def state(self) -> dict[str, Any]:
        """Tensors and plain values that `restore` takes. The key of the averaged weights is that of older files."""
        return {
            "steps": self.steps,
            "history": to_builtins(self.history),
            "network": self.network.state_dict(),
            "judged": self.ema_model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Load what `state` returned."""
        self.steps, self.history = state["steps"], convert(state["history"], list[DetectorEpoch])
        self.network.load_state_dict(state["network"])
        self.ema_model.load_state_dict(state["judged"])
        self.optimizer.load_state_dict(state["optimizer"])


class Finds:
    """What the network finds in the photographs: `finds[number]`."""

    def __init__(self, network: MaskFace, photos: Sequence[TrainingPhoto], device: torch.device) -> None:
        self.network, self.photos, self.device = network, photos, device

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, number: int) -> Detections:
        return find(self.network, self.photos[number].image, self.device)


def find_all(
    network: MaskFace, photos: Sequence[TrainingPhoto], device: torch.device, workers: int = 0
) -> list[Detections]:
    """The faces of each photograph. Workers search on the CPU: a GPU waits for one small picture after the other."""
    import torch

    if workers:
        network, device = copy.deepcopy(network).cpu(), torch.device("cpu")
    return list(in_order(Finds(network, photos, device), workers))


def mistaken(photos: Sequence[TrainingPhoto], found: Sequence[Detections]) -> list[tuple[int, np.ndarray]]:
    """Places that were taken for faces and are none: number of the photograph, and box (4,) px."""
    places: list[tuple[int, np.ndarray]] = []
    for number, (photo, one) in enumerate(zip(photos, found, strict=True)):
        likely = one.boxes[one.scores >= MISTAKEN_SCORE]
        known = np.concatenate([photo.boxes, photo.unsure])
        shared = intersection(likely[:, None], known[None]) / area(likely).clip(min=1)[:, None]
        places += [(number, box) for box in likely[shared.max(axis=1, initial=0) < ELSEWHERE]]
    return places


def find(network: MaskFace, image: np.ndarray, device: torch.device, longest_px: int = LONGEST_PX) -> Detections:
    """The faces of a picture (H, W, 3) uint8 BGR, in its px; it is searched with `longest_px` at most."""
    import torch

    scale = min(1.0, longest_px / max(image.shape[:2]))
    if scale < 1:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_LINEAR)
    image = stretched(Shrunken(image, cv2.cvtColor(image, cv2.COLOR_BGR2GRAY), scale)).bgr  # as when it is used

    def answers(picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        batch = torch.from_numpy(picture).to(device).permute(2, 0, 1)[None].float()
        with torch.inference_mode():
            logits, boxes = network(batch)
            return boxes[0].cpu().numpy(), logits[0].sigmoid().cpu().numpy()

    boxes, scores = find_at_all_scales(image, answers, LEAST_SCORE, NMS_IOU)
    return Detections(boxes / np.float32(scale), scores)
