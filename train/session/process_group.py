"""Training on several GPUs or CPUs: the group of processes that `torchrun` started."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import cv2

from configs.errors import InputError
from inference.backends.torch_backend import torch_device
from transport.cores import usable_cores

if TYPE_CHECKING:
    import torch
    from torch import nn

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ProcessGroup:
    """The processes that train one model; a single one is a group, too. Only the main process prints and writes files.

    `rank` is the number of this process, `world_size` the number of all.
    """

    device: torch.device
    rank: int = 0
    world_size: int = 1

    @property
    def is_main_process(self) -> bool:
        return self.rank == 0

    def ddp_model(self, network: nn.Module) -> nn.Module:
        """The network wrapped so that its gradients are the mean over the group; unchanged in a group of one."""
        if self.world_size == 1:
            return network
        from torch.nn.parallel import DistributedDataParallel

        return DistributedDataParallel(network, device_ids=[self.device] if self.device.type == "cuda" else None)

    def all_reduce(self, values: Sequence[float]) -> list[float]:
        """Each value summed over the group."""
        if self.world_size == 1:
            return list(values)
        import torch
        from torch import distributed

        sums = torch.tensor(values, dtype=torch.float64, device=self.device)
        distributed.all_reduce(sums)
        return sums.tolist()

    def broadcast(self, value: T | None) -> T:
        """The value of the main process, in all processes; the others give None and wait for it."""
        from torch import distributed

        box = [value]
        if self.world_size > 1:
            distributed.broadcast_object_list(box, src=0, device=self.device)
        [answer] = box
        assert answer is not None
        return answer


@contextmanager
def process_group(device: str) -> Iterator[ProcessGroup]:
    """The group that this process belongs to. Under `torchrun`, `cuda` means one GPU for each process of a host.

    Raises InputError for a device that is not there.
    """
    world_size = int(os.environ.get("WORLD_SIZE", "1"))
    if world_size == 1:
        yield ProcessGroup(torch_device(device))
        return
    from torch import distributed

    if device.startswith("cuda:"):
        raise InputError(f"--device {device}: torchrun gives each process a GPU of its own; use --device cuda")
    here = torch_device(f"cuda:{os.environ['LOCAL_RANK']}" if device == "cuda" else device)
    # DistributedDataParallel imports it, and its functions keep the group of that moment as their default: imported
    # later, gloo's threads outlive destroy_process_group, and about one process in ten aborts at its exit (torch 2.14)
    import torch.distributed.nn  # noqa: F401

    distributed.init_process_group("nccl" if here.type == "cuda" else "gloo")
    try:
        yield ProcessGroup(here, distributed.get_rank(), world_size)
    finally:
        distributed.destroy_process_group()


def set_up_process(is_main_process: bool = True) -> None:
    """Log what the main process has to say; use the cores there are, unless told otherwise.

    OpenCV gets no threads of its own: pictures are small, they would only disturb PyTorch's, and a fork loses them.
    """
    import torch

    level = logging.INFO if is_main_process else logging.ERROR
    logging.basicConfig(level=level, format="%(name)s: %(message)s")
    if "OMP_NUM_THREADS" not in os.environ:  # torchrun sets it
        torch.set_num_threads(usable_cores())
    cv2.setNumThreads(1)
