"""Processes of a fleet's shards that no keeper keeps: of one that was killed. They are found by their options' file."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from itertools import pairwise
from pathlib import Path

from configs.errors import Failure
from configs.plural import counted
from fleet.local_files import CONFIG, DATA
from run.lease import DRAIN, is_held, read_lease, write_private

_LOOK_S = 0.1


def strays(folder: Path) -> dict[int, str]:
    """The supervisors of runs with options in a fleet's folder: shard by process id."""
    found = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal() or int(entry.name) == os.getpid():
            continue
        with contextlib.suppress(OSError):  # it has just ended, or is another user's
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
            for before, word in pairwise(words):
                path = Path(word)
                if before == "--config" and path.name == CONFIG and path.parent.parent == folder:
                    found[int(entry.name)] = path.parent.name
    return found


def end(folder: Path, within_s: float, now: bool) -> None:
    """End all of them: drained, or with `now` by SIGTERM, and SIGKILL if it hangs. Raises Failure if one stays."""
    told: set[int] = set()
    deadline_s, kills = time.monotonic() + within_s, False
    while left := strays(folder):
        for pid, shard in left.items():
            if pid not in told:
                told.add(pid)
                _tell(folder / shard / DATA, pid, now)
        if time.monotonic() > deadline_s:
            if not now or kills:
                raise Failure(
                    f"{counted(len(left), 'shard')} not ended within {within_s:g} s: "
                    f"{', '.join(sorted(left.values()))}; wait longer (--within), or end them (fleet down --now)"
                )
            for pid in left:
                _signal(pid, signal.SIGKILL)
            deadline_s, kills = time.monotonic() + within_s, True
        time.sleep(_LOOK_S)


def _tell(folder: Path, pid: int, now: bool) -> None:
    lease = read_lease(folder) if folder.is_dir() and is_held(folder) else None
    if now or lease is None or lease.pid != pid:  # what holds no shard has nothing to deliver
        _signal(pid, signal.SIGTERM)
    else:
        write_private(folder / DRAIN, f"{lease.life}\n".encode())


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)
