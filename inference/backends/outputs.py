"""What a network's outputs are: logits, or something that others put behind them, which is undone here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from configs.errors import InputError

Meaning = Literal["logits", "probabilities", "sigmoids", "one logit", "one probability"]

IN_WORDS: dict[Meaning, str] = {
    "probabilities": "its outputs are probabilities, as after a softmax: they are taken as they are",
    "sigmoids": "its outputs are shares of each class by itself, as after a sigmoid: their odds are compared",
    "one logit": "its one output is taken as the logit of {second!r}, the second class",
    "one probability": "its one output is taken as the probability of {second!r}, the second class",
}

SQUASHES = {"Sigmoid", "HardSigmoid"}
ADDS_UP = {  # the last step of a network that gives logits, which may lie in 0..1 by chance
    "Add", "AveragePool", "BatchNormalization", "Conv", "Einsum", "FusedConv", "FusedGemm", "FusedMatMul", "Gemm",
    "GlobalAveragePool", "MatMul", "ReduceMean",
}  # fmt: skip
TOLERANCE = 0.02  # of sums of probabilities: int8 rounds each of them by up to 1/512
LEAST = 1e-7  # a probability: float32 knows none between 1 - LEAST / 2 and 1


def meaning_of(outputs: np.ndarray, operation: str, classes: int) -> Meaning:
    """What (N, outputs) of varied faces are; `operation` is the last one in the graph, empty if it is not known.

    Raises InputError for a softmax that runs over the faces instead of the classes.
    """
    operation = operation.removeprefix("QLinear").replace("QGemm", "Gemm")
    shares = bool(np.all((outputs >= -TOLERANCE) & (outputs <= 1 + TOLERANCE)))
    sums_to_one = shares and bool(np.all(np.abs(outputs.sum(axis=1) - 1) <= TOLERANCE))
    if outputs.shape[1] == 1 and classes == 2:
        squashed = operation in SQUASHES or (shares and operation not in ADDS_UP)
        return "one probability" if squashed else "one logit"
    if operation in ADDS_UP or operation == "LogSoftmax":  # the softmax of log probabilities are the probabilities
        return "logits"
    if operation == "Softmax" and not sums_to_one:
        raise InputError("its Softmax does not run over the classes: the outputs of a face do not sum to 1")
    if sums_to_one:
        return "probabilities"
    return "sigmoids" if operation in SQUASHES or shares else "logits"


def outputs_for(classes: int) -> tuple[int, ...]:
    """How many outputs a network may have for so many classes."""
    return (2, 1) if classes == 2 else (classes,)


def remark(meaning: Meaning, classes: Sequence[str]) -> list[str]:
    """What a user should know of it, in words; nothing for logits."""
    return [IN_WORDS[meaning].format(second=classes[1])] if meaning in IN_WORDS else []


def as_logits(outputs: np.ndarray, meaning: Meaning) -> np.ndarray:
    """(N, classes) float32 logits from (N, outputs): their softmax gives back what the outputs say.

    >>> np.exp(as_logits(np.array([[0.25, 0.75]]), "probabilities")).round(2).tolist()
    [[0.25, 0.75]]
    >>> as_logits(np.array([[3.0]]), "one logit").tolist()
    [[0.0, 3.0]]
    """
    outputs = outputs.astype(np.float32, copy=False)
    if meaning == "probabilities":
        return np.log(np.maximum(outputs, LEAST))
    if meaning in ("sigmoids", "one probability"):
        # odds of one class against all others; of exclusive classes p / (1 - p) is what is left to compare
        shares = np.clip(outputs, LEAST, 1 - LEAST)
        outputs = np.log(shares) - np.log1p(-shares)
    if meaning in ("one logit", "one probability"):
        return np.hstack([np.zeros_like(outputs), outputs])
    return outputs
