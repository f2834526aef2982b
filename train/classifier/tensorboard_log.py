"""A run as TensorBoard shows it: its numbers as curves, and the pictures that it leaves in results/."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from configs.errors import InputError
from train.classifier.training import EpochResult

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


class TensorBoardLog:
    """Writes below `folder`, which TensorBoard is given. Raises InputError where the package is not installed."""

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise InputError(
                "--tensorboard needs tensorboard, the extra [tensorboard]: pip install 'tensorboard>=2.18'"
            ) from error
        self._writer: SummaryWriter = SummaryWriter(str(folder))

    def epoch(self, one: EpochResult) -> None:
        """The numbers of an epoch."""
        numbers = {
            "loss/train": one.loss,
            "loss/val": one.val_loss,
            "accuracy/train": one.train_accuracy,
            "accuracy/val": one.val.accuracy,
            "macro_f1/val": one.val.macro_f1,
            "learning_rate": one.learning_rate,
            **{f"recall of val/{name}": found.recall for name, found in one.val.classes.items() if found.support},
        }
        for name, value in numbers.items():
            self._writer.add_scalar(name, value, one.epoch)
        self._writer.flush()

    def picture(self, name: str, file: Path, epoch: int) -> None:
        """A picture file of the run, as it stands after an epoch."""
        pixels = cv2.imread(str(file))
        assert pixels is not None, file
        self._writer.add_image(name, pixels[..., ::-1].copy(), epoch, dataformats="HWC")
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()
