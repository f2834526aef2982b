"""One life of a shard's run, as its keeper sees it from outside: whether it lives, hangs, flows, and how it ended."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Mapping

from configs.errors import InputError
from configs.schema import PipelineConfig
from fleet.kept import CameraState, State
from fleet.run_log import RunLog
from fleet.run_page import ask
from run.lease import Lease, is_held, open_process, process_start, read_lease
from run.shard import read_note
from run.shard_folder import shard_folder

HUNG_S = 15.0  # without a sign of it: it speaks twice a second
START_S = 120.0  # the same while it has given none yet, as run.start_timeout_s
_EVERY_S = 1.0
_LATE_S = 5.0  # this process itself stood still for that: it knows nothing of what was meanwhile


class Life:
    """A run that was started as `child`, or was found with a `lease`.

    `cameras` and `state` are as its page told last. A sign of life is what its page tells of a supervisor that speaks,
    or, where no page answers, a new note in its folder (status.json): a full disk alone kills nothing.
    """

    def __init__(
        self,
        options: PipelineConfig,
        environment: Mapping[str, str],
        run_log: RunLog,
        child: subprocess.Popen[bytes] | None,
        lease: Lease | None,
    ) -> None:
        self.child, self.lease, self.folder = child, lease, shard_folder(options.run)
        self.state: State = "starting" if lease is None else "unknown"
        self.cameras: dict[str, CameraState] = {}
        self.has_flowed = False
        self._web = options.web if "web" in options.overlay.sinks else None
        self._environment, self._log = environment, run_log
        self._sign_s = self._looked_s = time.monotonic()
        self._due_s = self._settled_s = 0.0
        self._noted, self._has_spoken = 0.0, False

    @property
    def pid(self) -> int:
        """That of its supervisor."""
        return self.lease.pid if self.lease is not None else self.child.pid if self.child is not None else 0

    @property
    def settled_s(self) -> float:
        """For how long cameras flow, s."""
        return time.monotonic() - self._settled_s if self._settled_s else 0.0

    @property
    def is_hung(self) -> bool:
        """Whether it has given no sign for so long that only a new start helps."""
        return self._looked_s - self._sign_s > (HUNG_S if self._has_spoken else START_S)

    def lives(self) -> bool:
        """Whether it goes on; reads its lease."""
        self._read_lease()
        if self.child is not None and self.child.poll() is not None:
            self._read_lease()
            return False
        return self.child is not None or (is_held(self.folder) and not self._is_succeeded)

    def look(self) -> bool:
        """See how it stands, once a second; whether this was the time for it."""
        now_s = time.monotonic()
        if now_s < self._due_s:
            return False
        if now_s - self._looked_s > _LATE_S:
            self._sign_s += now_s - self._looked_s
        with contextlib.suppress(OSError):  # a full disk: the next time
            self._log.trim()
        self._look_at_page()
        self._looked_s = time.monotonic()
        self._due_s = self._looked_s + _EVERY_S
        return True

    def signal(self, number: int) -> None:
        """Send its supervisor a signal, if it is there and of this machine."""
        if self.lease is not None:
            handle = open_process(self.lease)
            if handle is not None:
                with contextlib.suppress(ProcessLookupError):
                    signal.pidfd_send_signal(handle, number)
                os.close(handle)
        elif self.child is not None:
            self.child.send_signal(number)

    def code(self) -> int | None:
        """Its exit code when it has ended; None: it was killed."""
        if self.lease is not None and self.lease.state == "ended" and self.lease.code is not None:
            return self.lease.code
        if self.child is not None:
            code = self.child.wait()
            return code if code >= 0 else None
        return None

    @property
    def _is_succeeded(self) -> bool:
        """Whether another life has the shard by now."""
        with contextlib.suppress(InputError):
            now = read_lease(self.folder)
            return now is not None and self.lease is not None and now.life != self.lease.life
        return False

    def _read_lease(self) -> None:
        """The lease as it is now, once it is that of this life."""
        with contextlib.suppress(InputError):
            now = read_lease(self.folder)
            if now is None:
                return
            if now.life == self.lease.life if self.lease is not None else self._is_of_child(now):
                self.lease = now
            elif self.lease is None and self.child is not None and self._is_beside(now):
                self.child.kill()  # ours only stands in for the run that a keeper before had just started
                self.child.wait()
                self.child, self.lease = None, now

    def _is_beside(self, lease: Lease) -> bool:
        """Whether another process runs the shard."""
        handle = open_process(lease) if lease.state == "running" else None
        if handle is None:
            return False
        os.close(handle)
        return is_held(self.folder)

    def _is_of_child(self, lease: Lease) -> bool:
        """Not of an earlier process of its number: in containers they begin at 1 each time."""
        return self.child is not None and lease.pid == self.child.pid and lease.started == process_start(lease.pid)

    def _look_at_page(self) -> None:
        lease, note = self.lease, read_note(self.folder)
        if lease is None:
            return
        answer = ask(self._web, lease.port, self._environment) if self._web is not None and lease.port else None
        if answer is not None and answer.life != lease.life:
            answer = None  # another program's page
        if answer is None:
            if note is not None and note.run == lease.life and note.noted != self._noted:
                self._sign(note.noted)
            return
        if answer.silent_s:
            return
        self._sign(self._noted if note is None else note.noted)
        self.cameras = answer.cameras
        flows = any(camera.state == "flowing" for camera in answer.cameras.values())
        if not answer.settled:
            self._settled_s = 0.0
            return
        self.state = "flows" if flows else "away"
        self.has_flowed |= flows
        self._settled_s = (self._settled_s or time.monotonic()) if flows else 0.0

    def _sign(self, noted: float) -> None:
        self._sign_s, self._noted, self._has_spoken = time.monotonic(), noted, True
