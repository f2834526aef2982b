"""The keeper's process of a fleet on this host, as the commands see it: started, asked, ended."""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable
from pathlib import Path

from configs.errors import Failure
from fleet.apart import start_apart
from fleet.local_files import KEEPER_LOG, SEEN, WANTED, SeenFleet, read_seen, read_wanted
from fleet.run_log import RunLog
from run.lease import open_process

LOOK_S = 0.1
_START_S = 30.0
_HEARD_S = 15.0
_END_S = 10.0


def seen_now(folder: Path) -> SeenFleet | None:
    """What the living keeper says; None: none lives."""
    seen = read_seen(folder)
    handle = open_process(seen) if seen is not None else None
    if handle is None:
        return None
    has_ended = select.select([handle], [], [], 0)[0]  # a child of this command stays a zombie
    os.close(handle)
    return None if has_ended else seen


def start(folder: Path, cwd: Path) -> None:
    """Start the keeper, and return when it has heard what is wanted. Raises Failure if it does not."""
    own_log = RunLog(folder, KEEPER_LOG)
    process = start_apart(["-m", "fleet.local_keeper", str(folder)], own_log, cwd=cwd)
    deadline_s = time.monotonic() + _START_S
    while (seen := read_seen(folder)) is None or seen.pid != process.pid or not _has_heard(folder, seen):
        if process.poll() is not None:
            raise Failure(f"the keeper ended at once: {own_log.last_line()} (see {own_log.path})")
        if time.monotonic() > deadline_s:
            raise Failure(f"the keeper has not begun within {_START_S:g} s: see {own_log.path}")
        time.sleep(LOOK_S)


def stop(folder: Path) -> None:
    """End the keeper, if one lives; the runs go on."""
    seen = read_seen(folder)
    handle = open_process(seen) if seen is not None else None
    if handle is None:
        return
    try:
        for number in (signal.SIGTERM, signal.SIGKILL):  # one that hangs misses nothing: the next one adopts
            signal.pidfd_send_signal(handle, number)
            if select.select([handle], [], [], _END_S)[0]:
                return
    except ProcessLookupError:
        pass
    finally:
        os.close(handle)


def forget(folder: Path) -> None:
    """End the keeper of a fleet that has no shards left, and its files."""
    stop(folder)
    for name in (WANTED, SEEN):
        (folder / name).unlink(missing_ok=True)


def until(folder: Path, holds: Callable[[SeenFleet], bool], within_s: float) -> bool:
    """Wait until something holds of what the keeper says, once it has heard what is wanted; whether it does.

    `holds` may raise. Raises Failure if the keeper has died.
    """
    deadline_s = time.monotonic() + within_s
    heard_s = time.monotonic() + _HEARD_S
    while True:
        seen = seen_now(folder)
        if seen is None:
            raise Failure(f"the keeper died: see {folder / KEEPER_LOG}; what runs goes on, do fleet up again")
        if _has_heard(folder, seen):
            if holds(seen):
                return True
        elif time.monotonic() > heard_s:
            raise Failure(f"the keeper (pid {seen.pid}) hears nothing: see {folder / KEEPER_LOG}")
        if time.monotonic() > deadline_s:
            return False
        time.sleep(LOOK_S)


def _has_heard(folder: Path, seen: SeenFleet) -> bool:
    wanted = read_wanted(folder)
    return wanted is None or seen.revision >= wanted.revision
