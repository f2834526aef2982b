"""What the fleet's page keeps over its own end."""

import json

import pytest
from test_collector import ONE, at, balanced, shard, told

from configs.errors import InputError
from fleet.serve_store import FILE, Store, rows


def kept(folder, **more):
    store = Store(folder)
    collector = store.read()
    collector.plan([shard()])
    collector.hear(told(**more), "192.0.2.5", at(1))
    store.write(rows(collector, ["north-0", "never-heard"]))
    store.close()


def test_what_was_written_is_read_again(tmp_path):
    kept(tmp_path / "a" / "b", epoch=7)
    store = Store(tmp_path / "a" / "b")
    collector = store.read()
    collector.plan([shard()])
    assert balanced(collector, 1).captured == 10
    assert collector.address("north-0") == "192.0.2.5:8081"
    assert collector.hear(told("2" * 16, 6), "h", at(2))[0].life == ONE
    store.drop(["north-0"], collector.past)
    store.close()
    store = Store(tmp_path / "a" / "b")
    assert store.read().lives == {}
    store.close()
    assert (tmp_path / "a" / "b").stat().st_mode & 0o777 == 0o700


def test_only_one_page_has_a_folder(tmp_path):
    store = Store(tmp_path)
    with pytest.raises(InputError, match="another fleet serve has it"):
        Store(tmp_path)
    store.close()
    Store(tmp_path).close()


def test_a_damaged_file_is_put_aside_and_said(tmp_path, caplog):
    kept(tmp_path)
    (tmp_path / FILE).write_bytes(b"no database, " * 1000)
    store = Store(tmp_path)
    assert store.read().lives == {}
    store.close()
    assert "damaged" in caplog.text
    assert (tmp_path / "serve.damaged").read_bytes().startswith(b"no database")
    kept(tmp_path)


def test_a_row_that_cannot_be_read_is_left_out_and_said(tmp_path, caplog):
    kept(tmp_path)
    store = Store(tmp_path)
    store.write({"south-0": json.dumps({"epoch": "seven"}).encode()})
    assert list(store.read().lives) == ["north-0"]
    store.close()
    assert "what is kept of south-0 cannot be read" in caplog.text


def test_a_place_that_cannot_be_used_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / FILE).mkdir()
    for folder in (tmp_path / "file", tmp_path / "file" / "below", tmp_path):
        with pytest.raises(InputError, match=r"give (another )?--folder"):
            Store(folder)
