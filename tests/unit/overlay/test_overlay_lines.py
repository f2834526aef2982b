"""Files of lines: whole lines, whatever happens to the disk, the file or the process."""

import math
import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from overlay.sinks import lines
from overlay.sinks.lines import Lines
from transport.stage import RunStart

ROOT = Path(__file__).resolve().parents[3]

# A file may grow to 1000 bytes here: a line of 300 is cut in the middle, as a full disk cuts it.
FULL = """
import math
import sys
from pathlib import Path
from overlay.sinks.lines import Lines
from transport.stage import RunStart
file = Lines(Path(sys.argv[1]), RunStart(math.inf, math.inf))
for number in range(5):
    try:
        file.write(b"%d" % number + b"x" * 298 + b"\\n")
    except OSError as error:
        print(number, error.strerror)
Path(sys.argv[1]).write_bytes(Path(sys.argv[1]).read_bytes()[:300])
file.write(b"after\\n")
"""


MANY = """
import sys
from pathlib import Path
from overlay.sinks.lines import Lines
file = Lines(Path(sys.argv[1]), shared=True)
for _ in range(200):
    file.write(9000 * sys.argv[2].encode() + b"\\n")
"""


def limited():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))


def test_a_line_that_finds_no_room_leaves_nothing_and_the_next_begins_at_a_line(tmp_path):
    path = tmp_path / "o.jsonl"
    program = [sys.executable, "-c", FULL, str(path)]
    ran = subprocess.run(program, cwd=ROOT, preexec_fn=limited, capture_output=True, text=True, check=True)
    assert ran.stdout == "3 File too large\n4 File too large\n"
    assert [line[:6] for line in path.read_text().splitlines()] == ["0xxxxx", "after"]


@pytest.mark.parametrize(
    ("there", "kept"),
    [
        (b"", b""),
        (b'{"a": 1}\n', b'{"a": 1}\n'),
        (b'{"a": 1}\n{"b": "cut o', b'{"a": 1}\n'),
        (b'{"a": 1}\n{"b": 2}', b'{"a": 1}\n{"b": 2}\n'),
        (b'{"cut o', b""),
    ],
)
def test_lines_that_are_there_stay_without_one_that_was_cut_off(tmp_path, there, kept):
    path = tmp_path / "e.jsonl"
    path.write_bytes(there)
    file = Lines(path)
    file.write(b"{}\n")
    file.close()
    assert path.read_bytes() == kept + b"{}\n"


def test_a_file_that_is_moved_away_begins_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(lines, "LOOK_S", 0.0)
    path = tmp_path / "e.jsonl"
    file = Lines(path, RunStart(math.inf, math.inf))
    file.write(b"1\n")
    path.rename(tmp_path / "e.jsonl.1")
    file.write(b"2\n")
    path.unlink()
    file.write(b"3\n")
    file.close()
    assert (tmp_path / "e.jsonl.1").read_bytes() == b"1\n"
    assert path.read_bytes() == b"3\n"


def test_several_processes_of_a_run_write_one_file(tmp_path):
    """The second one that opened it had emptied it again; and a line behind half a line would be none."""
    path = tmp_path / "o.jsonl"
    path.write_bytes(b"an earlier run's\n")
    os.utime(path, (1.0, 1.0))
    run = RunStart()
    first, second = Lines(path, run, shared=True), Lines(path, run, shared=True)
    first.write(b"1\n")
    second.write(b"2\n")
    with path.open("ab") as killed:
        killed.write(b'{"cut o')
    first.write(b"3\n")
    third = Lines(path, run, shared=True)
    third.write(b"4\n")
    for file in (first, second, third):
        file.close()
    assert path.read_bytes() == b"1\n2\n3\n4\n"


def test_lines_of_several_processes_never_mix(tmp_path):
    path = tmp_path / "o.jsonl"
    program = [sys.executable, "-c", MANY, str(path)]
    writers = [subprocess.Popen([*program, letter], cwd=ROOT) for letter in "ab"]
    assert [writer.wait() for writer in writers] == [0, 0]
    written = path.read_text().splitlines()
    assert sorted(written) == sorted(200 * ["a" * 9000, "b" * 9000])


def test_a_pipe_takes_lines_too(tmp_path):
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    file = Lines(path, RunStart(math.inf, math.inf))
    file.write(b"1\n")
    assert os.read(reader, 10) == b"1\n"
    os.close(reader)
    with pytest.raises(BrokenPipeError):
        file.write(b"2\n")
    file.close()
