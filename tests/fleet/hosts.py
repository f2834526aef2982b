"""Hosts of a fleet on one machine: namespaces on a private bridge, which lose power and net for real. Needs root.

Each host has its own network, processes, name, /dev/shm and disk (`/srv`, its HOME), and the programs of this machine.
No packet of theirs reaches the machine's own network. A host lives for as long as its first process, which ends with
the test's: so nothing is left, whatever way the test ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from program import ROOT

_CLONE_NEWNET = 0x40000000
_NAMESPACES = ("-n", "-m", "-p", "-u", "-i")
_NET = "10.77.0"
_FIRST = """
import os, signal, sys
def reap(*_):
    try:
        while os.waitpid(-1, os.WNOHANG)[0]: pass
    except ChildProcessError: pass
signal.signal(signal.SIGCHLD, reap)
print("up", flush=True)
sys.stdin.read()
"""
_BOOT = 'mount --bind "$1" /srv && mount -t tmpfs shm /dev/shm && hostname "$2" && exec "$3" -c "$4"'


def missing_for_hosts() -> str:
    """Why there can be no hosts here; empty: there can."""
    if os.geteuid() != 0:
        return "hosts are namespaces, which only root can make"
    if absent := [name for name in ("unshare", "nsenter", "ip") if shutil.which(name) is None]:
        return f"hosts need {', '.join(absent)} (Debian's util-linux and iproute2)"
    tried = subprocess.run(
        [
            "unshare",
            *_NAMESPACES,
            "--fork",
            "--mount-proc",
            "sh",
            "-c",
            "ip link add br0 type bridge && mount -t tmpfs t /srv",
        ],
        capture_output=True,
        text=True,
    )
    return f"no namespaces here: {tried.stderr.strip()}" if tried.returncode else ""


class Program:
    """What was started on a host: `pid` is its number here, not there."""

    def __init__(self, host: Host, argv: tuple[str, ...], name: str, environment: dict[str, str]) -> None:
        self._files = host.folder / f"{name}.out", host.folder / f"{name}.err"
        enter = ["nsenter", "-t", str(host.first.pid), *_NAMESPACES, "sh", "-c", 'cd /srv && exec "$@"', "sh"]
        with self._files[0].open("a") as out, self._files[1].open("a") as err:
            self._process = subprocess.Popen(
                [*enter, *argv], stdout=out, stderr=err, env=host.environment | environment
            )

    @property
    def stdout(self) -> str:
        return self._files[0].read_text()

    @property
    def stderr(self) -> str:
        return self._files[1].read_text()

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    def signal(self, number: int) -> None:
        """To the program itself, which is a child of the one that has entered the host."""
        with contextlib.suppress(psutil.NoSuchProcess):
            for child in psutil.Process(self._process.pid).children():
                child.send_signal(number)

    def wait(self, timeout_s: float = 60.0) -> int:
        """The exit code."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"it has not ended within {timeout_s} s:\n{self.stderr}") from None

    def forget(self) -> None:
        """Its host is no more."""
        self._process.kill()  # where it was stopped, what had entered the host for it is stopped, too
        self._process.wait()

    def until(self, holds: Callable[[], bool], patience_s: float = 60.0) -> None:
        """Wait until something holds while the program runs."""
        until(lambda: holds() or not self.runs, patience_s, lambda: self.stderr)
        assert holds(), f"it ended early:\n{self.stdout}{self.stderr}"


class Host:
    """One host. `disk` is what it sees as /srv, which outlives a loss of power; `folder` has what programs wrote."""

    def __init__(self, name: str, address: str, folder: Path) -> None:
        self.name, self.address, self.folder, self.disk = name, address, folder, folder / "disk"
        (self.disk / "tmp").mkdir(parents=True)
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        self.environment = {"PATH": path, "HOME": "/srv", "TMPDIR": "/srv/tmp", "PYTHONPATH": str(ROOT)}
        self._programs: list[Program] = []
        self.boot()

    def boot(self) -> None:
        """Its first process, without any net."""
        unshare = ["unshare", *_NAMESPACES, "--fork", "--mount-proc", "--kill-child", "sh", "-c", _BOOT, "sh"]
        self._unshare = subprocess.Popen(
            [*unshare, str(self.disk), self.name, sys.executable, _FIRST],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._unshare.stdout.readline() == "up\n", f"host {self.name} did not start"
        [self.first] = psutil.Process(self._unshare.pid).children()
        self.ip("link", "set", "lo", "up")

    def run(self, *argv: object, **environment: str) -> Program:
        """Start a program there; `environment` is beside that of the host."""
        name = f"{len(self._programs) + 1}-{Path(str(argv[0])).name}"
        self._programs.append(Program(self, tuple(map(str, argv)), name, environment))
        return self._programs[-1]

    def maskstream(self, *words: object, **environment: str) -> Program:
        """`maskstream WORDS` there, of this tree."""
        return self.run(sys.executable, "-P", "-c", "import run_pipeline; run_pipeline.main()", *words, **environment)

    def processes(self, *words: str) -> list[psutil.Process]:
        """Those that run there, but its first; only those whose command line has one of the words, if there are any."""
        with contextlib.suppress(OSError):
            there = os.stat(f"/proc/{self.first.pid}/ns/pid").st_ino
            return [one for one in psutil.process_iter() if _is_in(one, there, words) and one != self.first]
        return []

    def kill(self, *words: str) -> None:
        """SIGKILL of all of these."""
        for process in self.processes(*words):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def die(self) -> None:
        """All its processes are killed, by the kernel: its first is. Returns when they are gone."""
        self._unshare.kill()
        self._unshare.wait()
        for program in self._programs:
            program.forget()
        self._unshare.stdin.close()
        self._unshare.stdout.close()

    def ip(self, *words: str) -> None:
        subprocess.run(["nsenter", "-t", str(self.first.pid), "-n", "ip", *words], check=True)

    def listener(self, port: int) -> socket.socket:
        """A socket of this process that listens on the host's address."""
        made: list[socket.socket] = []

        def listen() -> None:  # a thread may be in another network than its process
            with open(f"/proc/{self.first.pid}/ns/net") as net:
                assert ctypes.CDLL(None).setns(net.fileno(), _CLONE_NEWNET) == 0
            made.append(socket.create_server((self.address, port)))

        thread = threading.Thread(target=listen)
        thread.start()
        thread.join()
        return made[0]


class Hosts:
    """`office`, which holds the bridge, and `count` hosts on it, `host-1` and on; `hosts[0]` is the first of these."""

    def __init__(self, count: int, folder: Path) -> None:
        self.all: list[Host] = []
        try:
            self.office = self._made("office", f"{_NET}.1", folder)
            self.office.ip("link", "add", "br0", "type", "bridge")
            self.office.ip("addr", "add", f"{_NET}.1/24", "dev", "br0")
            self.office.ip("link", "set", "br0", "up")
            for number in range(1, count + 1):
                self._plug_in(self._made(f"host-{number}", f"{_NET}.{10 + number}", folder))
        except BaseException:
            self.close()
            raise

    def __getitem__(self, place: int) -> Host:
        return self.all[1:][place]

    def __iter__(self) -> Iterator[Host]:
        return iter(self.all[1:])

    def named(self, name: str) -> Host:
        return next(host for host in self.all if host.name == name)

    def cut(self, host: Host) -> None:
        """Its cable is pulled: nothing that is sent comes through, and nobody is told."""
        self.office.ip("link", "set", host.name, "down")

    def join(self, host: Host) -> None:
        """Its cable is plugged in again."""
        self.office.ip("link", "set", host.name, "up")

    def power_off(self, host: Host) -> None:
        """The cable first, so that no process of it says goodbye; then all of it is killed. Its disk stays."""
        self.cut(host)
        host.die()
        with contextlib.suppress(subprocess.CalledProcessError):  # it goes with the host, a moment later
            self.office.ip("link", "del", host.name)

    def power_on(self, host: Host) -> None:
        """The same host again, on which nothing runs."""
        host.boot()
        self._plug_in(host)

    def close(self) -> None:
        """All of them are gone afterwards."""
        for host in self.all:
            host.die()

    def _made(self, name: str, address: str, folder: Path) -> Host:
        self.all.append(Host(name, address, folder / name))
        return self.all[-1]

    def _plug_in(self, host: Host) -> None:
        peer = ("peer", "name", "eth0", "netns", str(host.first.pid))
        self.office.ip("link", "add", host.name, "type", "veth", *peer)
        self.office.ip("link", "set", host.name, "master", "br0", "up")
        host.ip("addr", "add", f"{host.address}/24", "dev", "eth0")
        host.ip("link", "set", "eth0", "up")


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    """Three hosts and the office; skips where they cannot be made."""
    if why := missing_for_hosts():
        pytest.skip(why)
    made = Hosts(3, tmp_path)
    yield made
    made.close()


def until(holds: Callable[[], object], patience_s: float = 60.0, why: Callable[[], str] = str) -> float:
    """Wait until something holds, and give the seconds that it took; `why` tells more where it does not."""
    began_s = time.monotonic()
    while not holds():
        assert time.monotonic() < began_s + patience_s, f"not within {patience_s} s: {why()}"
        time.sleep(0.05)
    return time.monotonic() - began_s


def _is_in(process: psutil.Process, namespace: int, words: tuple[str, ...]) -> bool:
    try:
        if os.stat(f"/proc/{process.pid}/ns/pid").st_ino != namespace or process.status() == psutil.STATUS_ZOMBIE:
            return False
        line = " ".join(process.cmdline())
    except (OSError, psutil.Error):  # it ends just now, or is of the kernel
        return False
    return not words or any(word in line for word in words)
