"""How fast a face is classified, before and after export."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from configs.schema import ClassifyConfig
from inference.backends import open_backend
from inference.backends.backend import Backend
from inference.checkpoint import ModelInfo
from inference.preprocess import prepare

if TYPE_CHECKING:
    from torch import nn

ROUNDS = 15


def ms_per_face(
    network: nn.Module, info: ModelInfo, files: dict[str, Path], crop: np.ndarray, device: str
) -> dict[str, float]:
    """Milliseconds from one crop to its logits: by `torch` on one CPU thread, and by each file on the device.

    The candidates take turns and the fastest of the rounds counts, because other programs only ever slow one down.
    """
    import torch

    def run_torch() -> None:
        network(torch.from_numpy(prepare([crop], info.preprocessing)))

    def run_file(backend: Backend) -> None:
        backend.logits(prepare([crop], backend.preprocessing))

    passes: dict[str, Callable[[], None]] = {"torch": run_torch}
    for name, path in files.items():
        passes[name] = partial(run_file, open_backend(ClassifyConfig(model=str(path), device=device, threads=1)))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    seconds: dict[str, float] = dict.fromkeys(passes, float("inf"))
    with torch.inference_mode():
        for _ in range(ROUNDS):
            for name, run in passes.items():
                start = time.perf_counter()
                run()
                seconds[name] = min(seconds[name], time.perf_counter() - start)
    torch.set_num_threads(threads)
    return {name: 1000 * value for name, value in seconds.items()}
