"""`maskstream` without a word tells what most people want, and at a terminal it asks."""

import subprocess
import sys

import pytest
from program import ROOT
from terminal import at_a_terminal

from tell.welcome import CHOICES, LINES

COMMAND = (sys.executable, "-c", "from run_pipeline import main; main()")


def test_without_a_terminal_it_only_tells():
    told = subprocess.run(COMMAND, cwd=ROOT, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.strip() == LINES.strip()
    for words in CHOICES.values():
        assert f"maskstream {' '.join(words)}" in LINES


@pytest.mark.parametrize(("typed", "said"), [("3\n\n", "webcams here:"), ("\n", "Which one?"), ("2\n", "camera 0")])
def test_at_a_terminal_it_does_what_is_chosen(typed, said, tmp_path):
    _, told = at_a_terminal(typed, folder=tmp_path)
    assert said in told
