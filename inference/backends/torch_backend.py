"""Checkpoints run by PyTorch, on CPU or CUDA."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from configs.errors import InputError
from configs.schema import ClassifyConfig
from inference.backends.backend import Backend
from inference.backends.device import parse_device
from inference.checkpoint import load_checkpoint
from inference.networks import require_torch

if TYPE_CHECKING:
    import torch

log = logging.getLogger("classify")


class TorchBackend(Backend):
    """A checkpoint, or a bare state dict with class names given, run by PyTorch."""

    suffixes = (".pth", ".pt", ".ckpt", ".tar", ".bin")  # .ckpt: Lightning; .pth.tar: PyTorch's ImageNet example

    def __init__(self, path: Path, config: ClassifyConfig) -> None:
        require_torch(f"{path}: a .pth model")
        import torch

        self.device = torch_device(config.device)
        torch.set_num_threads(config.threads or 1)
        self.network, self.info = load_checkpoint(path, config.classes, config.backbone)
        self.network.to(self.device)
        self.provider = f"torch {self.device}"

    def logits(self, faces: np.ndarray) -> np.ndarray:
        import torch

        with torch.inference_mode():
            return self.network(torch.from_numpy(faces).to(self.device)).float().cpu().numpy()


def torch_device(device: str) -> torch.device:
    """The PyTorch device asked for by name. Raises InputError where there is no such device."""
    import torch

    cuda_number = parse_device(device)
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if cuda_number is not None and cuda_number >= found:
        raise InputError(f"--device {device}: PyTorch finds {found or 'no'} CUDA devices here; use --device cpu")
    if device == "auto":
        cuda_number = 0 if found else None
        log.info("--device auto: chose %s", "cuda:0" if found else "cpu")
    return torch.device("cpu") if cuda_number is None else torch.device("cuda", cuda_number)
