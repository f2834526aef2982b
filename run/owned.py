"""A run that is a shard, as its owner meets it: it begins, is refused, or says who runs already and waits for it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from hashlib import blake2b

import msgspec
import typer
from msgspec.structs import replace

from configs.errors import Failure, InputError
from configs.labels import Labels
from configs.schema import PipelineConfig, RunConfig
from run.adopt import grant, stand_in, wait_for_end, wait_for_lease
from run.launcher import prepared
from run.lease import ALREADY_RUNS, FENCED, OTHER_CONFIG, read_grant
from run.shard import Shard
from run.shard_folder import epoch_file, in_shard, shard_folder
from run.take import Fenced, Held, hold, wanted_epoch

Show = Callable[[str], None]


def fingerprint(options: PipelineConfig) -> str:
    """What is the same for two runs of a shard that do the same: of all its options but the epoch."""
    same = replace(options, run=replace(options.run, epoch=0, grant=""))
    return blake2b(msgspec.json.encode(same), digest_size=16).hexdigest()


@contextlib.contextmanager
def owned(options: PipelineConfig, labels: Labels, adopt: bool, show: Show) -> Iterator[tuple[PipelineConfig, Shard]]:
    """The options of a shard's run, and the shard while the run goes on.

    Raises typer.Exit with the code that docs/shards.md names, where the shard runs already or has a newer epoch. To
    `adopt` is to wait for the end of the one that runs, and to end as it did. Raises InputError if it is no shard.
    """
    run = options.run
    if not run.shard:
        raise InputError(
            "--adopt, --epoch, --grant, run.epoch_file and run.folder are for shards: name one with --shard"
        )
    if run.epoch and run.grant:
        raise InputError("run.epoch and run.grant: give one of them")
    config, options = fingerprint(options), in_shard(options)
    port = options.web.port if "web" in options.overlay.sinks else 0
    while True:
        with contextlib.ExitStack() as stack:
            try:
                shard = stack.enter_context(hold(run, labels, config, port))
            except Fenced as error:
                show(str(error))
                raise typer.Exit(FENCED) from None
            except Held:
                pass
            else:
                with _noting_code(shard):
                    yield options, shard
                if shard.is_fenced:
                    raise typer.Exit(FENCED)
                return
        _meet(run, config, adopt, show)


@contextlib.contextmanager
def _noting_code(shard: Shard) -> Iterator[None]:
    """Note down with which code the run ends."""
    try:
        yield
    except typer.Exit as error:
        shard.code = error.exit_code
        raise
    except (InputError, Failure):
        raise  # 1, as it is without a word
    else:
        shard.code = FENCED if shard.is_fenced else 0


def _meet(run: RunConfig, config: str, adopt: bool, show: Show) -> None:
    """The shard is held. Returns if it is free by now; else raises typer.Exit with the code to end with."""
    folder = shard_folder(run)
    lease = wait_for_lease(folder)
    if lease is None:
        return
    where = f"pid {lease.pid}, port {lease.port}, epoch {lease.epoch}, life {lease.life}"
    if lease.state == "running" and lease.config != config:
        show(f"shard {run.shard} runs with other options ({where}): drain it first, as: maskstream shard drain")
        raise typer.Exit(OTHER_CONFIG)
    if not adopt:
        ends = "" if lease.state == "running" else f", and ends: it is {lease.state}"
        show(f"shard {run.shard} already runs ({where}){ends}")
        raise typer.Exit(ALREADY_RUNS)
    if (launcher := prepared()) is not None:
        launcher.close()  # nothing is started here
    if lease.state != "running":
        show(f"shard {run.shard}: the run before is {lease.state} ({where}); this one begins when it has ended")
        with contextlib.suppress(Failure):
            wait_for_end(folder, lease)  # signals end this process, as it has begun nothing yet
        return
    granted = read_grant(epoch_file(run))
    newest = max(lease.epoch, granted.epoch if granted else 0)
    if epoch := wanted_epoch(run, lease, newest):
        if epoch < newest:
            show(f"shard {run.shard}: epoch {epoch} is over, its owner has given out {newest} ({where})")
            raise typer.Exit(FENCED)
        grant(folder, epoch_file(run), lease, epoch)
    raise typer.Exit(stand_in(folder, lease, show, f"shard {run.shard} already runs ({where}): waiting for its end"))
