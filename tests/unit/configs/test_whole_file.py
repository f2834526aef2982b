"""Files appear whole or not at all, whatever kills their writer."""

import os
import random
import signal
import time

import pytest

from configs import whole_file
from configs.errors import InputError
from configs.whole_file import write_bytes, write_whole

SIZE = 4_000_000


def write_for_ever(path):
    """In a child: whole files of one letter each, one after the other."""
    number = 0
    while True:
        write_bytes(path, b"abcdefgh"[number % 8 :][:1] * SIZE)
        number += 1


def killed_at_some_moment(path, wait_s):
    child = os.fork()
    if not child:
        try:
            write_for_ever(path)
        finally:
            os._exit(1)
    time.sleep(wait_s)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


@pytest.fixture(params=["nameless", "named"])
def way(request, monkeypatch):
    """With the file system's nameless files, and as where there are none."""
    if request.param == "named":
        monkeypatch.setattr(whole_file, "open_nameless", lambda folder: None)
    return request.param


def test_a_kill_at_any_moment_leaves_the_old_file_or_the_new_one_and_nothing_else(tmp_path, way):
    path = tmp_path / "run.state"
    write_bytes(path, b"z" * SIZE)
    moments = random.Random(0)
    for _ in range(30):
        killed_at_some_moment(path, moments.uniform(0, 0.02))
        if way == "nameless":
            left = [entry for entry in tmp_path.iterdir() if entry != path]
            assert all(entry.stat().st_size == SIZE for entry in left)  # between its name and its place
        content = path.read_bytes()
        assert len(content) == SIZE
        assert len(set(content)) == 1
    write_bytes(path, b"new")
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == b"new"


def test_what_another_process_is_writing_stays(tmp_path, way):
    """Of two runs into one file neither takes the other's away."""
    path = tmp_path / "a"
    theirs = tmp_path / f".a.{os.getppid()}.unfinished"
    theirs.write_text("going on")
    write_bytes(path, b"ours")
    assert theirs.read_text() == "going on"
    assert path.read_bytes() == b"ours"


def test_permissions_are_those_of_any_new_file(tmp_path, way):
    before = os.umask(0o027)
    try:
        write_bytes(tmp_path / "a", b"1")
    finally:
        os.umask(before)
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o640


def test_what_fails_leaves_the_old_file(tmp_path, way):
    path = tmp_path / "a"
    path.write_text("old")

    def fail(partial):
        partial.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    with pytest.raises(InputError, match="a: cannot be written: No space left on device"):
        write_whole(path, fail)

    def stopped(partial):
        partial.write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(path, stopped)
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a"]


def test_a_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "a").write_text("")
    with pytest.raises(InputError, match=r"a/b: cannot be written: (Not a directory|File exists)"):
        write_bytes(tmp_path / "a" / "b", b"")
