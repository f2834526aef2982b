"""What runs in the fork server's process: it imports what workers need, once, and forks them.

A worker that was forked has numpy, OpenCV and the rooms of the stages at once, and shares their memory with the others.
It is no child of this process: the one between them ends at once, and the kernel hands the worker to the supervisor
(PR_SET_CHILD_SUBREAPER), who waits for it and is told how it ended, and with whom it dies.

The server has one thread: a fork takes no other along, and what these had locked would stay locked in the worker.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import signal
import socket
import sys
import traceback
from collections.abc import Iterable

from run.child import READY
from run.title import set_title
from transport import worker

MOST_BYTES = 65536  # of a request
PIPES = 2  # that come with it: what the worker reads its Spec from, and where what it prints goes


def main() -> None:
    """Import what the first message names, then fork a worker for each that follows, until the supervisor is gone."""
    worker.tie_to_parent(int(sys.argv[1]), "fork server")
    set_title("run.fork_server")
    signal.pthread_sigmask(signal.SIG_SETMASK, {signal.SIGTERM})  # a worker hears of it when it can (worker.py)
    with socket.socket(fileno=sys.stdin.fileno()) as link:
        import_all(json.loads(link.recv(MOST_BYTES)))
        if (threads := len(os.listdir("/proc/self/task"))) > 1:
            sys.exit(f"{threads - 1} threads were made while libraries were imported: no fork would be safe")
        gc.collect()
        gc.freeze()  # no collection in a worker writes to these pages: they stay shared
        link.send(READY)
        while True:
            request, pipes, _, _ = socket.recv_fds(link, MOST_BYTES, PIPES)
            if not request:
                return
            name, modules = json.loads(request)
            import_all(modules)
            link.send(str(fork_worker(link, name, pipes)).encode())
            for pipe in pipes:
                os.close(pipe)


def import_all(modules: Iterable[str]) -> None:
    """Import what can be imported; what is wrong with the rest says the worker that needs it."""
    for module in modules:
        with contextlib.suppress(Exception):
            importlib.import_module(module)
    sys.stdout.flush()  # else each worker would print it, too


def fork_worker(link: socket.socket, name: str, pipes: list[int]) -> int:
    """The worker's process id; or below 0, the number of the error for which there is none."""
    told, tell = os.pipe()
    try:
        between = os.fork()
        if not between:
            os.close(told)
            _fork_again(link, name, pipes, tell)
        os.close(tell)
        answer = os.read(told, 32)
        os.waitpid(between, 0)  # from here on the worker is the supervisor's
        return int(answer)
    except OSError as error:  # no memory, no process number
        os.close(tell)
        return -(error.errno or 1)
    finally:
        os.close(told)


def _fork_again(link: socket.socket, name: str, pipes: list[int], tell: int) -> None:
    """The process between: the worker is its child. Neither returns."""
    try:
        set_title(f"transport.worker {name}")  # here: the worker is never seen under another name
        pid = os.fork()
        if not pid:
            os.close(tell)
            _become_worker(link, pipes)
        os.write(tell, str(pid).encode())
    except OSError as error:
        os.write(tell, str(-(error.errno or 1)).encode())
    finally:
        os._exit(0)


def _become_worker(link: socket.socket, pipes: list[int]) -> None:
    """Be as a fresh interpreter is: in a group of its own, with pipes and random numbers of its own."""
    try:
        os.setpgid(0, 0)  # Ctrl-C is for the supervisor
        link.detach()  # its number is that of standard input, and that is another from now on
        told, printed = pipes
        for pipe, stream in ((told, 0), (printed, 1), (printed, 2)):
            os.dup2(pipe, stream)
        for pipe in pipes:
            os.close(pipe)
        if numbers := sys.modules.get("numpy.random"):
            numbers.seed()  # Python's own generator does that by itself
        worker.main()
    except Exception:
        traceback.print_exc()
    finally:
        os._exit(1)


if __name__ == "__main__":
    main()
