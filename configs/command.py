"""Runs a command line: what the user did wrong is one line on standard error and an exit code, never a traceback."""

from __future__ import annotations

import errno
import inspect
import os
import shlex
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import typer

from configs.console import visible
from configs.errors import Failure, InputError, Stopped
from configs.imported import name_of
from configs.redact import learn, learn_secret, redact
from configs.standard_streams import keep_standard_streams

INTERRUPTED = 130  # 128 + SIGINT, as shells say it
WIDEST_HELP = 100  # columns; lines that are longer are hard to read
EXAMPLES = "\n\nExamples:\n"  # begins the last paragraph of a command's docstring
HELP: dict[str, Any] = {"help_option_names": ["-h", "--help"], "max_content_width": WIDEST_HELP}

_given: list[str] = []  # the words of the command that runs


def run_command(
    commands: Sequence[Callable[..., Any]], name: str, about: str = "", arguments: Sequence[str] | None = None
) -> None:
    """Run what the arguments say and exit: 0, 1 for what cannot be used or failed, 2 for wrong usage.

    One command is run as it is; of several the first argument names one, by the function's name (without `_command` and
    with a dash for each `_`), and `about` is what `--help` says of all.
    """
    keep_standard_streams()
    given = list(sys.argv[1:] if arguments is None else arguments)
    _given[:] = [*name.split(), *given]
    _learn(given)
    sys.excepthook = _show_bug
    threading.excepthook = lambda bug: _show_bug(bug.exc_type, bug.exc_value, bug.exc_traceback)
    try:
        _check_folder()
        app = new_app(commands, name, about)
        code = app(given or (["--help"] if len(commands) > 1 else []), prog_name=name, standalone_mode=False)
        sys.stdout.flush()
    except (InputError, Failure) as error:
        code = refuse(str(error), 1)
    except OSError as error:
        reason = _lack_of_the_machine(error)
        if reason is None:
            raise
        code = refuse(reason, 1)
    except typer.TyperException as error:
        code = refuse(f"{error.format_message()} (see --help)", 2)  # type: ignore[attr-defined]
    except Stopped as stop:
        code = refuse(str(stop), INTERRUPTED, "maskstream")
    except (typer.Abort, KeyboardInterrupt):
        code = refuse("stopped", INTERRUPTED, "maskstream")
    else:
        if code == INTERRUPTED:  # what typer makes of KeyboardInterrupt
            refuse("stopped", INTERRUPTED, "maskstream")
    sys.exit(code)


def _learn(arguments: Sequence[str]) -> None:
    """Remember the secrets of a command line before anything can complain of it."""
    for before, argument in zip(["", *arguments], arguments, strict=False):
        name, _, value = argument.partition("=")
        learn(argument, value)
        if name == "--token" or name.endswith(".token"):
            learn_secret(value)
        if before == "--token":
            learn_secret(argument)


def _check_folder() -> None:
    """Raise InputError where relative paths, and so most commands, mean nothing."""
    try:
        os.getcwd()
    except FileNotFoundError:
        raise InputError("the current folder was removed: change to one that is there") from None


def _lack_of_the_machine(error: OSError) -> str | None:
    """What the machine lacks, wherever the error comes from; None where it is something else, perhaps a bug."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS):
        return f"{error.filename or 'a file'} cannot be written: {error.strerror}"
    if "No usable temporary directory" in str(error):
        return f"{error.strerror}: set TMPDIR to a folder that may be written"
    return None


def _show_bug(*error: Any) -> None:
    """A traceback, without the secrets that its texts may hold."""
    sys.stderr.write(redact("".join(traceback.format_exception(*error))))


def new_app(commands: Sequence[Callable[..., Any]], name: str, about: str = "") -> typer.Typer:
    """The commands as `run_command` runs them.

    Help is plain text: in rich's panels the descriptions had 22 of 80 columns, and what did not fit was cut.
    """
    several = len(commands) > 1
    app = typer.Typer(
        name=name,
        add_completion=several,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings=HELP,
    )
    if several:
        app.callback(help=about)(_of_all)
    for command in commands:
        about = inspect.cleandoc(command.__doc__ or "")
        app.command(
            name_of(command.__name__),
            help=about.replace(EXAMPLES, f"\n\n\b{EXAMPLES[1:]}"),  # \b: these lines are not joined and wrapped
            short_help=" ".join(about.partition("\n\n")[0].split()),  # whole; what typer makes of it is cut
            context_settings=HELP,
        )(command)
    return app


def _of_all(
    version: Annotated[
        bool,
        typer.Option(
            "--version", is_eager=True, callback=lambda wanted: wanted and _tell_version(), help="Versions of all."
        ),
    ] = False,
) -> None:
    """What stands before the commands."""


def _tell_version() -> None:
    from configs.version import version_lines  # here: it reads what is installed

    typer.echo("\n".join(version_lines()))
    raise typer.Exit


def command_line(add: str, without: str) -> str:
    """The command that runs now, to be typed again with one option more and one less."""
    words = [word for word in _given if word != without]
    return shlex.join(words if add in words else [*words, add])


def refuse(reason: str, code: int, begin: str = "maskstream: error") -> int:
    """Say in one line what is wrong; gives the exit code back."""
    typer.echo(f"{begin}: {visible(redact(' '.join(reason.split())))}", err=True)
    return code
