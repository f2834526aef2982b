"""Changes of the streams while a run goes on: what is asked for is wanted from then on, and answered when it is so."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from configs.errors import InputError
from configs.redact import redact
from run.streams import Wanted
from transport.codec import Command

Admit = Callable[[bytes, Sequence[str]], tuple[str, Any]]
"""(JSON, names that are taken) -> a name and the options of a source; raises InputError."""


class Run(Protocol):
    """What changes need of a run."""

    @property
    def wanted(self) -> dict[str, Wanted]: ...
    @property
    def is_running(self) -> bool: ...
    def add(self, stream: str, config: Any) -> None: ...
    def has_ended(self, stream: str) -> bool: ...
    def answer(self, text: bytes) -> None: ...


class Changes:
    """Takes commands, and answers them: {number, ok, stream or error}. `admit` of None: no stream can be added."""

    def __init__(self, admit: Admit | None) -> None:
        self._admit = admit
        self._removing: dict[int, str] = {}  # number of a command -> the stream that it removes

    def take(self, run: Run, command: Command) -> None:
        """Do what a command says; what cannot be done is answered with the reason."""
        try:
            name = self._do(run, command)
        except InputError as error:
            _answer(run, command.number, ok=False, error=redact(str(error)))
        except Exception as error:  # a bug, but of one command: the other streams must not end for it
            _answer(run, command.number, ok=False, error=redact(f"{type(error).__name__}: {error}"))
        else:
            if name:
                _answer(run, command.number, ok=True, stream=name)

    def _do(self, run: Run, command: Command) -> str:
        stream, wanted = command.stream, run.wanted
        if not run.is_running:
            raise InputError("the run is not running: try again later")
        if command.action == "add":
            return self._add(run, command.source)
        if stream not in wanted:
            raise InputError(f"no stream {stream!r}")
        if command.action in ("pause", "resume"):
            if wanted[stream] == "absent":
                raise InputError(f"stream {stream} is being removed")
            if run.has_ended(stream):
                raise InputError(f"stream {stream} has ended")
            wanted[stream] = "paused" if command.action == "pause" else "present"
            return stream
        if command.action != "remove":
            raise InputError(f"unknown action {command.action!r}: add, remove, pause or resume")
        if [name for name in wanted if wanted[name] != "absent"] == [stream]:
            raise InputError(f"{stream} is the last stream: end the run instead")
        wanted[stream] = "absent"
        self._removing[command.number] = stream
        return ""  # answered when it is gone

    def _add(self, run: Run, source: bytes) -> str:
        if self._admit is None:
            raise InputError("streams cannot be added to this run")
        name, config = self._admit(source, list(run.wanted))
        run.add(name, config)
        return name

    def advance(self, run: Run) -> None:
        """Answer who removed a stream that is gone by now."""
        for number, stream in list(self._removing.items()):
            if stream not in run.wanted:
                del self._removing[number]
                _answer(run, number, ok=True, stream=stream)


def _answer(run: Run, number: int, **answer: Any) -> None:
    run.answer(json.dumps({"number": number} | answer).encode())
