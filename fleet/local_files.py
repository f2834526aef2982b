"""What the commands of a fleet on one host and its keeper tell each other: two files in the fleet's folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from fleet.kept import Kept
from fleet.state_folder import read_ours
from run.lease import boot_id, process_start, write_private

WANTED, SEEN, KEEPER_LOG, KEEPER_LOCK = "wanted.json", "kept.json", "keeper.log", "keeper"
CONFIG, NEXT, BEFORE, DATA = "shard.yaml", "next.yaml", "before.yaml", "data"  # in a shard's folder


class Wanted(Struct, frozen=True, kw_only=True):
    """What is to become of a shard. Each greater number of `renewals` is one order to start it anew."""

    grant: str
    port: int
    order: Literal["keep", "drain", "end"] = "keep"
    renewals: int = 0


class WantedFleet(Struct, frozen=True, kw_only=True):
    """All shards that are kept, or are still to end. `cwd` is where their runs work: the folder of the fleet's file."""

    revision: int
    cwd: str
    shards: dict[str, Wanted]


class SeenFleet(Struct, frozen=True, kw_only=True):
    """The keeper as it stands: the process, the revision of what is wanted that it has heard, and its shards."""

    pid: int
    started: int
    boot: str
    revision: int
    shards: dict[str, Kept]


def read_wanted(folder: Path) -> WantedFleet | None:
    """None: nothing is wanted here. Raises InputError for what cannot be read."""
    return read_ours(folder / WANTED, WantedFleet)


def read_seen(folder: Path) -> SeenFleet | None:
    """What the keeper of now, or the last one, has written. Raises InputError for what cannot be read."""
    return read_ours(folder / SEEN, SeenFleet)


def write_wanted(folder: Path, wanted: WantedFleet) -> None:
    """Raises OSError."""
    write_private(folder / WANTED, msgspec.json.format(msgspec.json.encode(wanted)) + b"\n")


def write_seen(folder: Path, revision: int, shards: dict[str, Kept]) -> None:
    """As this process sees them. Raises OSError."""
    pid = os.getpid()
    seen = SeenFleet(pid=pid, started=process_start(pid), boot=boot_id(), revision=revision, shards=shards)
    write_private(folder / SEEN, msgspec.json.encode(seen) + b"\n", sync=False)
