"""What runs a trained network on prepared faces: its classes, how faces are prepared for it, and its probabilities."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np

from configs.schema import ClassifyConfig
from inference.checkpoint import ModelInfo
from inference.preprocess import Preprocessing, prepare


class Backend(ABC):
    """A network ready to run. `provider` names what runs it: `torch cpu`, `CUDAExecutionProvider`, ...

    `suffixes` are the ends of the names of the files that it opens. Opening raises InputError for a file that is no
    model of its kind, and for a device that is not there.
    """

    suffixes: tuple[str, ...]
    info: ModelInfo
    provider: str
    shift: np.ndarray | None = None  # (classes,) float32, added to the logits: what the user prefers

    @abstractmethod
    def __init__(self, path: Path, config: ClassifyConfig) -> None: ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the columns of `probabilities`."""
        return self.info.classes

    @property
    def preprocessing(self) -> Preprocessing:
        """How `inference.preprocess.prepare` must make the batches."""
        return self.info.preprocessing

    def probabilities(self, faces: np.ndarray) -> np.ndarray:
        """(N, classes) float32, rows sum to 1, calibrated by the temperature; for a batch that `prepare` made."""
        return self.calibrated(self.logits(faces))

    def calibrated(self, logits: np.ndarray) -> np.ndarray:
        """Probabilities (N, classes) of logits, at the operating point that was chosen."""
        shifted = logits if self.shift is None else logits + self.shift
        return softmax(shifted / np.float32(self.info.temperature))

    @abstractmethod
    def logits(self, faces: np.ndarray) -> np.ndarray:
        """(N, classes) float32: the raw outputs of the network."""


def softmax(logits: np.ndarray) -> np.ndarray:
    """Rows to probabilities.

    >>> softmax(np.array([[1000.0, 1000.0]]))
    array([[0.5, 0.5]])
    """
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


def varied_faces(preprocessing: Preprocessing) -> np.ndarray:
    """A batch to warm up with: black, white, a slope of colours, noise. Of faces that are alike, or of one, it would
    show neither what the outputs are nor that a model takes only one at a time."""
    slope = np.linspace(0, 255, 8 * 8 * 3).reshape(8, 8, 3).astype(np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    return prepare([np.zeros_like(slope), np.full_like(slope, 255), slope, noise], preprocessing)
