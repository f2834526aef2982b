"""What the machine lets one run have, file descriptors and memory, and how many streams that is enough for."""

from __future__ import annotations

import resource
from pathlib import Path

from configs.errors import InputError
from configs.plural import counted

# Measured with 2 and 10 streams, the page, the history and a file for each stream (26 November 2026): the supervisor
# has 28 and 4 for each stream, detect 16 and 6, overlay 23 and 6. libzmq ends the process where it gets none. With
# four lanes instead of one the supervisor has 36 more, and the run takes 420 MB more.
OPEN_FILES_OF_RUN = 60
OPEN_FILES_OF_STREAM = 8
OPEN_FILES_OF_LANE = 12
# Of a run without streams, and of each capture beside its pictures: measured as above, each process with its share.
RUN_BYTES = 280e6
LANE_BYTES = 140e6  # of each lane behind the first
CAPTURE_BYTES = 40e6
USUAL_SIZE = 1920, 1080
_ENOUGH = 1 << 20  # where there is no limit


def raise_open_files() -> int:
    """Let this process and those that it starts have as many files open as the system allows; how many that is."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = _ENOUGH if hard == resource.RLIM_INFINITY else hard
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    return allowed


def streams_that_fit(open_files: int, lanes: int = 1) -> int:
    """How many streams a run of so many lanes may have whose processes may each have so many files open."""
    return max(0, (open_files - _open_files_of(lanes)) // OPEN_FILES_OF_STREAM)


def _open_files_of(lanes: int) -> int:
    """Of a run without streams."""
    return OPEN_FILES_OF_RUN + (lanes - 1) * OPEN_FILES_OF_LANE


def check_open_files(streams: int, open_files: int, lanes: int = 1) -> None:
    """Raise InputError if so many streams need more files than a process may have open."""
    fit = streams_that_fit(open_files, lanes)
    if streams > fit:
        need = _open_files_of(lanes) + streams * OPEN_FILES_OF_STREAM
        raise InputError(
            f"{counted(streams, 'stream')} need {need} open files, a process may have {open_files} here: raise "
            f"the limit (ulimit -n {need}, LimitNOFILE={need}), or give at most {counted(fit, 'stream')}"
        )


def free_memory(cgroup: Path = Path("/sys/fs/cgroup")) -> float:
    """Bytes that processes may still take, here and in the container."""
    import psutil

    free = float(psutil.virtual_memory().available)
    try:
        limit, used = (int((cgroup / name).read_text()) for name in ("memory.max", "memory.current"))
    except (OSError, ValueError):  # no such limit, or "max"
        return free
    return min(free, limit - used)


def run_bytes(lanes: int) -> float:
    """Memory that a run without streams takes."""
    return RUN_BYTES + (lanes - 1) * LANE_BYTES


def stream_bytes(slots: int, size: tuple[int, int] | None) -> float:
    """Memory that a stream takes: its capture, and as many pictures of that width and height, px; None: 1080p.

    In BGR: the planes that most films and network cameras have take half of that.
    """
    width, height = size or USUAL_SIZE
    return CAPTURE_BYTES + slots * width * height * 3


def check_memory(slots: int, free: float) -> None:
    """Raise InputError if there is no room for one more stream, whose pictures nobody has seen."""
    need = stream_bytes(slots, None)
    if need > free:
        raise InputError(f"no memory for another stream: {free / 1e6:.0f} MB are free, it may need {need / 1e6:.0f}")
