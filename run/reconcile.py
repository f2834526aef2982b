"""Brings what is to what should be, round after round: of each process that it lives, of each stream what is wanted."""

from __future__ import annotations

import enum
import signal
import time

from configs.errors import Failure, InputError
from configs.schema import RunConfig
from run.code import UPGRADED, fingerprint
from run.process import Process, Say
from run.processes import Processes
from run.streams import Streams
from transport.codec import Beat, Ready, Refused
from transport.cores import usable_cores

# So many captures start at once: each is ready soon after it was started, however many there are. One that is not
# ready for so long, because its camera does not answer, holds up no other.
_AT_ONCE_FOR_EACH_CORE, _STARTING_S = 2, 5.0
_STARTS_S = (
    0.2  # of a round, for captures: meanwhile nobody is heard, no Ctrl-C neither. 32 starts took 10 s on a slow kernel
)
_LONGEST_ROUND_S = 1.0  # beyond that we were stopped (Ctrl-Z) or starved, and so perhaps was everyone
_LAST_WORDS_S = 0.1  # what a process said before its end may still be on its way
_END_S = 8.0  # for a removed stream's capture to end in; the page's answer waits for 10


class Phase(enum.IntEnum):
    """How far a run has come."""

    STARTING = 0
    RUNNING = 1
    DRAINING = 2
    CLOSING = 3


class Reconciler:
    """Starts, watches, restarts and ends processes as they and the streams want it.

    `failure` is what the run has to end for; `refused` are the sources that could not be used, and why.
    """

    def __init__(self, run: RunConfig, streams: Streams, processes: Processes, say: Say) -> None:
        self._run, self._streams, self._processes, self._say = run, streams, processes, say
        self._round_s = time.monotonic()
        self._code = fingerprint()
        self._at_once = max(4, _AT_ONCE_FOR_EACH_CORE * (run.cores or usable_cores()))
        self._may_start = 0  # captures, in this round
        self.failure: Exception | None = None
        self.refused: dict[str, str] = {}

    def hear(self, message: Beat | Ready | Refused) -> None:
        """Take in what a process says of itself."""
        process = self._processes.by_name.get(message.process)
        if process is None:
            return  # of a stream that is gone
        if isinstance(message, Refused):
            process.refusal = message.reason
        elif message.pid == process.pid:  # not the last words of an earlier life
            if isinstance(message, Beat):
                process.heard(message)
            else:
                process.heard()
                self._became_ready(process, message)

    def _became_ready(self, process: Process, message: Ready) -> None:
        process.ready, process.facts, process.deaths_unready = True, message.facts, 0
        facts = ", ".join(f"{key} {value}" for key, value in message.facts.items())
        self._say(process.name, f"ready (pid {message.pid}{'; ' if facts else ''}{facts})")

    def round(self, phase: Phase) -> None:
        """One step for each process, then for each stream. All that the processes said has been heard before."""
        now_s = time.monotonic()
        passed_s = min(now_s - self._round_s, _LONGEST_ROUND_S)
        self._round_s = now_s
        self._may_start = self._at_once - self._processes.starting(now_s - _STARTING_S)
        for process in list(self._processes.by_name.values()):
            process.listened(passed_s)
            self._watch(process, phase)
        for stream in list(self._streams.names):
            self._bring(stream)

    def _bring(self, stream: str) -> None:
        """What is still to be done for a stream to be as it is wanted."""
        capture = self._processes.capture_of(stream)
        if self._streams.wanted[stream] != "absent":
            if capture.ready and capture.alive:
                self._streams.tell(stream)
        elif capture.done:
            self._processes.remove(capture)
            self._streams.forget(stream)
            self.refused.pop(stream, None)
        else:
            capture.close()
            if capture.alive and time.monotonic() - capture.closed_s > _END_S:
                self._say(capture.name, f"has not ended within {_END_S:g} s: killed")
                capture.kill()

    def _watch(self, process: Process, phase: Phase) -> None:
        """What a process's exit, silence or long work means now."""
        if process.done:
            return
        is_new = bool(process.spec.stream) and not process.started_s
        if is_new or process.restart_at_s is not None:
            if self._may_end(process, phase):
                process.done = True
            elif self._is_due(process, phase):
                self.start(process)
        elif not process.alive:
            if process.pid:
                process.gone_s = process.gone_s or time.monotonic()
                if time.monotonic() - process.gone_s >= _LAST_WORDS_S:
                    self._ended(process, phase)
        elif why := process.overdue(self._run):
            self._say(process.name, f"{why}: killed")
            process.kill()
            process.wait(1)

    def _is_due(self, process: Process, phase: Phase) -> bool:
        """Whether a process that does not live is to be started now."""
        now_s = time.monotonic()
        if process.spec.stream and now_s - self._round_s > _STARTS_S:
            return False
        if process.restart_at_s is not None:
            return now_s >= process.restart_at_s
        if phase != Phase.RUNNING or self._may_start <= 0:
            return False
        self._may_start -= 1
        return True

    def _may_end(self, process: Process, phase: Phase) -> bool:
        """Whether nobody misses a process that is gone: the work of a capture is done, or nobody wants it any more."""
        stream = process.spec.stream
        return bool(stream) and (
            phase >= Phase.DRAINING or self._streams.has_finished(stream) or self._streams.wanted[stream] == "absent"
        )

    def _ended(self, process: Process, phase: Phase) -> None:
        """A process is gone: it may, it was refused, or it is started again."""
        if process.refusal and self._streams.wanted.get(process.spec.stream) != "absent":
            goes_on = self._run.keep_going or process.spec.added
            self._give_up(process, InputError(process.refusal), goes_on)
        elif self._may_end(process, phase):
            process.done = True
        elif phase == Phase.CLOSING and process.exit_code in (0, -signal.SIGTERM):
            process.done = True
        else:
            self._restart(process, process.how_it_ended())

    def start(self, process: Process) -> None:
        """Begin a life of a process; where the system has no room for one now, it is tried again as after a death.

        A later life of other code than the run's would not be understood: the run goes on without that source, or ends.
        """
        if process.restarts and self.was_upgraded:
            self._give_up(process, Failure(f"{process.name} is not started again: {UPGRADED}"), process.spec.stream)
            return
        try:
            process.start()
        except OSError as error:  # no memory, no process number, no file descriptor
            self._restart(process, f"could not be started: {error.strerror}")

    @property
    def was_upgraded(self) -> bool:
        """Whether the code on disk is no longer that of the run."""
        return fingerprint() != self._code

    def _give_up(self, process: Process, error: Exception, goes_on: object) -> None:
        """A process will not live again: the run ends for that, or goes on without its source if there is another."""
        process.done = True
        stream = process.spec.stream
        if stream and goes_on and len(self._streams.names) > 1:
            self._say(process.name, str(error))
            self.refused[stream] = str(error)
            self._streams.failed(stream)
        else:
            self._fail(error)

    def _restart(self, process: Process, how: str) -> None:
        delay_s = process.died(self._run.max_restarts)
        if delay_s is None:
            process.done = True
            deaths = len(process.deaths)
            self._fail(Failure(f"{process.name} died {deaths} times within a minute of its work, last: {how}"))
        else:
            self._say(process.name, f"died ({how}), starting it again in {delay_s:.2g} s")

    def _fail(self, error: Exception) -> None:
        """Have the run end; of several reasons the first counts."""
        self.failure = self.failure or error
