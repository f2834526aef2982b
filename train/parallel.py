"""Training on several GPUs or CPUs: the processes that `torchrun` started, as one team."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from configs.errors import InputError
from inference.backends import torch_device

if TYPE_CHECKING:
    import torch
    from torch import nn

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Team:
    """The processes that train together; a single one is a team, too. Only rank 0 prints and writes files."""

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        return self.rank == 0

    def joined(self, network: nn.Module) -> nn.Module:
        """The network whose gradients are the mean over the team."""
        if self.size == 1:
            return network
        from torch.nn.parallel import DistributedDataParallel

        return DistributedDataParallel(network, device_ids=[self.device] if self.device.type == "cuda" else None)

    def total(self, values: Sequence[float]) -> list[float]:
        """Each value summed over the team."""
        if self.size == 1:
            return list(values)
        import torch
        from torch import distributed

        sums = torch.tensor(values, dtype=torch.float64, device=self.device)
        distributed.all_reduce(sums)
        return sums.tolist()

    def told(self, value: T | None) -> T:
        """What rank 0 found, told to all; the others give None and wait for it."""
        from torch import distributed

        box = [value]
        if self.size > 1:
            distributed.broadcast_object_list(box, src=0, device=self.device)
        [answer] = box
        assert answer is not None
        return answer


@contextmanager
def team_of(device: str) -> Iterator[Team]:
    """The team that this process belongs to. Under `torchrun`, `cuda` means one GPU for each process of a host.

    Raises InputError for a device that is not there.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Team(torch_device(device))
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
        yield Team(here, distributed.get_rank(), size)
    finally:
        distributed.destroy_process_group()
