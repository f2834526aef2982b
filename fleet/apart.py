"""Starts what is to outlive the one who starts it: a process in a session of its own, which writes its log itself."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from fleet.run_log import RunLog
from run.code import ROOT


def start_apart(
    words: Sequence[str], own_log: RunLog, environment: Mapping[str, str] = os.environ, cwd: Path | None = None
) -> subprocess.Popen[bytes]:
    """`python -P WORDS` of this installation. Raises OSError where the log cannot be written."""
    path = os.pathsep.join(filter(None, (str(ROOT), environment.get("PYTHONPATH"))))
    handle = own_log.open()
    try:
        return subprocess.Popen(
            [sys.executable, "-P", *words],
            cwd=cwd,
            env={**environment, "PYTHONPATH": path},
            stdin=subprocess.DEVNULL,
            stdout=handle,
            stderr=handle,
            start_new_session=True,
        )
    finally:
        os.close(handle)
