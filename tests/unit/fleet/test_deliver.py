"""What cannot be given away without a run is said before anything is."""

import pytest

from configs.errors import InputError
from configs.file_lock import FileLock
from fleet.deliver import deliver
from run.lease import FILE

UPLOAD = "{sinks: ['record:rec/'], upload: 's3://video/{site}/{stream}/'}"


@pytest.mark.parametrize(
    ("overlay", "said"),
    [
        ("{sinks: ['record:rec/']}", "names no receiver of events"),
        (UPLOAD, "which site is this"),  # other keys than those of its run, else
    ],
)
def test_options_that_are_not_those_of_a_run_that_delivers_are_refused(tmp_path, overlay, said):
    (tmp_path / "shard.yaml").write_text(f"overlay: {overlay}\n")
    with pytest.raises(InputError, match=said):
        deliver("north-1", tmp_path, tmp_path / "shard.yaml", 1.0)


def test_without_options_it_is_said_that_they_are_needed(tmp_path):
    with pytest.raises(InputError, match="deliver needs the shard's options"):
        deliver("north-1", tmp_path, None, 1.0)


def test_a_shard_that_runs_delivers_itself(tmp_path):
    (tmp_path / "shard.yaml").write_text(f"overlay: {UPLOAD}\nrun: {{site: north}}\n")
    lock = FileLock(tmp_path / FILE)
    with pytest.raises(InputError, match="shard north-1 runs, and delivers itself"):
        deliver("north-1", tmp_path, tmp_path / "shard.yaml", 1.0)
    lock.release()
