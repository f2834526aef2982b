"""The real program as a process, and what its processes and outputs are."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).resolve().parents[1]


class Run:
    """`python run_pipeline.py ...` in a folder of its own."""

    def __init__(self, folder: Path, arguments: list[str]) -> None:
        self.folder = folder
        self._out, self._err = folder / "stdout.txt", folder / "stderr.txt"
        with self._out.open("w") as out, self._err.open("w") as err:
            self._process = subprocess.Popen(
                [sys.executable, str(ROOT / "run_pipeline.py"), *map(str, arguments)],
                cwd=folder,
                stdout=out,
                stderr=err,
            )
        self.seen: set[int] = set()

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        return self._process.pid

    @property
    def stdout(self) -> str:
        return self._out.read_text()

    @property
    def stderr(self) -> str:
        return self._err.read_text()

    @property
    def report(self) -> dict:
        """The JSON object that ends a run with --json."""
        return json.loads(self.stdout.splitlines()[-1])

    def lines(self, name: str = "o.jsonl") -> list[dict]:
        """The frames that a jsonl sink wrote so far; a line being written is left out."""
        path = self.folder / name
        return [json.loads(line) for line in path.read_text().split("\n")[:-1]] if path.exists() else []

    def signal(self, number: int) -> None:
        self._process.send_signal(number)

    def stage(self, name: str) -> int:
        """The process id of a stage, of its next life if it has just died; a capture is `capture-STREAM`."""
        pids: list[int] = []
        self.until(lambda: pids.extend(self._of_stage(name)) or bool(pids))
        return pids[0]

    def _of_stage(self, name: str) -> Iterator[int]:
        for child in psutil.Process(self._process.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):  # of which a zombie is one
                if child.cmdline()[-1:] == [name]:
                    yield child.pid

    def processes(self) -> set[int]:
        """All process ids of the run, so far as it runs."""
        found = {child.pid for child in psutil.Process(self._process.pid).children(recursive=True)}
        return found | {self._process.pid}

    def until(self, holds: Callable[[], bool], patience_s: float = 60.0) -> None:
        """Wait until something holds while the run goes on."""
        deadline = time.monotonic() + patience_s
        while not holds():
            assert self._process.poll() is None, f"the run ended early:\n{self.stderr}"
            assert time.monotonic() < deadline, f"not within {patience_s} s:\n{self.stderr}"
            time.sleep(0.02)

    def wait(self, timeout_s: float = 120.0) -> int:
        """The exit code."""
        try:
            return self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the run did not end:\n{self.stderr}") from None

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait()


@pytest.fixture
def maskstream(tmp_path: Path) -> Iterator[Callable[..., Run]]:
    """`maskstream("--source", path, ...)` starts the real program. Afterwards nothing of it may run on."""
    runs: list[Run] = []

    def start(*arguments: object) -> Run:
        folder = tmp_path / f"run{len(runs)}"
        folder.mkdir()
        runs.append(Run(folder, [str(argument) for argument in arguments]))
        return runs[-1]

    shared_before = shared()
    yield start
    for run in runs:
        run.kill()
    assert gone(lambda: workers_below(tmp_path)), f"still running: {workers_below(tmp_path)}"
    assert shared() <= shared_before


def shared() -> set[str]:
    """What lies in shared memory, but for what others name there who run beside: PostgreSQL, PyTorch, Chromium."""
    return {name for name in os.listdir("/dev/shm") if not name.startswith(_OF_OTHERS)}


_OF_OTHERS = ("PostgreSQL.", "torch_", "sem.", ".org.chromium")


def workers_below(folder: Path) -> list[psutil.Process]:
    """Processes that work in a folder: those of the runs that were started there."""
    found = []
    for process in psutil.process_iter():
        try:
            if Path(process.cwd()).is_relative_to(folder) and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


def gone(running: Callable[[], list], within_s: float = 3.0) -> bool:
    """Whether nothing runs any more within the time."""
    deadline = time.monotonic() + within_s
    while running():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
