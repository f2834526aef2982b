"""The help of `maskstream fleet` teaches lines that can be run."""

import shlex

import pytest
import typer.main
from typer.testing import CliRunner

from configs.command import new_app
from configs.imported import imported, name_of
from fleet.command import COMMANDS

APP = new_app([imported(place) for place in COMMANDS], "maskstream fleet")


@pytest.mark.parametrize("name", [name_of(place) for place in COMMANDS])
def test_the_examples_of_each_command_can_be_run(name):
    told = CliRunner().invoke(APP, [name, "-h"]).output
    examples = [line.strip() for line in told.splitlines() if line.startswith("    maskstream")]
    assert examples
    command = typer.main.get_command(APP).commands[name]
    for line in examples:
        program, fleet, first, *arguments = shlex.split(line)
        assert (program, fleet, first) == ("maskstream", "fleet", name)
        command.make_context(name, arguments)  # raises for an option that there is not
