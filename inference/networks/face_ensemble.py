"""The network that ships: two that learnt different things before, side by side; their mean decides.

One comes from telling faces apart, the other from telling things apart. Where they never saw the source of a picture
they make different mistakes, and the mean makes fewer than each (figures: inference/pretrained/MODEL_CARD.md).
"""

from __future__ import annotations

import torch
from torch import nn

from inference.networks import efficient_net, face_resnet
from inference.preprocess import Preprocessing

FEATURES = face_resnet.BLOCKS[-1][2] + efficient_net.STAGES[-1][3]


class FaceEnsemble(nn.Module):
    """FaceResNet and EfficientNet with one head for the features of both: (N, 3, 112, 112) float32 RGB to logits.

    The pixels are normalised as FaceResNet has them (`given`); the other half turns them into its own (`needed`).
    """

    scale: torch.Tensor
    shift: torch.Tensor

    def __init__(self, classes: int, given: Preprocessing, needed: Preprocessing) -> None:
        super().__init__()
        self.face = face_resnet.face_resnet(classes)[:-1]
        self.thing = efficient_net.efficient_net(classes, folded=True)[:-1]
        self.head = nn.Linear(FEATURES, classes)
        scale = torch.tensor(given.std) / torch.tensor(needed.std)
        shift = (torch.tensor(given.mean) - torch.tensor(needed.mean)) / torch.tensor(needed.std)
        self.register_buffer("scale", scale.view(1, 3, 1, 1), persistent=False)
        self.register_buffer("shift", shift.view(1, 3, 1, 1), persistent=False)

    def forward(self, faces: torch.Tensor) -> torch.Tensor:
        features = torch.cat([self.face(faces), self.thing(faces * self.scale + self.shift)], dim=1)
        logits: torch.Tensor = self.head(features)
        return logits


def ensemble_weights(face: nn.Module, thing: nn.Module) -> dict[str, torch.Tensor]:
    """State dict of the FaceEnsemble whose logits are the mean of those of a FaceResNet and an EfficientNet."""
    weights = {"face": face.state_dict(), "thing": efficient_net.fold(thing).state_dict()}  # folded ones stay so
    merged = {f"{half}.{name}": value for half, state in weights.items() for name, value in state.items()}
    heads = {part: [merged.pop(f"{half}.head.{part}") for half in weights] for part in ("weight", "bias")}
    merged["head.weight"] = torch.cat(heads["weight"], dim=1) / 2
    merged["head.bias"] = torch.stack(heads["bias"]).mean(dim=0)
    return merged


def half_weights(merged: dict[str, torch.Tensor]) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """State dicts of a FaceResNet and of a folded EfficientNet whose logits have the mean that the FaceEnsemble says.

    The other way round of `ensemble_weights`, but for the biases of the two heads: of these only the mean is known.
    """
    halves = []
    columns = (slice(None, face_resnet.BLOCKS[-1][2]), slice(face_resnet.BLOCKS[-1][2], None))
    for half, seen in zip(("face", "thing"), columns, strict=True):
        weights = {
            name.removeprefix(f"{half}."): value for name, value in merged.items() if name.startswith(f"{half}.")
        }
        halves.append(weights | {"head.weight": 2 * merged["head.weight"][:, seen], "head.bias": merged["head.bias"]})
    return halves[0], halves[1]
