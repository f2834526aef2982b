"""How many cores there are to share out, and the one budget of threads made from it."""

from __future__ import annotations

import math
import os
import threading
from pathlib import Path
from typing import Literal

_MAX_MODEL_THREADS = 8  # a batch of face crops is too little work to keep more busy
_MAX_SEARCH_THREADS = 4
_NICER = 10
_CORES_OF_LANE = 4


def usable_cores(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Cores that this process may use: its affinity, and the quota of its container (cgroup v2 or v1)."""
    cores = len(os.sched_getaffinity(0))
    for quota_file, period_file in (("cpu.max", None), ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us")):
        try:
            words = (cgroup / quota_file).read_text().split()
            period = words[1] if period_file is None else (cgroup / period_file).read_text()
            quota = int(words[0])
        except (OSError, ValueError, IndexError):  # no such limit, or "max"
            continue
        if quota > 0:
            cores = min(cores, math.ceil(quota / int(period)))
    return max(1, cores)


def lanes_for(lanes: int | Literal["auto"], cores: int, streams: int, may_add: bool = False) -> int:
    """How many lanes a run has; `auto` is one for each four cores: three for its stages, one for captures.

    No lane stays without a stream, unless streams may be added later and the number was given.

    >>> [lanes_for("auto", cores, streams=9) for cores in (1, 4, 8, 16)], lanes_for("auto", 16, streams=1)
    ([1, 1, 2, 4], 1)
    >>> lanes_for(4, cores=2, streams=3), lanes_for(4, cores=2, streams=3, may_add=True)
    (3, 4)
    """
    if lanes == "auto":
        return max(1, min(cores // _CORES_OF_LANE, streams))
    return lanes if may_add else min(lanes, streams)


def model_threads(cores: int, every_frame: bool = False) -> int:
    """Threads for the classifier: the cores that capture, searches and overlay leave, at least one.

    On 2 cores one thread each gives 8 times the pictures of the libraries' own defaults (torch, ResNet50). Where each
    face of each frame is classified the others wait for that, and it gets all cores: ResNet50 (int8) does 21.7 frames/s
    of three faces then instead of 15.6; the small network that ships loses a tenth.
    """
    if every_frame:
        return min(_MAX_MODEL_THREADS, cores)
    return min(_MAX_MODEL_THREADS, max(1, cores - 2 - search_threads(cores)))


def search_threads(cores: int) -> int:
    """Pictures that are searched for faces at once, beside those in which faces are followed."""
    return min(_MAX_SEARCH_THREADS, max(1, cores // 4))


def give_way() -> None:
    """Let the calling thread, which works beside the frames, go after them on a busy box.

    Nine tenths of a contested core are theirs then: what the thread does becomes rarer, and no frame waits longer.
    """
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), min(19, os.getpriority(os.PRIO_PROCESS, 0) + _NICER))


def thread_limits() -> dict[str, str]:
    """Environment of a worker: no library makes threads of its own, and none spins while it waits."""
    one = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")
    return dict.fromkeys(one, "1") | {"OMP_WAIT_POLICY": "PASSIVE"}
