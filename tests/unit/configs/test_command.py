"""What the command line says of itself: help of all commands, in any width, and examples that are right."""

import shlex
import sys
import threading

import pytest
import typer
from typer.testing import CliRunner

from configs.command import command_line, new_app, run_command
from configs.errors import Stopped
from configs.imported import described, imported
from overlay.sinks import SINKS
from run_pipeline import ABOUT, COMMANDS
from train.classifier.options import plain_shares

APP = new_app([*map(imported, COMMANDS)], "maskstream", ABOUT)
COMMAND = typer.main.get_command(APP)
NAMES = sorted(COMMAND.commands)


def said(*arguments, columns="80"):
    outcome = CliRunner().invoke(APP, [*arguments], env={"COLUMNS": columns}, prog_name="maskstream")
    assert outcome.exit_code == 0, outcome.output
    return outcome.stdout


def letters(text):
    """Without white space: long words are broken in narrow columns."""
    return "".join(text.split())


@pytest.mark.parametrize("columns", ["40", "60", "80"])
def test_help_is_whole_in_any_width(columns):
    """Typer's panels cut names and texts with an ellipsis; nothing may be missing in a narrow terminal."""
    for name in ("", *NAMES):
        told = letters(said(*name.split(), "--help", columns=columns))
        assert "…" not in told

        parts = [COMMAND.commands[name]] if name else [*COMMAND.commands.values()]
        texts = [option.help for option in parts[0].params] if name else [part.short_help for part in parts]
        for text in filter(None, texts):
            assert letters(text) in told


@pytest.mark.parametrize("place", COMMANDS)
def test_the_list_of_commands_says_the_same_though_it_imports_none(place):
    [told], [listed] = (new_app([one], "").registered_commands for one in (imported(place), described(place)))
    assert (listed.name, listed.short_help, listed.help) == (told.name, told.short_help, told.help)


def test_h_is_help_of_every_command():
    for name in ("", *NAMES):
        assert said(*name.split(), "-h") == said(*name.split(), "--help")


def test_the_help_of_run_names_all_sinks_and_where_all_options_are():
    told = letters(said("run", "-h"))
    for form, _ in SINKS.values():
        assert letters(form) in told
    assert letters("--source demo --print-config shows them all") in told


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_in_the_help_are_lines_of_their_own_that_can_be_run(name):
    examples = [line.strip() for line in said(name, "-h").splitlines() if line.startswith("    maskstream")]
    assert examples
    command = COMMAND.commands[name]
    for line in examples:
        program, first, *arguments = shlex.split(line)
        assert (program, first) == ("maskstream", name)
        command.make_context(name, plain_shares(arguments))  # raises for an option that there is not


@pytest.mark.parametrize(
    ("stop", "said"),
    [(KeyboardInterrupt(), "stopped"), (Stopped("stopped; 2 of 3 are kept"), "stopped; 2 of 3 are kept")],
)
def test_ctrl_c_is_one_line_and_exit_code_130(stop, said, monkeypatch, capsys):
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)

    def work() -> None:
        raise stop

    with pytest.raises(SystemExit) as end:
        run_command([work], "python -m work", arguments=[])
    assert end.value.code == 130
    assert capsys.readouterr().err == f"maskstream: {said}\n"


def test_the_command_that_goes_on_is_the_one_that_ran(monkeypatch, capsys):
    monkeypatch.setattr(sys, "excepthook", sys.excepthook)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    lines = []

    def work(folder: str, overwrite: bool = False, resume: bool = False) -> None:
        lines.append(command_line(add="--resume", without="--overwrite"))

    for arguments in (["my faces", "--overwrite"], ["my faces", "--resume"]):
        with pytest.raises(SystemExit):
            run_command([work], "maskstream train", arguments=arguments)
    assert lines == ["maskstream train 'my faces' --resume"] * 2
