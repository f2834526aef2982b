"""Writes what an engine is given: all of it, or nothing where the fleet cannot be rendered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from configs.errors import InputError
from configs.whole_file import write_bytes
from fleet.file import Fleet
from fleet.kubernetes import PLACE, chart, ray_cluster
from fleet.shards import shard_runs
from fleet.swarm import stack

ENGINES: dict[str, Callable[[Fleet], dict[str, str]]] = {
    "kubernetes": chart,
    "kuberay": ray_cluster,
    "swarm": stack,
}
_SHARDS = "shards"  # a folder that is ours alone


def render(fleet: Fleet, engine: str, folder: Path) -> list[Path]:
    """Write the files for an engine and give their paths. Raises InputError before the first of them is written.

    Files of shards that are no more are removed; all else in the folder stays.
    """
    if engine not in ENGINES:
        raise InputError(f"--engine {engine}: use {', '.join(ENGINES)}")
    files = {folder / path: text for path, text in ENGINES[engine](fleet).items()}
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--output {folder}: is a file: give a folder")
    for path, text in files.items():
        write_bytes(path, text.encode())
    for left in set((folder / _SHARDS).glob("*.yaml")) - set(files):
        left.unlink()
    return list(files)


def secrets_of(fleet: Fleet) -> list[str]:
    """The secrets that the shards name: keys of the Secret in Kubernetes, secrets of the swarm."""
    return sorted({name for run in shard_runs(fleet, PLACE) for name in (*run.variables, *run.files)})
