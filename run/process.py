"""One worker process as its supervisor sees it: start, heart, last words, end."""

from __future__ import annotations

import contextlib
import itertools
import os
import subprocess
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field

import msgspec

from configs.schema import RunConfig
from run.child import Child, how_it_ended
from transport.codec import Beat
from transport.spec import Spec

_BACK_OFF_S = (0.05, 2.0)
_WINDOW_S = 60.0  # of work
_SIGNS_S = 1.0  # between two signs of life; what is longer was no work: the machine or the process was suspended
_LIVES = itertools.count(1)  # each life of each process has its own number: slots of shared memory name it
_MAX_UNREADY_DEATHS = 3  # a stage that cannot even start will not learn to

Say = Callable[[str, str], None]
"""(process, line): show a line that a worker wrote."""
Launch = Callable[[str, bool, tuple[str, ...]], Child]
"""(name, whether it is a capture, modules): a worker that waits for its Spec (run/launcher.py)."""


@dataclass(frozen=True, slots=True)
class Work:
    """What a worker has done: frames in batches, in so much time at work and on the CPU; and its stage's own counts."""

    frames: int = 0
    batches: int = 0
    busy_ns: int = 0
    cpu_ns: int = 0
    counts: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: Work) -> Work:
        return Work(
            self.frames + other.frames,
            self.batches + other.batches,
            self.busy_ns + other.busy_ns,
            self.cpu_ns + other.cpu_ns,
            Counter({name: self.counts[name] + other.counts[name] for name in (*self.counts, *other.counts)}),
        )


class Process:
    """A worker, over all its lives. Counts are added up over the lives."""

    def __init__(self, spec: Spec, say: Say, launch: Launch) -> None:
        self.spec, self._say, self._launch = spec, say, launch
        self.name = spec.process
        self.restarts = 0
        self.ready = self.done = False
        self.refusal = ""
        self.facts: dict[str, str] = {}
        self.worked_s = 0.0  # in all lives, since each was ready
        self.deaths: deque[float] = deque()  # after how much work
        self.deaths_unready = 0
        self.restart_at_s: float | None = None
        self.started_s = 0.0
        self._heard_s = 0.0  # when it gave its newest sign of life
        self._unready_s = self._silent_s = self._busy_s = 0.0  # as long as its supervisor has listened meanwhile
        self.beat = Beat(self.name, 0, 0, 0, 0, 0)  # the newest of this life
        self.closed_s = 0.0  # when this life was asked to finish; 0: not yet
        self.gone_s = 0.0  # when it was seen that this life has ended; 0: not yet
        self._earlier = Work()
        self._child: Child | None = None
        self._pump: threading.Thread | None = None

    def start(self) -> None:
        """Start a life. Call from the main thread: a worker dies with the thread that started it."""
        self._bury()
        self.ready, self.closed_s, self.gone_s, self.restart_at_s, self.refusal = False, 0.0, 0.0, None, ""
        self.started_s = self._heard_s = time.monotonic()
        self._unready_s = self._silent_s = self._busy_s = 0.0
        self._child = self._launch(self.name, bool(self.spec.stream), self.spec.modules)
        assert self._child.stdin is not None
        spec = msgspec.structs.replace(
            self.spec,
            restarts=self.restarts,
            counted=dict(self._earlier.counts),
            parent=os.getpid(),
            life=next(_LIVES),
        )
        try:
            self._child.stdin.write(msgspec.json.encode(spec))
            self._child.stdin.close()
        except BrokenPipeError:  # it died at once; its exit code tells
            pass
        self._pump = threading.Thread(target=self._relay, args=(self._child,), name=f"pump-{self.name}", daemon=True)
        self._pump.start()

    def _relay(self, child: Child) -> None:
        assert child.stdout is not None
        for line in child.stdout:
            self._say(self.name, line.decode(errors="replace").rstrip())

    def _bury(self) -> None:
        """Add the counts of the life that ended to those of the earlier ones."""
        self._earlier = self.work
        self.beat = Beat(self.name, 0, 0, 0, 0, 0)
        if self._pump is not None:
            self._pump.join(1)
        if self._child is not None and self._child.stdout is not None:
            self._child.stdout.close()

    @property
    def work(self) -> Work:
        """What all its lives have done."""
        beat = self.beat
        return self._earlier + Work(beat.frames, beat.batches, beat.busy_ns, beat.cpu_ns, Counter(beat.counts))

    @property
    def pid(self) -> int:
        """The process id; 0 before the first start."""
        return self._child.pid if self._child else 0

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._child is not None and self._child.poll() is None

    @property
    def exit_code(self) -> int | None:
        """As subprocess gives it: negative for a signal; None while it runs or before its first start."""
        return self._child.poll() if self._child else None

    def close(self) -> None:
        """Ask it to finish: no more frames come, close what is open. Asked once in each life."""
        if self.alive and not self.closed_s and self._child is not None:
            self.closed_s = time.monotonic()
            self._child.terminate()

    def kill(self) -> None:
        """End it at once."""
        if self.alive and self._child is not None:
            self._child.kill()

    def wait(self, timeout_s: float) -> None:
        """Wait for the end, and for its last words."""
        if self._child is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):  # the kernel holds it, for a dead disk
                self._child.wait(timeout_s)
        if self._pump is not None:
            self._pump.join(1)

    def has_delivered_since(self, then_ns: int) -> bool:
        """Whether it has looked for events since then (time.monotonic_ns) and found none that wait."""
        says = self.beat.says
        return says.get("waiting") == "0" and int(says.get("looked_ns", "0")) > then_ns

    def heard(self, beat: Beat | None = None) -> None:
        """Note down a sign of life; a beat says what it does."""
        now_s = time.monotonic()
        if self.ready:
            self.worked_s += min(now_s - self._heard_s, _SIGNS_S)
        self._heard_s, self._silent_s = now_s, 0.0
        if beat is not None:
            if beat.busy_since_ns != self.beat.busy_since_ns:
                self._busy_s = 0.0
            self.beat = beat

    def listened(self, passed_s: float) -> None:
        """So much time has passed, and all has been heard that was said until now.

        By the clock a supervisor that took 10 s to start 32 captures had killed those that lived: 6 s had passed since
        it had read a sign of life of them, while all they had said was waiting.
        """
        self._unready_s += passed_s
        self._silent_s += passed_s
        self._busy_s += passed_s

    def overdue(self, run: RunConfig) -> str:
        """What of the time that `run` allows a living process this one has exceeded; empty: nothing."""
        if not self.ready:
            late = self._unready_s > run.start_timeout_s
            return f"was not ready after {run.start_timeout_s:g} s" if late else ""
        if self._silent_s > run.heartbeat_timeout_s:
            return f"gave no sign of life for {run.heartbeat_timeout_s:g} s"
        if self.beat.busy_since_ns and self._busy_s > run.hang_timeout_s:
            return f"was stuck in one piece of work for {run.hang_timeout_s:g} s"
        return ""

    def died(self, max_restarts: int) -> float | None:
        """Note a death down; seconds until it is started again, or None: it died too often.

        Deaths are counted for each minute of work: one that takes half a minute to start would never die too often
        by the clock.
        """
        self.deaths.append(self.worked_s)
        self.deaths_unready += not self.ready
        while self.deaths[0] < self.worked_s - _WINDOW_S:
            self.deaths.popleft()
        if len(self.deaths) > max_restarts or self.deaths_unready >= _MAX_UNREADY_DEATHS:
            return None
        delay_s = min(_BACK_OFF_S[0] * 2 ** (len(self.deaths) - 1), _BACK_OFF_S[1])
        self.restarts += 1
        self.restart_at_s = time.monotonic() + delay_s
        return delay_s

    def how_it_ended(self) -> str:
        """The exit code in words."""
        return how_it_ended(self.exit_code)
