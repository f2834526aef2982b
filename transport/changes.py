"""Changes of the streams while a run goes on: added, removed, paused, and what is answered."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from configs.errors import InputError
from configs.redact import redact
from transport.codec import Command

if TYPE_CHECKING:
    from transport.supervisor import Supervisor

MAX_STREAMS = 64  # each is a process, and slots of memory


class Changes:
    """Takes commands, and answers them: {number, ok, stream or error}."""

    def __init__(self) -> None:
        self._removing: dict[str, int] = {}  # stream -> number of the command

    def take(self, supervisor: Supervisor, command: Command) -> None:
        """Do what a command says; what cannot be done is answered with the reason."""
        try:
            name = self._do(supervisor, command)
        except InputError as error:
            _answer(supervisor, command.number, ok=False, error=redact(str(error)))
        else:
            if name:
                _answer(supervisor, command.number, ok=True, stream=name)

    def _do(self, supervisor: Supervisor, command: Command) -> str:
        stream = command.stream
        if not supervisor.is_running:
            raise InputError("the run is not running: try again later")
        if command.action == "add":
            return _add(supervisor, command.source)
        if stream not in supervisor.streams or stream in self._removing:
            raise InputError(f"no stream {stream!r}")
        if command.action in ("pause", "resume"):
            if supervisor.capture_of(stream).done:
                raise InputError(f"stream {stream} has ended")
            supervisor.pause(stream, command.action == "pause")
            return stream
        if command.action != "remove":
            raise InputError(f"unknown action {command.action!r}: add, remove, pause or resume")
        if len(supervisor.streams) - len(self._removing) == 1:
            raise InputError(f"{stream} is the last stream: end the run instead")
        self._removing[stream] = command.number
        supervisor.end(stream)
        return ""  # answered when its frames are home

    def advance(self, supervisor: Supervisor) -> None:
        """Forget the streams that have ended by now; what died on the way to its end is asked again."""
        for stream in self._removing:
            supervisor.end(stream)
        for stream in [stream for stream in self._removing if supervisor.capture_of(stream).done]:
            supervisor.forget(stream)
            _answer(supervisor, self._removing.pop(stream), ok=True, stream=stream)


def _add(supervisor: Supervisor, source: bytes) -> str:
    if supervisor.admit is None:
        raise InputError("streams cannot be added to this run")
    if len(supervisor.streams) >= MAX_STREAMS:
        raise InputError(f"there are {MAX_STREAMS} streams already")
    name, config = supervisor.admit(source, [*supervisor.streams, *supervisor.removed])
    supervisor.add(name, config)
    return name


def _answer(supervisor: Supervisor, number: int, **answer: Any) -> None:
    supervisor.answer(json.dumps({"number": number} | answer).encode())
