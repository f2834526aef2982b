"""A training: its recipe, the results of its epochs, and all that a killed run needs to go on."""

from __future__ import annotations

import copy
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal

from msgspec import Struct, convert, to_builtins

from train.classifier.batches import Balance
from train.score.metrics import Scores
from train.session.schedule import ema_decay, update_ema

if TYPE_CHECKING:
    import torch
    from torch import nn

Optimizer = Literal["adam", "adamw"]
Schedule = Literal["constant", "cosine"]

WEIGHT_DECAY = 0.02  # of AdamW; plain Adam has none


class Recipe(Struct, frozen=True, kw_only=True):
    """How to train. `ema` is the share of the averaged weights kept in each step, 0: the weights as they are.

    `warm_up` is in steps. `patience` is how many epochs without a better one are endured, 0: all.
    """

    epochs: int
    batch_size: int
    learning_rate: float
    optimizer: Optimizer = "adam"
    schedule: Schedule = "constant"
    warm_up: int = 0
    shuffled: bool = True
    balance: Balance = "none"
    label_smoothing: float = 0.0
    patience: int = 0
    ema: float = 0.0
    amp: bool = True
    seed: int = 0


class EpochResult(Struct, frozen=True):
    """One epoch: means over the varied training faces, and scores on the validation split.

    `learning_rate` is that of the last step; `temperature` and `biases` fit the validation split best, and the scores
    are those with them. `points` are the operating points that were chosen on it, on top of the biases.
    """

    epoch: int
    learning_rate: float
    loss: float
    train_accuracy: float
    val_loss: float
    val: Scores
    temperature: float
    seconds: float
    biases: tuple[float, ...] = ()
    points: dict[str, tuple[float, ...]] = {}


class Training:
    """A network in training, and all that a resumed run needs: optimizer, averaged weights, history.

    `ema_model` has the averaged weights, or is the network itself where nothing is averaged: it is validated and saved.
    """

    def __init__(self, network: nn.Module, recipe: Recipe, device: torch.device) -> None:
        import torch

        learning = [weight for weight in network.parameters() if weight.requires_grad]
        self.network, self.recipe, self.device = network, recipe, device
        self.ema_model = copy.deepcopy(network) if recipe.ema else network
        self.optimizer: torch.optim.Optimizer = (
            torch.optim.Adam(learning, recipe.learning_rate)
            if recipe.optimizer == "adam"
            else torch.optim.AdamW(learning, recipe.learning_rate, weight_decay=WEIGHT_DECAY)
        )
        self.half = recipe.amp and device.type == "cuda"
        self.scaler = torch.amp.GradScaler(device.type, enabled=self.half)
        self.started = datetime.now(UTC).isoformat(timespec="seconds")
        self.steps = 0
        self.history: list[EpochResult] = []

    @property
    def best(self) -> EpochResult:
        """The epoch with the highest macro F1 on the validation split; of equal ones the first."""
        return max(self.history, key=lambda result: result.val.macro_f1)

    @property
    def finished(self) -> bool:
        """All epochs are done, or too many in a row brought nothing better."""
        done, patience = len(self.history), self.recipe.patience
        return done >= self.recipe.epochs or bool(patience and done and done - self.best.epoch >= patience)

    def update_ema(self) -> None:
        """Let the averaged weights follow those of the network."""
        if self.ema_model is not self.network:
            update_ema(self.ema_model, self.network, ema_decay(self.recipe.ema, self.steps))

    def state(self) -> dict[str, Any]:
        """Tensors and plain values that `restore` takes. The key of the averaged weights is that of older files."""
        return {
            "started": self.started,
            "steps": self.steps,
            "history": to_builtins(self.history),
            "network": self.network.state_dict(),
            "judged": self.ema_model.state_dict() if self.recipe.ema else {},
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Load what `state` returned."""
        self.started, self.steps = state["started"], state["steps"]
        self.history = convert(state["history"], list[EpochResult])
        self.network.load_state_dict(state["network"])
        if self.recipe.ema:
            self.ema_model.load_state_dict(state["judged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.scaler.load_state_dict(state["scaler"])
