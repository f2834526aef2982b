"""What a shard left on this host is given away without a run: events that wait, and recordings.

It is for a host that came back when its shard was elsewhere already.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from msgspec.structs import replace

from configs.address import written
from configs.errors import Failure, InputError
from configs.file_lock import FileLock
from configs.imported import imported
from configs.load import load_config
from configs.plural import counted
from configs.schema import PipelineConfig
from run.lease import FILE
from run.shard_folder import in_shard
from transport.stage import Aside, StageContext

_LEFT = {"upload": "recording", "deliver": "event"}


def deliver(name: str, folder: Path, config: Path | None, within_s: float) -> None:
    """Give away what waits in the folder of shard `name`, by the options of its run; no source is opened.

    Raises InputError for options that name nobody to give it to, or while the shard runs here; Failure if not all was
    taken within the time.
    """
    from overlay.asides import delivering  # here: it brings OpenCV
    from overlay.check_options import check_overlay

    if config is None:
        raise InputError("deliver needs the shard's options: maskstream shard NAME deliver --config shard.yaml")
    options = load_config(config)
    options = _as_run(replace(options, run=replace(options.run, shard=name, folder=str(folder))))
    check_overlay(options.overlay, options.overlay.sinks, options.run.site)
    rows = delivering(options, of_files=False)
    if not rows:
        reason = "names no receiver of events (overlay.sinks: webhook:, mqtt: and so on), and no overlay.upload"
        raise InputError(f"{config}: {reason}")
    try:
        lock = FileLock(folder / FILE)
    except BlockingIOError:
        raise InputError(f"shard {name} runs, and delivers itself: to end it, drain it") from None
    logging.basicConfig(format="%(name)s: %(message)s", level=logging.INFO)
    with contextlib.ExitStack() as stack:
        stack.callback(lock.release)
        threads = stack.enter_context(ThreadPoolExecutor(len(rows)))
        broken_off = threading.Event()
        stack.callback(broken_off.set)  # at Ctrl-C the threads end, too
        deadline_s = time.monotonic() + within_s
        first = options.sources[0].name if options.sources else ""
        working = [threads.submit(_work_off, row, first, deadline_s, broken_off) for row in rows]
        left = list(filter(None, [worked.result() for worked in working]))
    if left:
        raise Failure(f"shard {name}: not all was taken within {within_s:g} s: {' and '.join(left)} left here")


def _as_run(options: PipelineConfig) -> PipelineConfig:
    """The options with the names of streams and files that a run by them uses."""
    from capture.sources import free_name, stream_name  # here: they bring OpenCV
    from overlay.sinks import per_stream

    names: list[str] = []
    for source in options.sources:
        names.append(free_name(stream_name(replace(source, source=written(source.source))), names))
    sources = [replace(source, name=name) for source, name in zip(options.sources, names, strict=True)]
    sinks = [written(sink) for sink in options.overlay.sinks]
    sinks = [per_stream(sink) if len(sources) > 1 else sink for sink in sinks]
    overlay = replace(options.overlay, sinks=tuple(sinks))
    return in_shard(replace(options, sources=tuple(sources), overlay=overlay))


def _work_off(row: Aside, first: str, deadline_s: float, broken_off: threading.Event) -> str:
    """Run what gives away until nothing waits, or the time is over; what is left, empty: nothing."""
    context = StageContext(
        first=first,
        stopping=lambda: context.says.get("waiting") == "0" or time.monotonic() > deadline_s or broken_off.is_set(),
    )
    imported(str(row.function))(row.config, context)
    waiting = context.says.get("waiting", "")
    if waiting == "0":
        return ""
    return f"{counted(int(waiting), _LEFT[row.name])} at least" if waiting else f"{_LEFT[row.name]}s"
