"""`maskstream` without a word tells what most people want, and at a terminal it asks."""

import os
import pty
import subprocess
import sys

import pytest
from program import ROOT

from tell.welcome import CHOICES, LINES

COMMAND = (sys.executable, "-c", "from run_pipeline import main; main()")


def test_without_a_terminal_it_only_tells():
    told = subprocess.run(COMMAND, cwd=ROOT, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL)
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.strip() == LINES.strip()
    for words in CHOICES.values():
        assert f"maskstream {' '.join(words)}" in LINES


@pytest.mark.parametrize(("typed", "said"), [(b"3\n", b"webcams here:"), (b"\n", b"Which one?"), (b"2\n", b"camera 0")])
def test_at_a_terminal_it_does_what_is_chosen(typed, said, tmp_path):
    ours, theirs = pty.openpty()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        COMMAND, cwd=tmp_path, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
    )
    os.close(theirs)
    os.write(ours, typed + b"\n")
    told = b""
    try:
        while piece := os.read(ours, 4096):
            told += piece
    except OSError:  # Linux's way to say that the other end is closed
        pass
    os.close(ours)
    process.wait(timeout=60)
    assert said in told
