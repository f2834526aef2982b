"""Ray's head on this host, for `fleet up --head`: `maskstream fleet host NAME FILE --head` in a session of its own.

It outlives the command, and `fleet down` ends it. A head that somebody else has started is left alone.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import time
from pathlib import Path

import msgspec
from msgspec import Struct

from configs.errors import Failure, InputError
from fleet.apart import start_apart
from fleet.engine import Say
from fleet.ray_settings import address
from fleet.run_log import RunLog
from run.lease import boot_id, open_process, process_start, read_small, write_private

LOG = "head.log"
_FILE = "head.json"
_COMMAND = "import sys; from fleet.command import run_fleet_command; run_fleet_command(sys.argv[1:])"
_BEGUN, _TRIES_AGAIN = "Ray runs", "it is tried again"  # says `fleet host`
_LOOK_S = 0.2
_START_S = 90.0  # it gives up by itself after 60 s
_END_S = 20.0  # Ray itself is given 5 s
_CONNECT_S = 5.0


class _Head(Struct, frozen=True, kw_only=True):
    """The process that was started."""

    pid: int
    started: int
    boot: str


def answers(where: tuple[str, int]) -> str:
    """Why nobody listens at this address; empty: somebody does."""
    try:
        with socket.create_connection(where, _CONNECT_S):
            return ""
    except OSError as error:
        return error.strerror or "no answer"


def start(name: str, file: Path, folder: Path, say: Say) -> bool:
    """Start the head on this host, as `name`, if none can be reached; whether it was started. Returns when Ray runs.

    `folder` is the fleet's, with head.log. Raises InputError where the head is to be on another host, Failure with what
    `fleet host` says if it does not start.
    """
    host, port = address()
    if not answers((host, port)):
        return False
    if not _is_here(host):
        raise InputError(f"--head {name}: RAY_ADDRESS is {host}, which is no address of this host: do it there")
    log = RunLog(folder, LOG)
    process = start_apart(["-c", _COMMAND, "host", name, str(file), "--head"], log)
    head = _Head(pid=process.pid, started=process_start(process.pid), boot=boot_id())
    try:
        write_private(folder / _FILE, msgspec.json.encode(head) + b"\n")
        _wait_until_begun(process, log)
    except BaseException:
        process.terminate()
        process.wait(_END_S)
        (folder / _FILE).unlink(missing_ok=True)
        raise
    say(f"Ray's head is started here, at {host}:{port}: Ray listens on all addresses of this host (log: {log.path})")
    return True


def end(folder: Path) -> bool:
    """End the head that was started from this folder; whether there was one. Raises Failure if it had to be killed."""
    try:
        head = msgspec.json.decode(read_small(folder / _FILE), type=_Head)
    except FileNotFoundError:
        return False
    except (OSError, msgspec.DecodeError) as error:
        raise Failure(f"{folder / _FILE}: cannot be read ({error}): end Ray's head by hand, and remove it") from None
    handle = open_process(head)
    try:
        if handle is None:
            return False
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(handle, signal.SIGTERM)
            if not select.select([handle], [], [], _END_S)[0]:
                signal.pidfd_send_signal(handle, signal.SIGKILL)
                raise Failure(f"Ray's head (pid {head.pid}) did not end within {_END_S:g} s and was killed")
        return True
    finally:
        if handle is not None:
            os.close(handle)
        (folder / _FILE).unlink(missing_ok=True)


def _wait_until_begun(process: subprocess.Popen[bytes], log: RunLog) -> None:
    deadline_s = time.monotonic() + _START_S
    while _BEGUN not in (told := log.tail()):
        if process.poll() is not None or _TRIES_AGAIN in told or time.monotonic() > deadline_s:
            raise Failure(f"Ray's head does not start here: {log.last_line() or 'it says nothing'} (see {log.path})")
        time.sleep(_LOOK_S)


def _is_here(host: str) -> bool:
    with contextlib.suppress(OSError), socket.socket() as probe:
        probe.bind((host, 0))
        return True
    return False
