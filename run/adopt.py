"""Stands in for a shard's run that goes on: an owner that was started again has a process to wait for and to end."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from configs.errors import Failure, InputError
from run.interrupts import interrupts
from run.lease import Grant, Lease, is_held, open_process, read_lease, write_private

_LOOK_S = 0.2
_GRANTED_S = 5.0  # the run looks each half second for a newer epoch


def wait_for_lease(folder: Path, within_s: float = 5.0) -> Lease | None:
    """The lease of the life that holds the shard now; None: nobody holds it (any more)."""
    deadline_s = time.monotonic() + within_s
    while is_held(folder):
        lease = read_lease(folder)
        if lease is not None and lease.state != "ended":
            return lease
        if time.monotonic() > deadline_s:
            raise Failure(f"{folder}: its lock is held, and no lease says by whom")
        time.sleep(_LOOK_S / 4)
    return None


def grant(folder: Path, grants: Path, lease: Lease, epoch: int) -> None:
    """Let a life that goes on have a newer epoch. Raises Failure if it does not take it."""
    if epoch == lease.epoch:
        return
    try:
        write_private(grants, f"{Grant(epoch, lease.life)}\n".encode())
    except OSError as error:
        raise InputError(f"{grants}: cannot be written ({error.strerror})") from None
    deadline_s = time.monotonic() + _GRANTED_S
    while True:
        now = read_lease(folder)
        if now is None or now.life != lease.life or now.state == "ended":
            return  # it has ended meanwhile: who waits for it will see
        if now.epoch >= epoch:
            return
        if time.monotonic() > deadline_s:
            raise Failure(f"shard {lease.shard}: pid {lease.pid} has not taken epoch {epoch} within {_GRANTED_S:g} s")
        time.sleep(_LOOK_S)


def stand_in(folder: Path, lease: Lease, say: Callable[[str], None], begun: str) -> int:
    """Wait for the end of the run and give its exit code; SIGINT, SIGTERM and SIGHUP are handed on to it.

    `begun` is said once they are. Raises Failure if the run was killed.
    """
    with contextlib.ExitStack() as stack:
        handle = open_process(lease)
        if handle is not None:
            stack.callback(os.close, handle)

        def end() -> None:
            if handle is None:
                say(f"pid {lease.pid} is of another machine or container: it is not ended from here")
                return
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(handle, signal.SIGTERM)

        stack.enter_context(interrupts(end))
        say(begun)
        return wait_for_end(folder, lease)


def wait_for_end(folder: Path, lease: Lease) -> int:
    """The exit code of the life that has this lease, when it has ended. Raises Failure if it was killed."""
    while is_held(folder) and ((now := read_lease(folder)) is None or now.life == lease.life):
        time.sleep(_LOOK_S)
    last = read_lease(folder)
    if last is None or last.life != lease.life or last.state != "ended" or last.code is None:
        raise Failure(f"shard {lease.shard}: its run (pid {lease.pid}) died")
    return last.code
