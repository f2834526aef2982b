"""A worker's process, as its supervisor holds it: one that was forked for it, or a fresh interpreter."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO, Protocol

from transport.cores import thread_limits

_ROOT = Path(__file__).resolve().parent.parent
_FOR_SERVICES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")  # workers are not to speak for the service
_LOOK_S = 0.005
READY = b"ready"  # what a fork server says when it can fork


class Child(Protocol):
    """What of `subprocess.Popen` a supervisor uses."""

    @property
    def pid(self) -> int: ...
    @property
    def stdin(self) -> IO[bytes] | None: ...
    @property
    def stdout(self) -> IO[bytes] | None: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def terminate(self) -> None: ...
    def kill(self) -> None: ...


class Forked:
    """A process that another one forked, and that the kernel has made a child of this one."""

    def __init__(self, pid: int, stdin: IO[bytes], stdout: IO[bytes]) -> None:
        self.pid, self.stdin, self.stdout = pid, stdin, stdout
        self._code: int | None = None

    def poll(self) -> int | None:
        """The exit code, negative for a signal; None while it runs."""
        if self._code is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:  # SIGCHLD is ignored here: it is dead, and nobody knows how; as Popen says it
                self._code = 0
            else:
                self._code = os.waitstatus_to_exitcode(status) if pid else None
        return self._code

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, when it has ended. Raises subprocess.TimeoutExpired."""
        until_s = time.monotonic() + timeout if timeout is not None else float("inf")
        while (code := self.poll()) is None:
            if time.monotonic() >= until_s:
                raise subprocess.TimeoutExpired(f"process {self.pid}", timeout or 0.0)
            time.sleep(_LOOK_S)
        return code

    def terminate(self) -> None:
        self._signal(signal.SIGTERM)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if self.poll() is None:  # until then the number is its own
            os.kill(self.pid, number)


def interpreter(*arguments: str, stdin: int = subprocess.PIPE) -> subprocess.Popen[bytes]:
    """A fresh Python, `python ARGUMENTS`, that reads from us, prints to us, and imports our rooms and no others."""
    environment = {name: value for name, value in os.environ.items() if name not in _FOR_SERVICES} | thread_limits()
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, (str(_ROOT), os.environ.get("PYTHONPATH"))))
    return subprocess.Popen(
        # -P: a folder `inference` or `train` where the user happens to stand must not be imported instead of ours
        [sys.executable, "-P", *arguments],
        stdin=stdin,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment,
        process_group=0,  # Ctrl-C is for the supervisor: a worker still importing would die with a traceback
    )


def worker_interpreter(name: str, is_capture: bool) -> subprocess.Popen[bytes]:
    """A worker that imports all it needs by itself."""
    # A capture that is told to end while it still imports hears of it afterwards (worker.py): it died of the
    # signal, was started again, and its stream could not be removed any more.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM} if is_capture else ())
    try:
        return interpreter("-m", "transport.worker", name)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def how_it_ended(code: int | None) -> str:
    """An exit code in words."""
    return f"killed by {signal.Signals(-code).name}" if code is not None and code < 0 else f"exit code {code}"
