"""A command works on, whatever becomes of its standard output and standard error."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
LINES = 10000  # more than a pipe holds
WORK = """
import os, sys
from configs.command import run_command

def work():
    for number in range({lines}):
        print("line", number, file=sys.{stream})
    os.write(3, b"done")

run_command([work], "work", arguments=[])
"""


def run(redirections="", stream="stdout", stderr=subprocess.PIPE):
    """The exit code of a command whose shell line ends in these redirections, whether it came to its end, stderr."""
    read, write = os.pipe()
    line = f'exec 3>&{write}; "$0" -c "$1" {redirections}'
    command = ["bash", "-c", line, sys.executable, WORK.format(stream=stream, lines=LINES)]
    with os.fdopen(read, "rb") as end:
        done = subprocess.run(command, cwd=ROOT, pass_fds=[write], stderr=stderr, text=True, timeout=60)
        os.close(write)
        return done.returncode, end.read() == b"done", done.stderr


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize(
    "redirections", [">&-", "2>&-", ">&- 2>&- <&-", "2>&1 | head -1 >&2; exit ${PIPESTATUS[0]}", "2>/dev/full"]
)
def test_what_nobody_reads_is_left_out(stream, redirections):
    code, ended, said = run(redirections + (" >/dev/null" if redirections == "2>/dev/full" else ""), stream)
    assert (code, ended) == (0, True)
    assert "Traceback" not in said


def test_results_that_a_full_disk_does_not_take_are_an_error():
    code, ended, said = run(">/dev/full")
    assert (code, ended) == (1, False)
    assert said == "maskstream: error: standard output cannot be written: No space left on device\n"


def test_a_log_that_is_not_read_holds_nothing_up():
    read, write = os.pipe()
    code, ended, _ = run(stream="stderr", stderr=write)
    os.close(write)
    with os.fdopen(read, "rb") as reader:
        log = reader.read()
    assert (code, ended) == (0, True)
    assert log.startswith(b"line 0\nline 1\n")
    assert log.count(b"\n") < LINES


def test_a_name_that_cannot_be_shown_ends_nothing():
    work = WORK.replace('"line", number', 'chr(0xDCFF), "Küche"')  # a file name that is no UTF-8
    command = [sys.executable, "-c", work.format(stream="stdout", lines=1).replace('os.write(3, b"done")', "pass")]
    for encoding, shown in (("utf-8", "\\udcff Küche\n"), ("ascii", "\\udcff K\\xfcche\n")):
        environment = os.environ | {"PYTHONIOENCODING": encoding}
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True)
        assert (done.returncode, done.stdout.decode()) == (0, shown), done.stderr


def test_results_wait_for_a_slow_reader_also_through_a_pipe_that_does_not_block():
    read, write = os.pipe()
    os.set_blocking(write, False)
    lines = []

    def count():
        with os.fdopen(read, "rb") as reader:
            lines.extend(reader)

    reading = threading.Thread(target=count)
    reading.start()
    command = [sys.executable, "-c", WORK.format(stream="stdout", lines=LINES).replace('os.write(3, b"done")', "pass")]
    done = subprocess.run(command, cwd=ROOT, stdout=write, timeout=60)
    os.close(write)
    reading.join()
    assert done.returncode == 0
    assert len(lines) == LINES
