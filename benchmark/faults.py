"""The faults that `maskstream chaos` does to a run: a line of the table for each."""

from __future__ import annotations

import contextlib
import random
import signal
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psutil
import zmq

from benchmark.camera import Camera
from benchmark.watched_run import WatchedRun
from transport.codec import Beat, Message, Open, Ready, Return, encode
from transport.stage import row_of

STOPPED_S = (1.0, 2.0, 7.0)  # the supervisor kills a stage after 6 s of silence (run.heartbeat_timeout_s)
SLOW_S, SLOW_STOPPED_S, SLOW_RUNS_S = 3.0, 0.05, 0.01
FULL_S = 2.0
AWAY_S = 2.0
SUPERVISOR_STOPPED_S = 2.0
JUNK = 500  # messages to each socket; a fifth of them is no message at all
CONNECTIONS = 50  # to the page's port
_LINGER_MS = 1000
GARBAGE = 20  # connections to each socket that do not speak ZeroMQ


@dataclass(frozen=True, slots=True)
class Scene:
    """What a fault may touch: the run, and the camera of ours that it watches, if it does."""

    run: WatchedRun
    camera: Camera
    chance: random.Random

    def one(self) -> tuple[str, psutil.Process]:
        """Any of the workers: a capture, a stage, the page."""
        processes = self.run.processes()
        name = self.chance.choice(sorted(processes))
        return name, processes[name]


def kill(scene: Scene) -> str:
    """SIGKILL to any worker."""
    name, process = scene.one()
    process.kill()
    return name


def stop(scene: Scene) -> str:
    """Any worker stopped for 1, 2 or 7 s; after 6 s the supervisor kills it."""
    name, process = scene.one()
    seconds = scene.chance.choice(STOPPED_S)
    with _stopped(process):
        scene.run.watch(seconds)
    return f"{name} for {seconds:g} s"


def slow(scene: Scene) -> str:
    """Any worker has a sixth of its time, for 3 s: stopped for 50 ms again and again, 10 ms in between."""
    name, process = scene.one()
    until_s = time.monotonic() + SLOW_S
    while time.monotonic() < until_s:
        with _stopped(process):
            scene.run.watch(SLOW_STOPPED_S)
        time.sleep(SLOW_RUNS_S)
    return name


def flood(scene: Scene) -> str:
    """Junk at all sockets of the run and at its page."""
    context: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    sockets = sorted(path for folder in scene.run.run_folders() for path in folder.iterdir() if path.is_socket())
    try:
        for path in sockets:
            for _ in range(GARBAGE):
                with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as link:
                    link.connect(str(path))
                    link.sendall(scene.chance.randbytes(200))
            sender = context.socket(zmq.PUSH)
            sender.sndhwm = 0
            sender.connect(f"ipc://{path}")
            for message in _junk(scene.chance):
                with contextlib.suppress(zmq.Again):  # feeds take nothing
                    sender.send(message, zmq.NOBLOCK)
            sender.close(_LINGER_MS)
            scene.run.accounts.look()
    finally:
        context.term()
    for _ in range(CONNECTIONS):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", scene.run.port), 1.0) as page:
            page.sendall(scene.chance.randbytes(scene.chance.randrange(1, 5000)))
    return f"{len(sockets)} sockets and the page"


def disk_full(scene: Scene) -> str:
    """An overlay can write no file for 2 s: its files may have no byte (RLIMIT_FSIZE), so each write is refused."""
    processes = scene.run.processes()
    name = scene.chance.choice(sorted(name for name in processes if row_of(name) == "overlay"))
    process = processes[name]
    before = process.rlimit(psutil.RLIMIT_FSIZE)
    process.rlimit(psutil.RLIMIT_FSIZE, (0, before[1]))
    try:
        scene.run.watch(FULL_S)
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.rlimit(psutil.RLIMIT_FSIZE, before)
    return name


def source_away(scene: Scene) -> str:
    """Our camera is gone for 2 s: its connection is closed, new ones are refused."""
    scene.camera.go_away()
    try:
        scene.run.watch(AWAY_S)
    finally:
        scene.camera.come()
    return "the camera"


def supervisor_stop(scene: Scene) -> str:
    """The supervisor stopped for 2 s."""
    with _stopped(psutil.Process(scene.run.program.pid)):
        scene.run.watch(SUPERVISOR_STOPPED_S)
    return "supervisor"


FAULTS: dict[str, Callable[[Scene], str]] = {
    "kill": kill,
    "stop": stop,
    "slow": slow,
    "flood": flood,
    "disk-full": disk_full,
    "source-away": source_away,
    "supervisor-stop": supervisor_stop,
}
"""Each does it, undoes it, and says to whom; recovery is counted from its return."""


@contextlib.contextmanager
def _stopped(process: psutil.Process) -> Iterator[None]:
    """It may be killed and gone meanwhile."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGCONT)


def _junk(chance: random.Random) -> Iterator[bytes]:
    """Bytes that are no message, and messages that are of no one here, or not for this one."""
    strangers: list[Message] = [
        Return("no such stream"),
        Beat("nobody", 1, 0, 0, 0, 0),
        Ready("nobody", 1, {}),
        Open("no such stream", "/proc/self/fd/0", 1, "ipc:///nowhere"),
    ]
    for number in range(JUNK):
        if number % 5 == 0:
            yield chance.randbytes(chance.randrange(0, 300))
        else:
            yield encode(strangers[number % len(strangers)])
