"""A run notices that its code on disk is not what it began with."""

from run.code import fingerprint


def test_any_file_that_a_worker_may_import_counts_and_nothing_else(tmp_path):
    (tmp_path / "transport").mkdir()
    codec = tmp_path / "transport" / "codec.py"
    codec.write_text("VERSION = 1")
    before = fingerprint(tmp_path)
    codec.touch()
    (tmp_path / "transport" / "notes.txt").write_text("no code")
    (tmp_path / "train").mkdir()
    (tmp_path / "train" / "loop.py").write_text("no worker has it")
    assert fingerprint(tmp_path) == before
    codec.write_text("VERSION = 2")
    assert fingerprint(tmp_path) != before


def test_a_file_that_came_one_that_went_and_one_that_cannot_be_read_count(tmp_path):
    (tmp_path / "web").mkdir()
    prints = [fingerprint(tmp_path)]
    (tmp_path / "web" / "new.py").write_text("x")
    prints.append(fingerprint(tmp_path))
    (tmp_path / "web" / "new.py").unlink()
    (tmp_path / "web" / "new.py").symlink_to(tmp_path / "not there yet")
    prints.append(fingerprint(tmp_path))
    assert len(set(prints)) == 3
