"""The folder of a run is private, and a dead run's folder does not stay."""

import errno
import fcntl
import os
import stat
import tempfile
from pathlib import Path

import pytest

from configs.errors import InputError
from run.run_folder import living_runs, run_folder


@pytest.fixture(autouse=True)
def _runtime_dir(monkeypatch):
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:  # pytest's own are too deep for a socket path
        monkeypatch.setenv("XDG_RUNTIME_DIR", folder)
        yield


def test_only_this_user_may_enter_and_it_is_gone_afterwards():
    with run_folder() as folder:
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert not folder.exists()


def test_what_a_crashed_run_left_is_removed_and_a_living_run_is_not():
    with run_folder() as living:
        dead = living.parent / "maskstream-dead"
        dead.mkdir()
        (dead / "lock").touch()
        (dead / "detect").touch()
        with run_folder():
            assert living.exists()
            assert not dead.exists()


def test_a_folder_that_is_being_made_is_not_taken_for_a_dead_one(monkeypatch):
    lock = fcntl.flock

    def others_start_first(file, operation):
        if operation == fcntl.LOCK_EX:
            monkeypatch.setattr(fcntl, "flock", lock)
            with run_folder():
                pass
        lock(file, operation)

    monkeypatch.setattr(fcntl, "flock", others_start_first)
    with run_folder() as folder:
        assert (folder / "lock").exists()
        assert folder in living_runs()


def test_what_was_left_half_made_is_removed_in_time():
    with run_folder() as living:
        new, old = living.parent / ".maskstream-new", living.parent / ".maskstream-old"
        for folder in (new, old):
            folder.mkdir()
        os.utime(old, (0, 0))
        with run_folder():
            assert (new.exists(), old.exists()) == (True, False)


def test_a_place_that_does_not_take_it_is_passed_over(monkeypatch, tmp_path):
    for place in ("/proc", str(tmp_path / "gone"), "relative", "/" + "long" * 20, ""):
        monkeypatch.setenv("XDG_RUNTIME_DIR", place)
        with run_folder() as folder:
            assert folder.parent == Path(tempfile.gettempdir())
            assert folder in living_runs()


def test_where_no_place_takes_it_all_are_named(monkeypatch):
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/proc/none")
    monkeypatch.setattr(tempfile, "gettempdir", _no_place)
    monkeypatch.setattr(tempfile, "mkdtemp", _read_only)
    refused = r"/proc/none: Read-only file system; /tmp: Read-only file system"
    with pytest.raises(InputError, match=rf"no place for the run's sockets \({refused}\): set TMPDIR"), run_folder():
        pass


def _no_place():
    raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in []")


def _read_only(prefix, dir):
    raise OSError(errno.EROFS, os.strerror(errno.EROFS))
