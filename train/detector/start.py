"""Where a detector's training starts: from random weights, or from a detector that is there already."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from configs.errors import InputError
from inference.detectors.maskface_file import load_detector
from inference.networks.maskface_net import Conv, MaskFace
from train.session.exported_weights import exported_weights

if TYPE_CHECKING:
    import torch

    from train.detector.batches import Batch

PREFIX = "network."  # of the names in an exported file


def load_start(path: Path, batches: Iterable[Batch]) -> MaskFace:
    """The network of a checkpoint, .pth, or of an exported file, .onnx, ready to go on learning.

    An exported file has no batch norms: they were folded into the convolutions. New ones are put behind these that
    take off what the views' activations are, and put it on again, so that the network says the same and can learn.
    Raises InputError for any other file.
    """
    if path.suffix != ".onnx":
        return load_detector(path)[0]
    network = MaskFace().eval()
    weights = exported_weights(path, PREFIX)
    try:
        biases = put_in(network, weights)
    except (KeyError, RuntimeError) as error:
        raise InputError(f"{path}: these are not the weights of maskface: {str(error).splitlines()[0]}") from None
    put_norms_behind(network, biases, batches)
    return network


def put_in(network: MaskFace, weights: dict[str, torch.Tensor]) -> dict[Conv, torch.Tensor]:
    """Take folded weights over; the biases are those that each convolution's norm is to add."""
    import torch

    biases: dict[Conv, torch.Tensor] = {}
    with torch.no_grad():
        for name, part in network.named_modules():
            if isinstance(part, Conv):
                part.conv.weight.copy_(weights[f"{name}.weight"])
                biases[part] = weights[f"{name}.bias"]
        for number, head in enumerate(network.heads):
            head.answer.load_state_dict({  # type: ignore[operator, union-attr]
                key: weights[f"heads.{number}.answer.{key}"] for key in ("weight", "bias")
            })  # fmt: skip
    return biases


def put_norms_behind(network: MaskFace, biases: dict[Conv, torch.Tensor], batches: Iterable[Batch]) -> None:
    """Give each norm the mean and the variance of what the views make, and let it put both on again."""
    import torch

    sums = {part: torch.zeros(3, len(bias), dtype=torch.float64) for part, bias in biases.items()}

    def counted(part: Conv) -> torch.utils.hooks.RemovableHandle:
        def count(_: object, inputs: tuple[torch.Tensor], __: object) -> None:
            values = inputs[0].transpose(0, 1).flatten(1).double()
            sums[part] += torch.stack(
                [values.sum(1), values.square().sum(1), torch.full((len(values),), values.shape[1])]
            )

        return part.norm.register_forward_hook(count)

    with torch.no_grad():
        for part, bias in biases.items():  # for now it adds the bias and nothing else
            part.norm.running_var.fill_(1 - part.norm.eps)  # type: ignore[union-attr]
            part.norm.bias.copy_(bias)
        hooks = [counted(part) for part in biases]
        for batch in batches:
            network(torch.from_numpy(batch.pictures).permute(0, 3, 1, 2).float())
        for hook in hooks:
            hook.remove()
        for part, bias in biases.items():
            total, squares, count = sums[part]
            mean = total / count
            variance = (squares / count - mean.square()).clamp(min=0)
            part.norm.running_mean.copy_(mean)  # type: ignore[union-attr]
            part.norm.running_var.copy_(variance)  # type: ignore[union-attr]
            part.norm.weight.copy_((variance + part.norm.eps).sqrt())
            part.norm.bias.copy_(bias + mean)
