"""Keeps Ray going on one host of a fleet: starts it, starts it again when it ends, and when its head is another one.

Shards that run here do not depend on it: they go on without Ray, and are adopted when it is back.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from importlib.metadata import version
from pathlib import Path

from msgspec import Struct

from configs.errors import Failure, InputError
from fleet.ray_about import About, ask, own
from fleet.ray_settings import HOST, LABEL_HOST, LABEL_VERSION, MEMORY_BYTES
from fleet.run_log import RunLog
from run.code import ROOT

PORTS = (  # of Ray's on each host; those of its workers come behind them
    "node-manager-port",
    "object-manager-port",
    "dashboard-agent-grpc-port",
    "dashboard-agent-listen-port",
    "runtime-env-agent-port",
    "metrics-export-port",
)
_LOOK_S = 1.0
_REST_S = 5.0  # after Ray's end: longer than others need to see that a head is gone
_LONGEST_S = 30.0
_START_S = 60.0
_STOP_S = 5.0  # a host's Ray takes 30 s for SIGTERM, and has nothing that it must finish
_CONNECT_S = 3.0
_BEGUN = "will now block forever"  # says `ray start`
_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


class HostPlace(Struct, frozen=True, kw_only=True):
    """A host as its plan has it: its `slots` for shards of `site`. A head that holds none has no site."""

    name: str
    site: str = ""
    slots: int = 0


class RayHost:
    """Ray on this host. `head` is where Ray's head is; `is_head`: that is here. `ports` is for Ray's others."""

    def __init__(
        self,
        place: HostPlace,
        head: tuple[str, int],
        is_head: bool,
        ports: tuple[int, int] | None,
        environment: Mapping[str, str],
        folder: Path,
        say: Callable[[str], None],
    ) -> None:
        self._place, self._head, self._is_head, self._ports = place, head, is_head, ports
        path = os.pathsep.join(filter(None, (str(ROOT), environment.get("PYTHONPATH"))))
        self._environment = {**environment, "PYTHONPATH": path, HOST: place.name}
        self._log, self._say = RunLog(folder, "ray.log"), say
        self._ends = threading.Event()
        self._was = ""

    def stop(self) -> None:
        """Have `run` return soon; Ray ends here, and the shards' runs go on."""
        self._ends.set()

    def run(self) -> None:
        """Until it is stopped. Raises InputError where this host cannot be part of the cluster as it is."""
        rest_s = _REST_S
        while not self._ends.is_set():
            try:
                about = None if self._is_head else self._join()
                began_s = time.monotonic()
                self._once(about)
                rest_s = _REST_S if time.monotonic() - began_s > _LONGEST_S else min(2 * rest_s, _LONGEST_S)
            except Failure as error:
                self._tell(f"{error}; it is tried again")
            self._ends.wait(rest_s)

    @property
    def _address(self) -> str:
        return f"{self._head[0]}:{self._head[1]}"

    def _tell(self, line: str) -> None:
        """Say what has changed."""
        if line != self._was:
            self._was = line
            self._say(line)

    def _join(self) -> About:
        """What the head says of the cluster; raises Failure while it is away, InputError for another version."""
        if not self._reaches_head():
            raise Failure(f"Ray's head at {self._address} cannot be reached")
        about = ask(self._address, self._environment)
        if differs := about.differs(own()):
            raise InputError(f"{self._place.name} has {differs} as the head at {self._address}: install the same")
        return about

    def _once(self, about: About | None) -> None:
        """One life of Ray here; returns when it has ended."""
        handle = self._log.open()
        try:
            process = subprocess.Popen(
                self._command(),
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=handle,
                stderr=handle,
                start_new_session=True,
                preexec_fn=_die_with_parent,  # no thread is here yet
            )
        finally:
            os.close(handle)
        try:
            if self._has_begun(process):
                if self._is_head:
                    about = ask(self._address, self._environment, own())
                self._tell(f"{self._place.name}: Ray runs, {'the head' if self._is_head else f'of {self._address}'}")
                self._watch(process, about)
        finally:
            _end(process)
        if not self._ends.is_set():
            self._tell(f"{self._place.name}: Ray has ended (see {self._log.path}); it is started again")

    def _command(self) -> list[str]:
        words = [sys.executable, "-P", "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"]
        words += ["--node-ip-address", self._head[0] if self._is_head else own_address(self._head)]
        words += ["--num-cpus", "0", "--object-store-memory", str(MEMORY_BYTES), "--include-log-monitor=false"]
        words += ["--labels", f"{LABEL_HOST}={self._place.name},{LABEL_VERSION}={version('maskstream')}"]
        if self._is_head:
            words += ["--head", "--port", str(self._head[1]), "--include-dashboard=false"]
        else:
            words += ["--address", self._address]
        if self._place.slots:
            words += ["--resources", json.dumps({f"site-{self._place.site}": self._place.slots})]
        if self._ports is not None:
            first, last = self._ports
            for number, name in enumerate(PORTS):
                words += [f"--{name}", str(first + number)]
            words += ["--min-worker-port", str(first + len(PORTS)), "--max-worker-port", str(last)]
        return words

    def _has_begun(self, process: subprocess.Popen[bytes]) -> bool:
        """Wait until Ray runs; whether it does. Raises Failure if it does not begin."""
        deadline_s = time.monotonic() + _START_S
        while _BEGUN not in self._log.tail():
            if self._ends.wait(_LOOK_S / 5):
                return False
            if process.poll() is not None:
                raise Failure(f"Ray does not start here: {self._log.last_line()} (see {self._log.path})")
            if time.monotonic() > deadline_s:
                raise Failure(f"Ray has not started within {_START_S:g} s: see {self._log.path}")
        return True

    def _watch(self, process: subprocess.Popen[bytes], about: About | None) -> None:
        """Until Ray ends here, or the head that comes back is another one, which knows nothing of this host.

        Ray itself would wait for the old one: for the 86400 s that it is told, as its keepers go on meanwhile.
        """
        is_away = False
        while process.poll() is None and not self._ends.wait(_LOOK_S):
            self._log.trim()
            if self._is_head:
                continue
            was_away, is_away = is_away, not self._reaches_head()
            if is_away and not was_away:
                self._tell(f"Ray's head at {self._address} cannot be reached; what runs here goes on")
            if was_away and not is_away:
                with contextlib.suppress(Failure):
                    now = ask(self._address, self._environment)
                    if about is not None and now.session != about.session:
                        self._tell(f"Ray's head at {self._address} is a new one")
                        return
                    self._tell(f"Ray's head at {self._address} is back")
                    continue
                is_away = True

    def _reaches_head(self) -> bool:
        with contextlib.suppress(OSError), socket.create_connection(self._head, _CONNECT_S):
            return True
        return False


def own_address(head: tuple[str, int]) -> str:
    """The address of this host from which the head is reached; nothing is sent. Raises Failure."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.connect(head)
            return str(probe.getsockname()[0])
    except OSError as error:
        raise Failure(f"Ray's head at {head[0]}:{head[1]} cannot be reached ({error.strerror})") from None


def _die_with_parent() -> None:
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _end(process: subprocess.Popen[bytes]) -> None:
    """All processes of Ray's here; the shards' runs have sessions of their own."""
    process.terminate()
    try:
        process.wait(_STOP_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError, ValueError):
            if os.getsid(int(entry.name)) == process.pid:
                os.kill(int(entry.name), signal.SIGKILL)
