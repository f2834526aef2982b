"""Starts workers: has a server fork them that has imported what they need; where none can, as fresh interpreters.

A fresh interpreter works for 0.4 s before it can begin with what is its own, a fork for some milliseconds.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import select
import socket
import threading
import time
from collections.abc import Callable, Sequence

from run.child import READY, Child, Forked, how_it_ended, interpreter, worker_interpreter
from run.limits import raise_open_files
from run.title import ROOM

Say = Callable[[str, str], None]
"""(process, line): show a line that it wrote."""

NAME = "fork server"
_ANSWER_S = 5.0  # a fork takes milliseconds: a server that takes so long has been stopped
_AGAIN_S = (0.5, 60.0)  # first and longest wait before a server that died is started again
_SETTLED_S = 60.0  # after a life of this the wait begins at the first one again
_LOOK_S = 0.05
_PR_SET_CHILD_SUBREAPER = 36


class NoAnswer(Exception):
    """The server is dead, or as good as that."""


class ForkServer:
    """One life of the server: begins to import these modules at once, and forks when it has said that it can."""

    def __init__(self, modules: Sequence[str]) -> None:
        self.link, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.link.settimeout(_ANSWER_S)
        self.began_s, self.can_fork = time.monotonic(), False
        try:
            with theirs:
                self.process = interpreter("-m", "run.fork_server", str(os.getpid()), ROOM, stdin=theirs.fileno())
        except OSError:
            self.link.close()
            raise
        self.link.send(json.dumps(list(modules)).encode())

    def look(self, wait_s: float = 0.0) -> bool:
        """Whether it lives; notes when it can fork."""
        if not self.can_fork and select.select([self.link], [], [], wait_s)[0]:
            with contextlib.suppress(OSError):
                self.can_fork = self.link.recv(len(READY)) == READY
        return self.process.poll() is None

    def fork(self, name: str, modules: Sequence[str]) -> Forked:
        """A worker that waits for its Spec. Raises OSError where the system has no room for one, and NoAnswer."""
        (told, tell), (printed, prints) = os.pipe(), os.pipe()
        stdin, stdout = os.fdopen(tell, "wb"), os.fdopen(printed, "rb")
        try:
            socket.send_fds(self.link, [json.dumps([name, list(modules)]).encode()], [told, prints])
            answer = self.link.recv(32)
        except OSError:
            answer = b""
        finally:
            os.close(told)
            os.close(prints)
        if answer and int(answer) > 0:
            return Forked(int(answer), stdin, stdout)
        stdin.close()
        stdout.close()
        if not answer:
            raise NoAnswer
        raise OSError(-int(answer), os.strerror(-int(answer)))

    def end(self) -> None:
        self.process.kill()
        self.process.wait()
        self.link.close()


class Launcher:
    """Starts workers with a server that has these modules, and starts that again when it dies.

    Call from the main thread: server and workers die with the thread that is their parent.
    """

    def __init__(self, modules: Sequence[str]) -> None:
        self._modules = modules
        self._server: ForkServer | None = None
        self._pump: threading.Thread | None = None
        self._say: Say | None = None
        self._adopts = False
        self._again_s, self._wait_s = 0.0, 0.0

    def begin(self) -> None:
        """Start the server, if it is not started yet: the sooner, the less is waited for it."""
        if self._server is None:
            raise_open_files()  # workers inherit it
            with contextlib.suppress(OSError):  # look() tries again
                self._server = ForkServer(self._modules)

    def settle(self, say: Say, stopped: Callable[[], bool], within_s: float) -> None:
        """Wait until the server can fork, is dead, or is not wanted any more. What it prints is said, now and later."""
        self._say = say
        self._adopts = _adopt(True)
        if self._server is not None:
            self._listen(self._server)
            while self._server.look(_LOOK_S) and not self._server.can_fork and not stopped():
                if time.monotonic() - self._server.began_s > within_s:
                    self._server.process.kill()

    def look(self) -> None:
        """Start a server that died again, after a while; call it now and then."""
        now_s, server = time.monotonic(), self._server
        if server is None:
            if now_s >= self._again_s:
                self._wait_s = min(2 * self._wait_s or _AGAIN_S[0], _AGAIN_S[1])
                self._again_s = now_s + self._wait_s
                self.begin()
                if self._server is not None:
                    self._listen(self._server)
        elif not server.look():
            self._tell(f"died ({how_it_ended(server.process.poll())}), starting it again")
            if now_s - server.began_s > _SETTLED_S:
                self._again_s = self._wait_s = 0.0
            self._forget()

    def start(self, name: str, is_capture: bool, modules: Sequence[str] = ()) -> Child:
        """A worker that waits for its Spec. Raises OSError where the system has no room for one."""
        if self._adopts and self._server is not None and self._server.can_fork:
            try:
                return self._server.fork(name, modules)
            except NoAnswer:
                self._server.process.kill()
        return worker_interpreter(name, is_capture)

    def close(self) -> None:
        """End the server."""
        self._forget()
        _adopt(False)

    def _forget(self) -> None:
        if self._server is not None:
            self._server.end()
            if self._pump is not None:
                self._pump.join(1)
            if self._server.process.stdout is not None:
                self._server.process.stdout.close()
        self._server = self._pump = None

    def _listen(self, server: ForkServer) -> None:
        def relay() -> None:
            for line in server.process.stdout or ():
                self._tell(line.decode(errors="replace").rstrip())

        self._pump = threading.Thread(target=relay, name="pump-fork-server", daemon=True)
        self._pump.start()

    def _tell(self, line: str) -> None:
        if self._say is not None:
            self._say(NAME, line)


def _adopt(whether: bool) -> bool:
    """Let orphans below this process become its children, or init's as usual; whether the system does so."""
    return ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(whether), 0, 0, 0) == 0


_prepared: Launcher | None = None


def prepare(modules: Sequence[str]) -> None:
    """Have a server begin while this process still finds out what it has to run."""
    global _prepared
    _prepared = Launcher(modules)
    _prepared.begin()


def prepared() -> Launcher | None:
    """The launcher that was prepared; it is given away."""
    global _prepared
    launcher, _prepared = _prepared, None
    return launcher
