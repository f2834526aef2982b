"""The folder of a run is private, and a dead run's folder does not stay."""

import stat
import tempfile

import pytest

from transport.run_folder import run_folder


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
