"""`python -m fleet.local_keeper FOLDER`: the one process that keeps all shards of a fleet on this host going.

`maskstream fleet up` starts it, in a session of its own. SIGTERM ends it, and the runs go on: the next one adopts them.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
from pathlib import Path

from configs.errors import InputError
from configs.redact import redact
from fleet.keeper import Keeper
from fleet.kept import Kept
from fleet.local_files import CONFIG, KEEPER_LOCK, KEEPER_LOG, WantedFleet, read_wanted, write_seen
from fleet.run_log import RunLog
from fleet.state_folder import Lock
from run.interrupts import interrupts

log = logging.getLogger("keeper")

_LOOK_S = 0.2
_END_S = 5.0


class LocalKeeper:
    """The keepers of a fleet's shards, brought to what its folder says is wanted."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._keepers: dict[str, Keeper] = {}
        self._renewals: dict[str, int] = {}
        self._heard = 0
        self._written: tuple[int, dict[str, Kept]] | None = None

    def step(self) -> None:
        """Hear what is wanted, and tell how it stands."""
        try:
            wanted = read_wanted(self._folder)
        except InputError as error:
            log.error("%s", error)  # half a disk's answer, or somebody's edit: what runs goes on
            return
        if wanted is not None and wanted.revision != self._heard:
            self._hear(wanted)
            self._heard = wanted.revision
        now = self._heard, {name: keeper.known for name, keeper in sorted(self._keepers.items())}
        if now != self._written:
            try:
                write_seen(self._folder, *now)
                self._written = now
            except OSError as error:
                log.error("%s: cannot be written (%s); it is tried again", self._folder, error.strerror)

    def close(self) -> None:
        """Let all runs go on without it."""
        for keeper in self._keepers.values():
            keeper.let_go()
        for keeper in self._keepers.values():
            keeper.join(_END_S)

    def _hear(self, fleet: WantedFleet) -> None:
        for name, wanted in fleet.shards.items():
            if name not in self._keepers:
                folder = self._folder / name
                keeper = Keeper(name, folder / CONFIG, folder, os.environ, wanted.grant, Path(fleet.cwd))
                self._keepers[name], self._renewals[name] = keeper, wanted.renewals
                if wanted.order != "keep":
                    (keeper.drain if wanted.order == "drain" else keeper.end)()
                keeper.start(any_options=True)  # `fleet up` renews those that have others, one at a time
                continue
            keeper = self._keepers[name]
            if wanted.order == "drain":
                keeper.drain()
            elif wanted.order == "end":
                keeper.end()
            elif wanted.renewals > self._renewals[name]:
                keeper.renew()
            self._renewals[name] = wanted.renewals
        for name in self._keepers.keys() - fleet.shards.keys():  # those that have ended
            self._keepers.pop(name).let_go()


class _Redacted(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record))


def main() -> int:
    """Until SIGTERM."""
    [folder] = map(Path, sys.argv[1:])
    handler = logging.StreamHandler()
    handler.setFormatter(_Redacted("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    try:
        lock = Lock(folder, KEEPER_LOCK, f"{folder}: has a keeper already")
    except InputError as error:
        log.error("%s", error)
        return 1
    ends = threading.Event()
    keeper, own_log = LocalKeeper(folder), RunLog(folder, KEEPER_LOG)
    log.info("keeps the shards in %s", folder)
    with interrupts(ends.set):
        while not ends.wait(_LOOK_S):
            keeper.step()
            own_log.trim()
        keeper.close()
    lock.release()
    log.info("ends; the runs go on")
    return 0


if __name__ == "__main__":
    sys.exit(main())
