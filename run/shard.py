"""One life of a shard: keeps its lease, heeds what its owner says, and notes down how it stands for the next life."""

from __future__ import annotations

import contextlib
import logging
import queue
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from configs.errors import InputError
from configs.labels import Labels
from configs.plural import counted
from run.lease import DRAIN, FILE, NOTE, Grant, Lease, read_lease, read_small, write_private
from tell.account import Account, Note, account_of, total
from transport.ledger import Ledger

log = logging.getLogger("shard")

LOOK_S = 0.5  # how often it is looked for what the owner says: a fenced copy ends within 5 s of a newer epoch
NOTE_S = 1.0  # and how often it is noted how the run stands: what a killed one did after that is not known
_END_S = 2.0  # for a write that hangs at the end

Says = Mapping[str, Mapping[str, str]]
"""What processes beside the frames say: `grant` (as an owner writes it) and `drain` (a life) are for the shard."""


def read_note(folder: Path) -> Note | None:
    """How the last life, or that of now, stood when it last noted it; None: it is not known."""
    with contextlib.suppress(OSError, msgspec.DecodeError):
        return msgspec.json.decode(read_small(folder / NOTE), type=Note)
    return None


class Shard:
    """What the supervisor of a shard's run tells it and asks it. `ends` says why the run is to end; empty: it goes on.

    `grants` is the file in which its owner writes the newest epoch. `code` is the run's exit code, to be set before
    `close`. Files are read and written by a thread: a disk that hangs holds up the lease, and not the run.
    Raises InputError if the folder cannot be written.
    """

    def __init__(self, folder: Path, grants: Path, labels: Labels, lease: Lease) -> None:
        self._folder, self._grants, self._labels = folder, grants, labels
        self.lease, self.ends, self.code = lease, "", 1
        before = self._before = read_note(folder)
        self._lives, self._total = (before.lives + 1, before.with_earlier) if before else (0, Account())
        self._lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        if before is not None and not before.ended:
            gone = total(before.final.values())
            open_ended = f"{counted(gone.captured, 'frame')} captured, {gone.unaccounted} unaccounted for"
            self._lines.put(f"the life before ({before.run}) was killed: {open_ended}")
        self._says: Says = {}
        self._streams: dict[str, Account] = {}
        self._noted_s, self._trouble, self._ignored = 0.0, "", ""
        self._lost = False  # the lease is another life's: possible where the file system has no locks
        try:
            self._write_lease()
        except OSError as error:
            raise InputError(f"the shard's folder {folder} cannot be written ({error.strerror})") from None
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="shard", daemon=True)
        self._thread.start()

    @property
    def is_fenced(self) -> bool:
        """Whether a newer epoch was seen."""
        return bool(self.lease.fenced_by)

    @property
    def about(self) -> dict[str, Any]:
        """What is told of it: its labels, its epoch, what the life before had, and all lives before this together.

        `port` is that of its page, where it has one.
        """
        about: dict[str, Any] = {**self._labels.given, "epoch": self.lease.epoch}
        if self.lease.port:
            about["port"] = self.lease.port
        if self.is_fenced:
            about["fenced_by"] = self.lease.fenced_by
        if self._before is not None:
            about["before"] = self._before.told
        return about | {"lives_before": {"lives": self._lives, **msgspec.to_builtins(self._total)}}

    def hear(self, says: Says, ledgers: Mapping[str, Ledger]) -> list[str]:
        """Take in what owners told the processes beside the frames, and how the run stands; gives lines to say."""
        self._says = says
        self._streams = {name: account_of(ledger) for name, ledger in ledgers.items()}
        return [self._lines.get() for _ in range(self._lines.qsize())]

    def close(self) -> None:
        """The last note, and how it ended."""
        self._ended.set()
        self._thread.join(_END_S)
        try:
            self._look_at_lease()
            self._write_note(ended=True)
            self._change(state="ended", code=self.code)
        except (OSError, InputError) as error:
            log.warning("the shard's folder %s: the end could not be noted (%s)", self._folder, _reason(error))

    def _keep(self) -> None:
        """The thread."""
        while not self._ended.wait(LOOK_S):
            self._attempt(self._look)
            if time.monotonic() - self._noted_s >= NOTE_S and self._streams:
                self._noted_s = time.monotonic()
                self._attempt(self._write_note)

    def _attempt(self, do: Callable[[], None]) -> None:
        """What cannot be read or written is said once, and tried again."""
        try:
            do()
        except (OSError, InputError) as error:
            why = _reason(error)
            if why != self._trouble:
                self._lines.put(f"{self._folder}: {why}; it is tried again")
            self._trouble = why

    def _look(self) -> None:
        """What the owner has written or told, and whether the lease is still ours."""
        grants, drains = [_text(self._grants)], [_text(self._folder / DRAIN)]
        if grants[0] and grants[0] != self._ignored and Grant.read(grants[0]) is None:
            self._ignored = grants[0]
            self._lines.put(f"{self._grants}: is no epoch: write a number, or a number and a life; it is ignored")
        for told in self._says.values():
            grants.append(told.get("grant", ""))
            drains.append(told.get("drain", ""))
        for grant in filter(None, map(Grant.read, grants)):
            self._granted(grant)
        if self.lease.life in drains and not self.ends:
            self._change(state="draining")
            self.ends = "is drained: it reads no more, and delivers what waits"
        self._look_at_lease()

    def _look_at_lease(self) -> None:
        other = read_lease(self._folder)
        if other is not None and other.life != self.lease.life:
            self._lost = True
            self._fence(max(other.epoch, self.lease.epoch + 1))

    def _granted(self, grant: Grant) -> None:
        if grant.epoch <= self.lease.epoch:
            return
        if grant.life != self.lease.life:
            self._fence(grant.epoch)
        elif not self.is_fenced:
            self._lines.put(f"goes on by epoch {grant.epoch}, of {self.lease.epoch} before")
            self._change(epoch=grant.epoch)

    def _fence(self, epoch: int) -> None:
        if epoch <= self.lease.fenced_by:
            return
        # before the lease says so: it ends, also where the disk is full
        self.ends = f"epoch {epoch} was given out, this run has {self.lease.epoch}: it reads no more, delivers and ends"
        self._change(state="fenced", fenced_by=epoch)

    def _change(self, **fields: Any) -> None:
        self.lease = replace(self.lease, **fields)
        self._write_lease()

    def _write_lease(self) -> None:
        if not self._lost:
            write_private(self._folder / FILE, msgspec.json.format(msgspec.json.encode(self.lease)) + b"\n")

    def _write_note(self, ended: bool = False) -> None:
        note = Note(
            run=self.lease.life,
            epoch=self.lease.epoch,
            host=self.lease.host,
            noted=time.time(),
            streams=self._streams,
            ended=ended,
            lives=self._lives,
            total=self._total,
        )
        if not self._lost:
            write_private(self._folder / NOTE, msgspec.json.encode(note) + b"\n", sync=False)


def _text(path: Path) -> str:
    """What a file holds; empty if it is not there."""
    try:
        return read_small(path).decode(errors="replace").strip()
    except FileNotFoundError:
        return ""


def _reason(error: Exception) -> str:
    return (isinstance(error, OSError) and error.strerror) or str(error)
