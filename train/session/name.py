"""The name of a training run: one that a finished, unfinished or running one has is refused unless the user says so."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from configs.command import command_line
from configs.errors import InputError
from configs.file_lock import FileLock
from configs.plural import counted


@contextmanager
def claimed_name(state: Path, finished: Iterable[Path], resume: bool, overwrite: bool) -> Iterator[None]:
    """Hold the name of a run while it trains. Raises InputError where another process holds it.

    Also where the run would write over another one of the same name, or has none to go on with: see `require_name`.
    """
    try:
        lock = FileLock(state)
    except BlockingIOError:
        raise InputError(
            f"{state}: a run of this name is under way: let it end, or give this one another name by --output NAME.pth"
        ) from None
    try:
        require_name(state, finished, resume, overwrite)
        yield
    finally:
        lock.release()


def require_name(state: Path, finished: Iterable[Path], resume: bool, overwrite: bool) -> None:
    """Raise InputError where a run would write over another one of the same name, or has none to go on with.

    `state` is there while a run is unfinished, one of `finished` when it was finished.
    """
    if resume and overwrite:
        raise InputError("--resume --overwrite: choose one: go on with the run of this name, or begin it anew")
    done = next((path for path in finished if path.exists()), None)
    if resume and not state.exists():
        what_else = f"{done} is finished; --overwrite begins it anew" if done else "leave out --resume"
        raise InputError(f"--resume: {state}: no such file: no unfinished run has this name; {what_else}")
    if resume or overwrite:
        return
    if state.exists():
        raise InputError(
            f"{state}: a run of this name was not finished; --resume goes on with it, --overwrite begins it anew, "
            "--output NAME.pth gives the new one another name"
        )
    if done is not None:
        raise InputError(
            f"{done}: a run of this name is there already; --overwrite begins it anew, "
            "--output NAME.pth gives the new one another name (--resume is for runs that were stopped)"
        )


def command_typed() -> str:
    """The command that runs now, to be typed again."""
    *words, _ = shlex.split(command_line(add="--", without="--"))
    return shlex.join(words)


def how_to_go_on(state: Path, done: int, of: int) -> str:
    """What Ctrl-C says of a training: how many epochs are kept, and the command that goes on with it."""
    if not state.exists():
        return "stopped; nothing was kept yet"
    command = command_line(add="--resume", without="--overwrite")
    return f"stopped; {done} of {counted(of, 'epoch')} are kept, and this goes on with them: {command}"
