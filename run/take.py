"""Takes a shard's lease for a run that begins now, or says who has it."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib.metadata import version
from os import getpid
from pathlib import Path

from configs.file_lock import FileLock
from configs.labels import Labels
from configs.schema import RunConfig
from run.lease import FILE, Lease, boot_id, process_start, read_grant, read_lease
from run.shard import Shard
from run.shard_folder import epoch_file, made, shard_folder

_TAKE_S = 1.0  # a life that ends just now lets go within it; so does `maskstream shard`, which looks for a moment


class Held(Exception):
    """A living run has the shard."""


class Fenced(Exception):
    """The shard has a newer epoch than this run; the text says which."""


@contextlib.contextmanager
def hold(run: RunConfig, labels: Labels, config: str, port: int) -> Iterator[Shard]:
    """The shard, held by this process while this goes on. The caller sets its `code` before it ends.

    Raises Held where another run has it, Fenced where its owner has given out a newer epoch, InputError where its
    folder cannot be used.
    """
    folder = made(shard_folder(run))
    lock = _locked(folder)
    if lock is None:
        raise Held
    try:
        last = read_lease(folder)
        lease = Lease(
            shard=run.shard,
            site=labels.site,
            host=labels.host,
            epoch=_epoch(run, last),
            life=labels.run,
            pid=getpid(),
            started=process_start(getpid()),
            boot=boot_id(),
            port=port,
            config=config,
            version=version("maskstream"),
            grant=run.grant,
            began=datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        )
        with contextlib.closing(Shard(folder, epoch_file(run), labels, lease)) as shard:
            yield shard
    finally:
        lock.release()


def wanted_epoch(run: RunConfig, last: Lease | None, newest: int) -> int:
    """The epoch by which a run is to go on, 0: its owner does not say; `newest` is what is known of others.

    A grant that is named has one epoch in all its lives: a fenced run that is started again by the same grant stays
    fenced. A name that is new here is newer than all that is known.
    """
    if not run.grant:
        return run.epoch
    if last is not None and last.grant == run.grant:
        return last.epoch
    return max(time.time_ns() // 1_000_000, newest + 1, last.epoch + 1 if last else 0)


def _locked(folder: Path) -> FileLock | None:
    """The lock of the lease; None: another process has it."""
    deadline_s = time.monotonic() + _TAKE_S
    while True:
        try:
            return FileLock(folder / FILE)
        except BlockingIOError:
            if time.monotonic() > deadline_s:
                return None
            time.sleep(0.05)


def _epoch(run: RunConfig, last: Lease | None) -> int:
    """The epoch to run by; raises Fenced where there is a newer one."""
    granted = read_grant(epoch_file(run))
    newest = max(last.fenced_by if last else 0, granted.epoch if granted else 0)
    own = last.epoch if last else 0
    if epoch := wanted_epoch(run, last, newest):
        if epoch < max(newest, own):
            raise Fenced(f"shard {run.shard}: epoch {epoch} is over, its owner has given out {max(newest, own)}")
        return epoch
    if newest > own:  # another host may have it: who restarts a fenced run without knowing must not make a second one
        raise Fenced(f"shard {run.shard}: its owner has given out epoch {newest}: start it with --epoch {newest}")
    return own + 1
