"""Changes of the streams while a run goes on: added, removed, paused, and what is answered."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, Protocol

from configs.errors import InputError
from configs.redact import redact
from transport.codec import Command

MAX_STREAMS = 64  # each is a process, and slots of memory


class Run(Protocol):
    """What changes need of the run: `admit` makes a name and options of what is given (JSON, names that are taken)."""

    admit: Callable[[bytes, list[str]], tuple[str, Any]] | None

    @property
    def streams(self) -> list[str]: ...
    @property
    def removed(self) -> list[str]: ...
    @property
    def is_running(self) -> bool: ...
    def add(self, stream: str, config: Any) -> None: ...
    def pause(self, stream: str, paused: bool) -> None: ...
    def end(self, stream: str) -> None: ...
    def is_done(self, stream: str) -> bool: ...
    def forget(self, stream: str) -> None: ...
    def answer(self, text: bytes) -> None: ...


class Changes:
    """Takes commands, and answers them: {number, ok, stream or error}."""

    def __init__(self) -> None:
        self._removing: dict[str, int] = {}  # stream -> number of the command

    def take(self, run: Run, command: Command) -> None:
        """Do what a command says; what cannot be done is answered with the reason."""
        try:
            name = self._do(run, command)
        except InputError as error:
            _answer(run, command.number, ok=False, error=redact(str(error)))
        else:
            if name:
                _answer(run, command.number, ok=True, stream=name)

    def _do(self, run: Run, command: Command) -> str:
        stream = command.stream
        if not run.is_running:
            raise InputError("the run is not running: try again later")
        if command.action == "add":
            return _add(run, command.source)
        if stream not in run.streams or stream in self._removing:
            raise InputError(f"no stream {stream!r}")
        if command.action in ("pause", "resume"):
            if run.is_done(stream):
                raise InputError(f"stream {stream} has ended")
            run.pause(stream, command.action == "pause")
            return stream
        if command.action != "remove":
            raise InputError(f"unknown action {command.action!r}: add, remove, pause or resume")
        if len(run.streams) - len(self._removing) == 1:
            raise InputError(f"{stream} is the last stream: end the run instead")
        self._removing[stream] = command.number
        run.end(stream)
        return ""  # answered when its frames are home

    def advance(self, run: Run) -> None:
        """Forget the streams that have ended by now; what died on the way to its end is asked again."""
        for stream in self._removing:
            run.end(stream)
        for stream in [stream for stream in self._removing if run.is_done(stream)]:
            run.forget(stream)
            _answer(run, self._removing.pop(stream), ok=True, stream=stream)


def _add(run: Run, source: bytes) -> str:
    if run.admit is None:
        raise InputError("streams cannot be added to this run")
    if len(run.streams) >= MAX_STREAMS:
        raise InputError(f"there are {MAX_STREAMS} streams already")
    name, config = run.admit(source, [*run.streams, *run.removed])
    run.add(name, config)
    return name


def _answer(run: Run, number: int, **answer: Any) -> None:
    run.answer(json.dumps({"number": number} | answer).encode())
