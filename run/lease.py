"""A shard's lease: the file that says which life of it runs, by which grant of its owner; and what owners write."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
from pathlib import Path
from typing import Literal, Protocol

import msgspec
from msgspec import Struct

from configs.errors import InputError

ALREADY_RUNS, OTHER_CONFIG, FENCED = 3, 4, 5  # exit codes of `maskstream run --shard`
FILE, EPOCH, DRAIN, NOTE, SPOOL = "lease.json", "epoch", "drain", "status.json", "events.db"
_GRANT = re.compile(r"\s*(\d{1,15})(?:\s+([0-9a-f]{16}))?\s*")
_MOST_BYTES = 1 << 20
_START_TIME = 19  # in /proc/PID/stat, counted behind the name


class Lease(Struct, frozen=True, kw_only=True):
    """Who runs the shard, or did last.

    `epoch` is the number of the grant by which it runs, `life` the id of this run (16 hexadecimal digits; `run` in
    events). `pid` is its supervisor's, of which `started` (clock ticks since `boot`, as in /proc/PID/stat) tells it
    from a later process of that number. `port` is that of its page, 0 without one. `config` is a hash of its options.
    `fenced_by` is the newer epoch that it has seen, 0: none. `code` is its exit code when it has ended.
    `grant` is the name of the grant, where its owner gave one.
    """

    shard: str
    site: str
    host: str
    epoch: int
    life: str
    pid: int
    started: int
    boot: str
    port: int
    config: str
    version: str
    began: str
    state: Literal["running", "fenced", "draining", "ended"] = "running"
    fenced_by: int = 0
    code: int | None = None
    grant: str = ""


class Process(Protocol):
    """A process that was noted down so that it is told from a later one of its number."""

    @property
    def pid(self) -> int: ...
    @property
    def started(self) -> int: ...
    @property
    def boot(self) -> str: ...


class Grant(Struct, frozen=True):
    """What an owner says of a shard: its newest epoch, and the life that goes on with it; empty: none of now."""

    epoch: int
    life: str = ""

    @staticmethod
    def read(text: str) -> Grant | None:
        """From `8`, or `8 3fa98c01d2e4b567`; None for what is no grant.

        >>> Grant.read("8"), Grant.read("8 3fa98c01d2e4b567\\n"), Grant.read("eight")
        (Grant(epoch=8, life=''), Grant(epoch=8, life='3fa98c01d2e4b567'), None)
        """
        found = _GRANT.fullmatch(text)
        return Grant(int(found[1]), found[2] or "") if found else None

    def __str__(self) -> str:
        return f"{self.epoch} {self.life}".strip()


def read_lease(folder: Path) -> Lease | None:
    """The lease of now or of the last life; None: there was none. Raises InputError for what is no lease."""
    path = folder / FILE
    try:
        return msgspec.json.decode(read_small(path), type=Lease)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror})") from None
    except msgspec.DecodeError as error:
        raise InputError(f"{path}: is no lease ({error}): end what runs the shard, then remove the file") from None


def read_grant(path: Path) -> Grant | None:
    """What an owner has written; None where there is nothing, or nothing that can be read."""
    with contextlib.suppress(OSError, UnicodeError):
        return Grant.read(read_small(path).decode())
    return None


def read_small(path: Path) -> bytes:
    """A file that may be anything; raises OSError."""
    with path.open("rb") as file:
        return file.read(_MOST_BYTES)


def write_private(path: Path, content: bytes, sync: bool = True) -> None:
    """Write a file for this user only that nobody ever sees half of; `sync`: nor after a power cut. Raises OSError."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.new")
    try:
        file = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(file, "wb") as out:
            out.write(content)
            out.flush()
            if sync:
                os.fsync(file)
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    if sync:
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


def is_held(folder: Path) -> bool:
    """Whether a run holds the shard now: it has the lock beside its lease, which ends with its process."""
    try:
        lock = os.open(folder / f".{FILE}.lock", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(lock)
    return False


def process_start(pid: int) -> int:
    """When a process was started, clock ticks since the boot; 0: there is none of that number."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[_START_TIME])
    return 0


def boot_id() -> str:
    """Which boot of the machine this is; empty where the system does not tell."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return ""


def open_process(noted: Process) -> int | None:
    """A handle (pidfd) of a lease's own process; None: it is not here, or its number is another's by now."""
    if noted.boot != boot_id():
        return None
    try:
        handle = os.pidfd_open(noted.pid)
    except OSError:
        return None
    if process_start(noted.pid) == noted.started:  # asked after it was opened: the handle stays that process
        return handle
    os.close(handle)
    return None
