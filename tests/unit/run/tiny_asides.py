"""Workers that tell what they are, as one line of JSON among those that they print."""

import json
import os
import random
import sys

import numpy as np

STATUS = ("SigBlk", "SigIgn", "SigCgt", "Threads", "NoNewPrivs")


def tell(config: dict, context) -> None:
    """Everything that a process may have of the one that made it."""
    with open("/proc/self/status") as file:
        status = dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)
    environment = {
        name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")
    }  # is of the moment
    told = {name: status[name] for name in STATUS}
    told["descriptors"] = sorted(os.readlink(f"/proc/self/fd/{fd}").partition(":")[0] for fd in (0, 1, 2))
    told["open"] = min(len(os.listdir("/proc/self/fd")) for _ in range(100))  # its heartbeat opens one for a moment
    told |= {"group": os.getpgid(0) == os.getpid(), "session": os.getsid(0), "folder": os.getcwd(), "mask": os.umask(0)}
    told |= {"environment": environment, "path": sys.path, "nice": os.nice(0), "parent": os.getppid()}
    context.ready()
    numbers = [random.random(), float(np.random.random())]  # noqa: NPY002 - the state that a fork would share
    print(json.dumps({"told": told, "random": numbers}), flush=True)
