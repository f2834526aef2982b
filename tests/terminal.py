"""A command at a terminal, as somebody has it who types."""

import contextlib
import os
import pty
import subprocess
import sys
from pathlib import Path

from program import ROOT


def at_a_terminal(typed: str, *words: str, folder: Path) -> tuple[int, str]:
    """What `maskstream WORDS` says there until it ends, and its exit code."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", "from run_pipeline import main; main()", *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    os.write(ours, typed.encode())
    told = b""
    with contextlib.suppress(OSError):  # Linux's way to say that the other end is closed
        while piece := os.read(ours, 4096):
            told += piece
    os.close(ours)
    return process.wait(timeout=60), told.decode(errors="replace")
