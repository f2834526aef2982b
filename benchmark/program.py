"""The program as users start it, watched from outside: frames out, CPU time of each stage, memory."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil
from msgspec import Struct

from benchmark.score import SaidFrame, read_lines
from benchmark.shown import ShownFrames
from configs.errors import Failure
from transport.stage import row_of

ROOT = Path(__file__).resolve().parents[1]
START_TIMEOUT_S = 120.0
POLL_S = 0.1
SUPERVISOR = "supervisor"


class Sample(Struct, frozen=True):
    """The program at one moment: CPU seconds that each stage has used (all its processes), bytes written so far."""

    at_s: float
    cpu_s: dict[str, float]
    written: int


class Program:
    """One run of the pipeline, its frames as JSON lines in a file. Use it in a `with` block: it ends with that.

    In a process group of its own (`own_group`) it does not hear Ctrl-C: whoever uses it does, and ends it.
    """

    def __init__(
        self,
        folder: Path,
        arguments: Sequence[str],
        environment: Mapping[str, str] | None = None,
        own_group: bool = False,
    ) -> None:
        self._lines = folder / "frames.jsonl"
        self._lines.unlink(missing_ok=True)
        self._err = folder / "stderr.txt"
        command = [
            sys.executable,
            str(ROOT / "run_pipeline.py"),
            *arguments,
            "--sink",
            f"jsonl:{self._lines}",
            "--json",
        ]
        with self._err.open("w") as err:
            self._process = subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=err,
                cwd=folder,
                env=environment,
                process_group=0 if own_group else None,
            )
        self._shown = ShownFrames(self._lines)
        self._stages: dict[int, tuple[str, psutil.Process]] = {}

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()  # its workers die with it
            self._process.wait()

    @property
    def pid(self) -> int:
        """The supervisor's process id."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    @property
    def log(self) -> str:
        """What it has said on standard error."""
        return self._err.read_text(errors="replace")

    def until_first_frames(self, count: int, streams: int = 1) -> None:
        """Wait until each of the streams has shown that many frames: of 64 the last one comes seconds after the first.

        Raises Failure with the program's own words if it ends before.
        """
        deadline = time.monotonic() + START_TIMEOUT_S
        while self._shown.of_each(streams) < count:
            self.check_alive()
            if time.monotonic() > deadline:
                of_each = f"{count} frames" if streams == 1 else f"{count} frames of each of {streams} streams"
                raise Failure(f"the pipeline showed no {of_each} within {START_TIMEOUT_S:g} s: {self._last_words()}")
            time.sleep(POLL_S)

    def wait(self, seconds: float) -> None:
        """Let it run on for so long."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self.check_alive()
            time.sleep(min(POLL_S, max(0.0, deadline - time.monotonic())))

    def frames_shown(self) -> int:
        """How many lines it has written."""
        return self._shown.count()

    def sample(self) -> Sample:
        """Where it stands now."""
        cpu_s: dict[str, float] = {}
        for name, process in self._processes():
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
                cpu_s[name] = cpu_s.get(name, 0.0) + times.user + times.system
        return Sample(time.monotonic(), cpu_s, self._lines.stat().st_size if self._lines.exists() else 0)

    def memory_mb(self) -> float:
        """Memory of all its processes, with what they share counted once (PSS), in MB of 10^6 bytes."""
        total = 0
        for _, process in self._processes():
            with contextlib.suppress(psutil.Error):
                total += process.memory_full_info().pss
        return total / 1e6

    def frames_between(self, first: Sample, last: Sample) -> list[SaidFrame]:
        """The frames shown between two moments."""
        content = self._lines.read_bytes()
        start = content.rfind(b"\n", 0, first.written) + 1
        end = content.rfind(b"\n", 0, last.written) + 1
        return read_lines(content[start:end])

    def end(self) -> dict[str, Any]:
        """End it as Ctrl-C does; the run's JSON."""
        self.check_alive()
        self._process.send_signal(signal.SIGINT)
        out, _ = self._process.communicate(timeout=30)
        if not out:
            raise Failure(f"the pipeline ended without an account: {self._last_words()}")
        report: dict[str, Any] = json.loads(out.splitlines()[-1])
        return report

    def _processes(self) -> Iterator[tuple[str, psutil.Process]]:
        """The supervisor with its fork server, and the workers; those of one row of the table are one."""
        parent = psutil.Process(self._process.pid)
        yield SUPERVISOR, parent
        for child in parent.children():
            if child.pid not in self._stages:
                with contextlib.suppress(psutil.Error):
                    words = child.cmdline()
                    name = row_of(words[-1].partition("-")[0]) if "transport.worker" in words else SUPERVISOR
                    self._stages[child.pid] = name, child
            if child.pid in self._stages:
                yield self._stages[child.pid]

    def check_alive(self) -> None:
        """Raises Failure with its own words if it has ended."""
        if self._process.poll() is not None:
            raise Failure(f"the pipeline ended by itself: {self._last_words()}")

    def _last_words(self) -> str:
        lines = self._err.read_text().strip().splitlines()
        return lines[-1] if lines else "it said nothing"
