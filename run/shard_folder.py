"""Where a shard's things are: one folder that outlives its lives, so that a later one finds what one before left."""

from __future__ import annotations

import os
from pathlib import Path

from msgspec.structs import replace

from configs.errors import InputError
from configs.labels import check_name
from configs.schema import PipelineConfig, RunConfig
from run.lease import EPOCH, SPOOL

_FILES = ("file", "record", "clips", "images", "jsonl", "contact", "events", "sqlite")  # sinks that write a path


def shard_folder(run: RunConfig) -> Path:
    """The folder, as an absolute path; raises InputError where none is named and the user has no home."""
    check_name("run.shard", run.shard)
    if run.folder:
        return Path(run.folder).absolute()
    state = Path(os.environ.get("XDG_STATE_HOME", ""))
    if not state.is_absolute():
        try:
            state = Path.home() / ".local" / "state"
        except RuntimeError:
            raise InputError(f"shard {run.shard}: no home folder here: name a folder with run.folder") from None
    return state / "maskstream" / "shards" / run.shard


def made(folder: Path) -> Path:
    """The folder, made for this user only if it is not there; raises InputError where it cannot be used."""
    try:
        if not folder.is_dir():
            folder.parent.mkdir(parents=True, exist_ok=True)
            folder.mkdir(mode=0o700, exist_ok=True)
        if not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            raise PermissionError(13, "not writable")
    except OSError as error:
        raise InputError(f"the shard's folder {folder} cannot be used ({error.strerror}): set run.folder") from None
    return folder


def epoch_file(run: RunConfig) -> Path:
    """Where the owner writes the newest epoch."""
    return Path(run.epoch_file).absolute() if run.epoch_file else shard_folder(run) / EPOCH


def in_shard(options: PipelineConfig) -> PipelineConfig:
    """The options with sinks of relative paths in the shard's folder, and a history in which its events wait there."""
    folder = shard_folder(options.run)
    sinks = tuple(_placed(sink, folder) for sink in options.overlay.sinks)
    if not any(sink.startswith("sqlite:") for sink in sinks):
        sinks += (f"sqlite:{folder / SPOOL}",)
    run = replace(options.run, folder=str(folder))
    return replace(options, run=run, overlay=replace(options.overlay, sinks=sinks))


def _placed(sink: str, folder: Path) -> str:
    kind, colon, path = sink.partition(":")
    if kind not in _FILES or not path or os.path.isabs(path):
        return sink
    return f"{kind}{colon}{folder / path}{'/' if path.endswith('/') else ''}"
