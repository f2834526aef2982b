"""The engine `local`: all shards of a fleet on this host, whatever hosts its plan names."""

from __future__ import annotations

import socket
from pathlib import Path

from msgspec.structs import replace

from configs.errors import Failure, InputError
from configs.plural import counted
from fleet import local_process, strays
from fleet.engine import Say, Wish
from fleet.file import Fleet
from fleet.kept import Kept, ShardStatus, accounted, of_lease
from fleet.local_files import DATA, WantedFleet, read_wanted, write_wanted
from fleet.local_up import LocalUp
from run.lease import is_held, read_lease

_NOW_S = 15.0  # for a run that ends by SIGTERM within 3 s, on a crowded box


class LocalEngine:
    """The shards of one fleet on this host. `folder` is its own, and is there."""

    def __init__(self, name: str, folder: Path, fleet: Fleet | None) -> None:
        self._name, self._folder = name, folder

    def up(self, fleet: Fleet, wish: Wish, say: Say) -> None:
        """As engine.Engine has it."""
        LocalUp(self._folder, fleet, wish, say).run()

    def status(self) -> list[ShardStatus]:
        """As engine.Engine has it; where the keeper is dead, what the leases alone tell."""
        wanted = read_wanted(self._folder)
        seen = local_process.seen_now(self._folder)
        found = []
        for name in sorted(wanted.shards) if wanted else ():
            data = self._folder / name / DATA
            lease = read_lease(data) if data.is_dir() else None
            kept = seen.shards.get(name) if seen is not None else of_lease(lease, is_held(data)) if lease else None
            account, lives = accounted(data)
            found.append(
                ShardStatus(host=socket.gethostname(), kept=kept or Kept(shard=name), account=account, lives=lives)
            )
        return found

    @property
    def trouble(self) -> str:
        """What is wrong with the engine itself; empty: nothing."""
        alive = local_process.seen_now(self._folder) is not None
        return "" if alive else "no keeper lives: what runs goes on, and what dies stays dead; do fleet up again"

    def drain(self, host: str, within_s: float, say: Say) -> None:
        """A shard by its name, or all of this host by its name."""
        wanted = self._wanted()
        names = list(wanted.shards) if host == socket.gethostname() else [host]
        if names == [host] and host not in wanted.shards:
            raise InputError(
                f"fleet drain {host}: engine local has all shards on {socket.gethostname()}: give that, "
                f"or a shard, of {', '.join(sorted(wanted.shards))}"
            )
        if local_process.seen_now(self._folder) is None:
            raise InputError(f"fleet {self._name}: {self.trouble}")
        self._order(wanted, names, "drain")
        self._wait(names, within_s, "drained", say)

    def down(self, within_s: float, now: bool, say: Say) -> None:
        """As engine.Engine has it; also where the keeper is dead."""
        wanted = self._wanted()
        names = list(wanted.shards)
        if local_process.seen_now(self._folder) is not None:
            self._order(wanted, names, "end" if now else "drain")
            self._wait(names, _NOW_S if now else within_s, "ended", say)
            local_process.stop(self._folder)
        strays.end(self._folder, _NOW_S if now else within_s, now)
        local_process.forget(self._folder)
        say(f"{self._name} is down; histories, recordings and logs stay in {self._folder}")

    def _wanted(self) -> WantedFleet:
        wanted = read_wanted(self._folder)
        if wanted is None:
            raise InputError(f"no fleet runs in {self._folder}: start it with maskstream fleet up")
        return wanted

    def _order(self, wanted: WantedFleet, names: list[str], order: str) -> None:
        shards = {name: replace(one, order=order) if name in names else one for name, one in wanted.shards.items()}
        write_wanted(self._folder, replace(wanted, revision=wanted.revision + 1, shards=shards))

    def _wait(self, names: list[str], within_s: float, done: str, say: Say) -> None:
        """Until these have ended."""
        told: set[str] = set()

        def ended(seen: local_process.SeenFleet) -> bool:
            for name in names:
                kept = seen.shards.get(name)
                if name not in told and (kept is None or kept.state in ("ended", "fenced")):
                    told.add(name)
                    say(f"{name}: {done}")
            return len(told) == len(names)

        if not local_process.until(self._folder, ended, within_s):
            left = [name for name in names if name not in told]
            raise Failure(
                f"{counted(len(left), 'shard')} not {done} within {within_s:g} s, as what waits is not delivered: "
                f"{', '.join(left)}; wait longer (--within), or end them (fleet down --now)"
            )
