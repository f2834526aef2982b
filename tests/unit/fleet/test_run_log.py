"""What a run prints does not grow for ever, and the line that matters is found in it."""

import json
import os

from fleet import run_log
from fleet.run_log import RunLog


def test_a_log_that_is_too_large_begins_anew_while_its_writer_goes_on(tmp_path, monkeypatch):
    monkeypatch.setattr(run_log, "LARGEST_BYTES", 100)
    log = RunLog(tmp_path)
    handle = log.open()
    os.write(handle, b"first\n" * 30)
    log.trim()
    os.write(handle, b"second\n")
    log.trim()
    assert (tmp_path / "run.log").read_text() == "second\n"
    assert (tmp_path / "run.log.1").read_text() == "first\n" * 30
    os.write(handle, b"third\n" * 30)
    log.trim()
    assert (tmp_path / "run.log.1").read_text() == "second\n" + "third\n" * 30  # only the last one is kept
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run.log", "run.log.1"]
    assert (tmp_path / "run.log.1").stat().st_mode & 0o077 == 0
    os.close(handle)


def test_the_last_line_is_of_the_life_of_now_and_tells_what_is_wrong(tmp_path):
    log = RunLog(tmp_path)
    assert log.last_line() == ""
    handle = log.open()
    os.write(handle, b"maskstream: error: of the life before\n")
    os.close(handle)
    handle = log.open()
    assert log.last_line() == ""
    lines = [
        {"level": "INFO", "process": "overlay", "message": "begins"},
        {"level": "WARNING", "process": "capture-door", "message": "away"},
        {"level": "INFO", "process": "supervisor", "message": "stream", "stream": "door"},
    ]
    os.write(handle, "".join(f"{json.dumps(line)}\n" for line in lines).encode())
    assert log.last_line() == "capture-door: away"
    os.write(handle, b"maskstream: error: x.yaml:3: unknown option\n")
    assert log.last_line() == "x.yaml:3: unknown option"
    os.close(handle)
