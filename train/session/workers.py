"""Processes that make ahead of time what a training asks for next: batches, or what a network finds in pictures."""

from __future__ import annotations

import ctypes
import signal
from collections.abc import Iterator
from typing import Protocol, TypeVar

T_co = TypeVar("T_co", covariant=True)
T = TypeVar("T")


class Items(Protocol[T_co]):
    """What is made one by one. An item follows from its number alone, so it does not matter which process makes it."""

    def __len__(self) -> int: ...

    def __getitem__(self, number: int, /) -> T_co: ...


def in_order(items: Items[T], workers: int, for_gpu: bool = False) -> Iterator[T]:
    """All items in their order, made here or ahead of time by `workers` processes.

    `for_gpu`: a GPU works on them, and a thread reads them from the pipe meanwhile.
    """
    if workers == 0:
        yield from (items[number] for number in range(len(items)))
        return
    import torch
    from torch.utils.data import DataLoader

    # forked, so that all share the pictures; numpy arrays come through a pipe, tensors would need room in /dev/shm,
    # of which many containers have only 64 MB
    yield from DataLoader(
        items,  # type: ignore[arg-type]  # anything with a length and items will do
        batch_size=None,
        collate_fn=as_it_is,  # type: ignore[arg-type]  # without a batch size it gets one item, not a list
        num_workers=workers,
        multiprocessing_context="fork",
        worker_init_fn=die_with_parent,
        generator=torch.Generator(),  # else it draws from the generator that dropout uses, and the losses differ
        pin_memory=for_gpu,  # brings that thread; arrays are not pinned
    )


def die_with_parent(worker: int) -> None:
    """Let the kernel kill a worker whose training dies: with its batch half in the pipe it would wait for ever."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def as_it_is(item: T) -> T:
    return item
