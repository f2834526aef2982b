"""Keeps the run of one shard going on this host: starts it, adopts it, starts it again, drains it. Engines use it.

The run outlives its keeper: it is a session of its own, and writes its log itself. A keeper that comes later reads the
shard's lease (run/lease.py) and goes on with the run that it finds, so a keeper's death misses no frame.
"""

from __future__ import annotations

import logging
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from configs.errors import Failure, InputError
from configs.load import load_config
from configs.schema import PipelineConfig
from fleet.apart import start_apart
from fleet.kept import Kept
from fleet.life import Life
from fleet.run_log import RunLog
from run.adopt import grant as grant_epoch
from run.adopt import wait_for_lease
from run.child import how_it_ended
from run.code import ROOT
from run.lease import DRAIN, FENCED, Lease, read_grant, write_private
from run.owned import fingerprint
from run.shard_folder import epoch_file, shard_folder
from run.take import wanted_epoch
from tell.account import Note

log = logging.getLogger("keeper")

for _kind in (PipelineConfig, Lease, Note):
    msgspec.json.Decoder(_kind)  # here: where two threads were the first to use a class, msgspec 0.22 ended by SIGSEGV

_LOOK_S = 0.2
_LONGEST_S = 30.0  # between a death and the next start
_SETTLED_S = 60.0  # who flowed for so long did not die of its start
# A run is not to speak for the service of its keeper.
_FOR_SERVICES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class Keeper:
    """Keeps the run of `shard` going, with the options of the YAML file `config`.

    `folder` is where its log is (run.log) and where it works, if no `cwd` is given; it must be there. The shard's own
    folder is the `run.folder` of its options. `environment` is that of the run. `grant` names the decision by which it
    runs here: a keeper that goes on with a decision gives the same name, and a fenced run stays fenced.

    `start` it once. All else may be called from any thread, and returns at once.
    """

    def __init__(
        self,
        shard: str,
        config: Path,
        folder: Path,
        environment: Mapping[str, str],
        grant: str,
        cwd: Path | None = None,
    ) -> None:
        self._config, self._grant, self._cwd = config, grant, cwd or folder
        self._environment = {name: value for name, value in environment.items() if name not in _FOR_SERVICES}
        self._log = RunLog(folder)
        self._known = Kept(shard=shard, since=time.time())
        self._order = ""  # drain or end
        self._renews = self._lets_go = self._any_options = False
        self._deaths = 0  # in a row
        self._woken = threading.Event()
        self._thread = threading.Thread(target=self._keep, name=f"keeper-{shard}", daemon=True)

    @property
    def known(self) -> Kept:
        """What is known of it now."""
        return self._known

    @property
    def is_over(self) -> bool:
        """Whether it keeps nothing any more: the run has ended for good, or it was let go."""
        return not self._thread.is_alive()

    def start(self, any_options: bool = False) -> None:
        """Begin. A living run is adopted; one with other options is drained first, and started anew with these.

        With `any_options` it is adopted as it is, until `renew`.
        """
        self._any_options = any_options
        self._thread.start()

    def renew(self) -> None:
        """Drain the run, and start it anew with the options that the file has then."""
        self._renews = True
        self._woken.set()

    def drain(self) -> None:
        """The run reads no more, delivers what waits, and ends; then the keeper is over."""
        self._order = self._order or "drain"
        self._woken.set()

    def end(self) -> None:
        """SIGTERM to the run: it ends within 3 s, and what waits is delivered by its next life. Then all is over."""
        self._order = "end"
        self._woken.set()

    def let_go(self) -> None:
        """Keep it no more; the run goes on."""
        self._lets_go = True
        self._woken.set()

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait until the keeper is over; whether it is."""
        self._thread.join(timeout_s)
        return self.is_over

    def _keep(self) -> None:
        """The thread."""
        try:
            while not self._lets_go and self._one_life():
                pass
        except BaseException:
            self._know(state="unknown", line="its keeper failed: see the log of the keeper")
            raise

    def _one_life(self) -> bool:
        """Adopt the run or start it, and watch it until it ends; whether there is to be another one."""
        child: subprocess.Popen[bytes] | None = None
        self._rest()
        if self._lets_go:
            return False
        try:
            options = load_config(self._config, given={"run": {"grant": self._grant}}, environment=self._environment)
            lease = wait_for_lease(shard_folder(options.run))
            if lease is not None:
                self._adopt(options, lease)
            elif self._order:
                self._know(state="ended", pid=0, cameras={})
                return False
            else:
                child = self._begin()
        except (InputError, Failure, OSError) as error:  # a file or folder that cannot be used: as a death
            return self._died(str(error))
        life = Life(options, self._environment, self._log, child, lease)
        self._watch(life)
        return False if self._lets_go else self._ended(life)

    def _adopt(self, options: PipelineConfig, lease: Lease) -> None:
        """Go on with a run that lives, by the grant of now."""
        self._know(state="unknown", pid=lease.pid, life=lease.life, epoch=lease.epoch, port=lease.port, line="")
        if lease.state != "running":
            self._renews = True  # it was told to end before this keeper's decision: another life follows
            return
        if lease.config != fingerprint(options) and not self._any_options:
            log.info("%s: runs with other options (pid %d): it is drained first", self._known.shard, lease.pid)
            self._renews = True
            return
        log.info("%s: goes on with pid %d", self._known.shard, lease.pid)
        granted = read_grant(epoch_file(options.run))
        epoch = wanted_epoch(options.run, lease, max(lease.epoch, granted.epoch if granted else 0))
        if lease.grant != self._grant:
            grant_epoch(shard_folder(options.run), epoch_file(options.run), lease, epoch)

    def _begin(self) -> subprocess.Popen[bytes]:
        """Start a run; it belongs to nobody but itself."""
        self._any_options = self._renews = False
        self._know(state="starting", pid=0, life="", cameras={})
        arguments = ["--config", str(self._config), "--grant", self._grant, "--adopt", "--log", "json"]
        words = [str(ROOT / "run_pipeline.py"), *arguments]  # its command is `run`
        return start_apart(words, self._log, self._environment, self._cwd)

    def _rest(self) -> None:
        """Wait as long as the deaths so far ask for, or until something else is wanted."""
        wait_s = min(2.0 ** (self._deaths - 2), _LONGEST_S) if self._deaths > 1 else 0.0
        until_s = time.monotonic() + wait_s
        while (left_s := until_s - time.monotonic()) > 0 and not (self._order or self._lets_go or self._renews):
            self._woken.wait(left_s)
            self._woken.clear()

    def _watch(self, life: Life) -> None:
        """Until the run ends, or is let go."""
        told = ""
        while life.lives() and not self._lets_go:
            order = self._order or ("drain" if self._renews else "")
            if order != told and (order == "end" or life.lease is not None or life.child is not None):
                told = order
                self._tell(life, order)
            if life.look():
                self._note(life)
                if life.is_hung:
                    log.warning("%s: pid %d hangs: SIGKILL", self._known.shard, life.pid)
                    life.signal(signal.SIGKILL)
            self._woken.wait(_LOOK_S)
            self._woken.clear()

    def _tell(self, life: Life, order: str) -> None:
        """Have the run end, in order or at once."""
        self._know(state="draining")
        if order == "end" or life.lease is None:  # one that has no lease yet has nothing to deliver
            life.signal(signal.SIGTERM)
            return
        try:
            write_private(life.folder / DRAIN, f"{life.lease.life}\n".encode())
        except OSError as error:
            log.warning("%s: cannot be drained (%s): SIGTERM", self._known.shard, error.strerror)
            life.signal(signal.SIGTERM)

    def _note(self, life: Life) -> None:
        """Take in what was seen of it."""
        known: dict[str, Any] = {"cameras": life.cameras, "pid": life.pid}
        if life.lease is not None:
            lease = life.lease
            known |= {"life": lease.life, "epoch": lease.epoch, "port": lease.port, "code": None}
            known["state"] = {"draining": "draining", "fenced": "fenced"}.get(lease.state, life.state)
        if self._known.state == "draining" and known.get("state") != "fenced":
            known["state"] = "draining"
        if life.settled_s > _SETTLED_S:
            self._deaths = 0
        if known.get("state") == "flows":
            known |= {"failures": 0, "line": ""}
        self._know(**known)

    def _ended(self, life: Life) -> bool:
        """What follows from its end: another life or not."""
        code = life.code()
        self._know(code=code, pid=0, cameras={})
        if code == FENCED and not self._renews:
            log.warning("%s: is fenced: a newer epoch was given out", self._known.shard)
            newer = life.lease.fenced_by if life.lease is not None else 0
            self._know(state="fenced", line=f"epoch {newer} was given out" if newer else self._log.last_line())
        elif self._order or (code == 0 and not self._renews):
            how = "was killed" if code is None else how_it_ended(code)
            self._know(state="ended", line="" if code == 0 else how)
        elif self._renews:
            return True
        else:
            return self._died(self._log.last_line() if code is not None else "was killed", life.has_flowed)
        return False

    def _died(self, line: str, flowed: bool = False) -> bool:
        self._deaths += 1
        failures = 0 if flowed else self._known.failures + 1
        log.warning("%s: %s; it is started again", self._known.shard, line)
        self._know(state="waits", pid=0, cameras={}, line=line, failures=failures, restarts=self._known.restarts + 1)
        if self._order:
            self._know(state="ended")
            return False
        return True

    def _know(self, **fields: Any) -> None:
        if fields.get("state", self._known.state) != self._known.state:
            fields["since"] = round(time.time(), 3)
        self._known = replace(self._known, **fields)
