"""Reading a history that somebody writes, that nobody may write, or that is broken; nothing is left beside it."""

import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from configs.errors import InputError
from events.event import Event, Ids, utc
from events.reading import read_history
from events.store import Store

ROOT = Path(__file__).resolve().parents[3]
IDS = Ids()


def event(number=0):
    return Event(id=IDS.next(1e9), time=utc(1e9 + number), rule="decision", stream="door", text="x", track=number)


@pytest.fixture
def path(tmp_path):
    """A history that was closed in order, of two events."""
    path = tmp_path / "media" / "e.db"
    store = Store(path)
    store.add(event(1))
    store.add(event(2))
    store.close()
    return path


def tracks(path):
    found, note = read_history(path)
    assert note == ""
    return [one.track for one in found]


def test_a_closed_one_is_read_without_a_trace(path):
    assert tracks(path) == [1, 2]
    assert [file.name for file in path.parent.iterdir()] == ["e.db"]


def test_one_that_is_being_written_is_read_up_to_now_also_while_a_transaction_is_open(path):
    store = Store(path)
    store.add(event(3))
    browser = sqlite3.connect(path, isolation_level=None)
    browser.execute("BEGIN EXCLUSIVE")
    assert tracks(path) == [1, 2, 3]
    browser.execute("ROLLBACK")
    store.add(event(4))
    assert tracks(path) == [1, 2, 3, 4]
    store.close()


def test_a_copy_of_one_in_use_has_its_newest_events_too(path, tmp_path):
    store = Store(path)
    store.add(event(3))
    (tmp_path / "copy").mkdir()
    for file in path.parent.glob("e.db*"):
        if not file.name.endswith("-shm"):
            shutil.copy(file, tmp_path / "copy")
    assert tracks(tmp_path / "copy" / "e.db") == [1, 2, 3]
    assert sorted(file.name for file in (tmp_path / "copy").iterdir()) == ["e.db", "e.db-wal"]
    store.close()


READ = """
import sys
from pathlib import Path
from events.reading import read_history
print([event.track for event in read_history(Path(sys.argv[1]))[0]])
"""


@pytest.mark.parametrize("state", ["closed", "killed", "copied"])
def test_read_only_media_are_read(path, state):
    if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("needs a mount namespace of its own (unshare -m)")
    if state != "closed":
        store = Store(path)
        store.add(event(3))
        for file in path.parent.glob("e.db*"):
            shutil.copy(file, path.parent / f"kept-{file.name}")
        store.close()
        for file in path.parent.glob("kept-*"):
            file.rename(path.parent / file.name.removeprefix("kept-"))
        if state == "copied":
            (path.parent / "e.db-shm").unlink()
    folder = path.parent
    mount = f"mount --bind {folder} {folder} && mount -o remount,ro,bind {folder}"
    script = f"{mount} && ! touch {folder}/x 2>/dev/null && exec {sys.executable} -c '{READ}' {path}"
    read = subprocess.run(["unshare", "-m", "sh", "-c", script], cwd=ROOT, capture_output=True, text=True)
    assert read.stdout == f"{[1, 2] if state == 'closed' else [1, 2, 3]}\n", read.stderr


@pytest.mark.parametrize("harm", ["torn", "zeros", "page"])
def test_a_damaged_one_is_one_line(path, harm):
    store = Store(path)
    for number in range(500):
        store.add(event(number))
    store.close()
    content = path.read_bytes()
    broken = {
        "torn": content[: len(content) // 2],
        "zeros": bytes(len(content)),
        "page": content[:8192] + b"\xff" * 8192 + content[16384:],
    }
    path.write_bytes(broken[harm])
    with pytest.raises(InputError, match=r"e\.db: is damaged, not all can be read") as error:
        read_history(path)
    assert "\n" not in str(error.value)
    assert path.read_bytes() == broken[harm]


def test_what_is_no_history_is_one_line_and_not_changed(tmp_path):
    path = tmp_path / "notes.db"
    with pytest.raises(InputError, match="no such file"):
        read_history(path)
    path.write_bytes(b"GIF89a" + bytes(1000))
    with pytest.raises(InputError, match="no SQLite file"):
        read_history(path)
    path.unlink()
    others = sqlite3.connect(path)
    others.execute("CREATE TABLE notes (text)")
    others.commit()
    before = path.read_bytes()
    with pytest.raises(InputError, match="another program"):
        read_history(path)
    assert path.read_bytes() == before
    assert sqlite3.connect(path).execute("PRAGMA journal_mode").fetchone() == ("delete",)
