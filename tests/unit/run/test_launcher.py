"""Workers that were forked are as fresh interpreters are, and there is always one of the two ways to have one."""

import errno
import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import msgspec
import psutil
import pytest

from run import launcher as module
from run.child import how_it_ended
from run.launcher import NAME, Launcher
from transport.spec import Spec

MODULES = ("transport.worker", "numpy.random")


class Started(Launcher):
    """A launcher with a server that can fork, and what is said of it."""

    def __init__(self):
        super().__init__(MODULES)
        self.said = []
        self.begin()
        self.settle(lambda name, line: self.said.append(f"{name}: {line}"), lambda: False, 60.0)

    @property
    def server(self):
        return self._server.process if self._server else None

    def until_it_forks(self):
        deadline = time.monotonic() + 60
        while not (self._server and self._server.can_fork):
            assert time.monotonic() < deadline
            self.look()
            time.sleep(0.01)


@pytest.fixture
def launcher(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    started = Started()
    assert started.server.poll() is None, started.said
    yield started
    started.close()


def begun(child):
    """The command that is seen of a worker, when it is what it will be."""
    worker, deadline = psutil.Process(child.pid), time.monotonic() + 30
    while "transport.worker" not in worker.cmdline():  # between fork and exec of a fresh interpreter
        assert time.monotonic() < deadline
    return worker.cmdline()


def answer(child, name, tmp_path):
    """What a worker tells of itself."""
    config, control = msgspec.Raw(b"{}"), f"ipc://{tmp_path}/none"
    spec = Spec(name, name, "tiny_asides:tell", config, "", (), control, "", {}, parent=os.getpid(), aside=True)
    with child.stdin:
        child.stdin.write(msgspec.json.encode(spec))
    with child.stdout:
        lines = child.stdout.read().splitlines()
    assert child.wait(30) == 0, lines
    return json.loads(lines[-1])


def end(*children):
    for child in children:
        child.kill()
        child.wait(10)
        child.stdin.close()
        child.stdout.close()


def test_a_forked_worker_is_what_a_fresh_interpreter_would_be_but_for_the_time_it_takes(launcher, tmp_path):
    forked = [launcher.start("capture-door.1_a", True) for _ in range(2)]
    fresh = module.worker_interpreter("capture-door.1_a", True)
    assert [begun(child) for child in forked] == 2 * [begun(fresh)]
    assert {child.pid for child in (*forked, fresh)} <= {child.pid for child in psutil.Process().children()}
    told = [answer(child, "capture-door.1_a", tmp_path) for child in (*forked, fresh)]
    assert told[0]["told"] == told[1]["told"] == told[2]["told"]
    numbers = [number for each in told for number in each["random"]]
    assert len(set(numbers)) == len(numbers)


def test_how_a_forked_worker_ended_is_known(launcher):
    killed, told, crashed = (launcher.start(name, False) for name in ("killed", "told", "crashed"))
    with pytest.raises(subprocess.TimeoutExpired):
        killed.wait(0.01)
    killed.kill()
    told.terminate()  # it hears of it when it has read what it is to do, and says that there is nothing to read
    for child in (told, crashed):
        child.stdin.close()
    assert how_it_ended(killed.wait(10)) == "killed by SIGKILL"
    assert b"truncated" in crashed.stdout.read()
    assert (crashed.wait(10), told.wait(10)) == (1, 1)
    crashed.kill()  # its number may be another's by now
    end(killed, told, crashed)


def test_while_the_server_is_dead_workers_are_fresh_interpreters_and_it_comes_back(launcher):
    launcher.server.kill()
    launcher.server.wait()
    worker = launcher.start("detect", False)
    assert isinstance(worker, subprocess.Popen)
    end(worker)
    launcher.look()
    assert launcher.said == [f"{NAME}: died (killed by SIGKILL), starting it again"]
    launcher.until_it_forks()
    worker = launcher.start("detect", False)
    assert not isinstance(worker, subprocess.Popen)
    end(worker)


def test_a_server_that_does_not_answer_is_not_waited_for(launcher):
    launcher._server.link.settimeout(0.2)
    launcher.server.send_signal(signal.SIGSTOP)
    worker = launcher.start("detect", False)
    assert isinstance(worker, subprocess.Popen)
    end(worker)
    assert launcher.server.wait(10) == -signal.SIGKILL


def test_a_module_that_cannot_be_imported_costs_nobody_but_who_needs_it(launcher):
    worker = launcher.start("capture-a", True, ("no_such_module",))
    assert not isinstance(worker, subprocess.Popen)
    end(worker)


def test_where_the_system_has_no_room_for_a_process_that_is_said(launcher):
    true_link = launcher._server.link
    launcher._server.link, server = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with true_link, server:
        server.send(str(-errno.EAGAIN).encode())
        with pytest.raises(OSError, match="Resource temporarily unavailable"):
            launcher.start("detect", False)
