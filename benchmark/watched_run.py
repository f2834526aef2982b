"""A run of the program while faults are done to it: its processes, its accounts, and when all flows again."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
from msgspec import Struct

from benchmark.accounts import SAMPLE_S, USUAL_OVER_S, Accounts
from benchmark.program import ROOT, Program
from configs.errors import Failure, InputError
from overlay.target import target
from transport.pool import Pool, SegmentGone

RECOVERY_S = 30.0  # what takes longer counts as never
STEADY_S = 60.0  # for all streams to flow after the start
_SEGMENT = "/memfd:maskstream-"
_EXCUSED = re.compile(r"is lost: (?!1 )\d+ lives died with it")
_NO_PROXY = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class LeftOver(Struct, frozen=True):
    """What there is more of than a run needs: processes, segments of shared memory, run folders, and frames that stay
    under way while others flow.
    """

    processes: int = 0
    segments: int = 0
    folders: int = 0
    frames: int = 0

    def since(self, before: LeftOver) -> LeftOver:
        """How much more it is than before; what went away is none."""
        return LeftOver(*(max(0, getattr(self, name) - getattr(before, name)) for name in self.__struct_fields__))


class WatchedRun:
    """A run with a page, video and JSON lines in `folder`, its run folder in `sockets`. Use it in a `with` block.

    `sources` have options as in a YAML file, `options` are further words of the command line. `accounts` are those of
    its streams, and what is wrong with the run.
    """

    def __init__(
        self, folder: Path, sockets: Path, sources: Sequence[dict[str, object]], options: Sequence[str]
    ) -> None:
        self.folder, self.sockets = folder, sockets
        self.port = _free_port()
        page = ["--sink", "web", "--port", str(self.port), "--token", secrets.token_urlsafe(12)]
        video = ["--sink", f"file:{folder}/{{stream}}.mp4"]
        config = folder / "sources.yaml"
        config.write_text(json.dumps({"sources": list(sources)}))  # JSON is YAML
        restarts = ["--set", "run.max_restarts=100000"]  # each death is wanted
        arguments = ["--config", str(config), *page, *video, *restarts, *options]
        places = {"XDG_RUNTIME_DIR": str(self.sockets), "TMPDIR": str(self.sockets)}
        self.program = Program(folder, arguments, os.environ | places, own_group=True)
        self.accounts = Accounts({})
        self.usual: dict[str, float] = {}  # frames shown per second of each stream, before all faults
        self._names: set[str] = set()  # of the processes that there are when all is well

    def __enter__(self) -> WatchedRun:
        return self

    def __exit__(self, *_: object) -> None:
        self.program.__exit__()

    def until_steady(self) -> None:
        """Wait until all streams flow and the page answers. Raises Failure if that is not so in time."""
        self.program.until_first_frames(1)
        self.accounts = Accounts(_pools_of(self.program.pid))
        if len(self.run_folders()) != 1:
            raise InputError(f"{self.sockets} is too long a path for sockets: set TMPDIR to a shorter one")
        deadline = time.monotonic() + STEADY_S
        while not (all(rate > 0 for rate in self.accounts.rates().values()) and self._page_answers()):
            self.program.check_alive()
            if time.monotonic() > deadline:
                slow = [stream for stream, rate in self.accounts.rates().items() if not rate]
                raise Failure(f"not all flows after {STEADY_S:g} s: {', '.join(slow) or 'the page does not answer'}")
            self.watch(0.5)
        self.watch(USUAL_OVER_S)
        self.usual, self._names = self.accounts.rates(), set(self.processes())

    def watch(self, seconds: float) -> None:
        """Let it go on for so long, and look at its accounts meanwhile."""
        until_s = time.monotonic() + seconds
        while (left_s := until_s - time.monotonic()) > 0:
            time.sleep(min(SAMPLE_S, left_s))
            self.accounts.look()

    def lost(self) -> tuple[int, int]:
        """Frames that are booked as lost, and how many of them the program says two lives died with."""
        return self.accounts.lost(), len(_EXCUSED.findall(self.program.log))

    def recovered_after(self, fault_s: float) -> float | None:
        """Seconds from a moment (time.monotonic) until all is as usual: every stream is shown at 0.7 of its usual
        rate or more for a second (counted to where that second began), what is shown is recorded, the page answers,
        and all processes are there. None: not within half a minute. Raises Failure if the run has ended.
        """
        sizes = self._recorded()
        page_s = files_s = flow_s = None
        while time.monotonic() - fault_s < RECOVERY_S:
            self.program.check_alive()
            self.watch(SAMPLE_S)
            now_s = time.monotonic()
            if page_s is None and self._page_answers():
                page_s = now_s
            if files_s is None and all(size > sizes[stream] for stream, size in self._recorded().items()):
                files_s = now_s
            if flow_s is None:
                flow_s = self.accounts.flow_since(fault_s, self.usual)
            if page_s and files_s and flow_s and set(self.processes()) == self._names:
                return max(page_s, files_s, flow_s) - fault_s
        return None

    def _recorded(self) -> dict[str, int]:
        """Bytes of all videos of each stream, and of the lines."""
        sizes = {"lines": (self.folder / "frames.jsonl").stat().st_size}
        for stream in self.accounts.streams:
            name = target("{stream}", stream)
            parts = [*self.folder.glob(f"{name}.mp4"), *self.folder.glob(f"{name}.*.mp4")]
            sizes[stream] = sum(path.stat().st_size for path in parts)
        return sizes

    def _page_answers(self) -> bool:
        try:
            with _NO_PROXY.open(f"http://127.0.0.1:{self.port}/livez", timeout=1.0) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False

    def processes(self) -> dict[str, psutil.Process]:
        """The workers by name: stages, a capture for each stream (capture-STREAM), and the page."""
        return {name: process for process in self._children() if (name := _worker(process))}

    def _children(self) -> list[psutil.Process]:
        with contextlib.suppress(psutil.Error):
            return psutil.Process(self.program.pid).children(recursive=True)
        return []

    def run_folders(self) -> list[Path]:
        """Those of this run, hidden ones too."""
        return [path for path in self.sockets.iterdir() if path.is_dir()]

    def left_over(self) -> LeftOver:
        """What there is more of than the run needs; call it when all flows."""
        running = [process for process in working_in(self.folder) if not _is_supervisor(process)]
        segments = set().union(*(_segments(pid) for pid in [self.program.pid, *(one.pid for one in running)]))
        return LeftOver(
            max(0, len(running) - len(self._names)),
            max(0, len(segments) - len(self.accounts.streams)),
            len(self.run_folders()) - 1,
            self.accounts.stuck(),
        )

    def end(self) -> dict[str, Any] | None:
        """End it as Ctrl-C does; its own account, None if it gives none. What is wrong with that is a problem."""
        try:
            report = self.program.end()
        except (Failure, subprocess.TimeoutExpired, ValueError) as error:
            self.accounts.problem(f"the run did not end in order: {error}")
            return None
        if self.program.exit_code:
            self.accounts.problem(f"the run ended with exit code {self.program.exit_code}")
        for stream, account in report["streams"].items():
            rest = account["captured"] - account["shown"] - sum(account["dropped"].values())
            if rest:
                self.accounts.problem(f"{stream}: {rest} frames are in no account at the end: {account}")
        return report


def working_in(folder: Path) -> Iterator[psutil.Process]:
    """Processes of the run that was started in a folder; a user's shell may stand there, too."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if Path(process.cwd()).is_relative_to(folder) and (_worker(process) or _is_supervisor(process)):
                yield process


def _is_supervisor(process: psutil.Process) -> bool:
    return str(ROOT / "run_pipeline.py") in process.cmdline() and process.status() != psutil.STATUS_ZOMBIE


def _worker(process: psutil.Process) -> str:
    """Its name in the run; empty for another process."""
    with contextlib.suppress(psutil.Error):
        words = process.cmdline()
        if "transport.worker" in words and process.status() != psutil.STATUS_ZOMBIE:
            return words[-1]
    return ""


def _segments(pid: int) -> dict[int, str]:
    """The memory of streams that a process has open: inode -> a path that opens it."""
    found = {}
    with contextlib.suppress(OSError):
        for entry in os.scandir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                if os.readlink(entry.path).startswith(_SEGMENT):
                    found[os.stat(entry.path).st_ino] = entry.path
    return found


def _pools_of(supervisor: int) -> dict[str, Pool]:
    """Each stream's memory, by the stream's name."""
    pools = {}
    for path in _segments(supervisor).values():
        name = os.readlink(path).removeprefix(_SEGMENT).removesuffix(" (deleted)")
        with contextlib.suppress(SegmentGone):
            pools[name] = Pool(path)
            pools[name].close()  # only its counters are read here, and they stay mapped
    return pools


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
