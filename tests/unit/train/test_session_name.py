"""A run never writes over another one of its name without a word."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from configs.errors import InputError
from train.session.name import claimed_name, how_to_go_on, require_name

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def files(tmp_path):
    """The state and the model of a run that is not there yet."""
    return tmp_path / "m.state", tmp_path / "m.pth"


def refusal_of(state, model, resume=False, overwrite=False):
    with pytest.raises(InputError) as refusal:
        require_name(state, [model], resume, overwrite)
    return str(refusal.value)


def test_a_new_name_is_free(files):
    state, model = files
    require_name(state, [model], resume=False, overwrite=False)
    require_name(state, [model], resume=False, overwrite=True)
    assert "no unfinished run has this name; leave out --resume" in refusal_of(state, model, resume=True)


def test_an_unfinished_run_is_gone_on_with_or_begun_anew_or_left_alone(files):
    state, model = files
    state.touch()
    model.touch()  # its best epoch so far
    told = refusal_of(state, model)
    assert all(way in told for way in ("m.state", "--resume", "--overwrite", "--output"))
    require_name(state, [model], resume=True, overwrite=False)
    require_name(state, [model], resume=False, overwrite=True)
    assert "choose one" in refusal_of(state, model, resume=True, overwrite=True)


def test_a_finished_run_is_begun_anew_or_left_alone(files):
    state, model = files
    model.touch()
    told = refusal_of(state, model)
    assert all(way in told for way in ("m.pth", "--resume", "--overwrite", "--output"))
    require_name(state, [model], resume=False, overwrite=True)
    assert "m.pth is finished; --overwrite begins it anew" in refusal_of(state, model, resume=True)


def test_nothing_kept_is_said(files):
    assert how_to_go_on(files[0], 0, 10) == "stopped; nothing was kept yet"


HOLD = """
import sys
from pathlib import Path
from train.session.name import claimed_name
with claimed_name(Path(sys.argv[1]), [], resume=True, overwrite=False):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def other_process(files):
    """Another process that goes on with the run, and holds its name."""
    state, _ = files
    state.touch()
    command = [sys.executable, "-c", HOLD, str(state)]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout.readline() == b"held\n"
        yield process


@pytest.mark.parametrize(("resume", "overwrite"), [(True, False), (False, True), (False, False)])
def test_a_run_that_is_under_way_is_neither_gone_on_with_nor_begun_anew(files, other_process, resume, overwrite):
    state, model = files
    with pytest.raises(InputError) as refusal, claimed_name(state, [model], resume, overwrite):
        pass
    assert str(refusal.value).startswith(f"{state}: a run of this name is under way: ")
    assert "\n" not in str(refusal.value)


def test_a_killed_run_holds_its_name_no_longer_and_nothing_is_left(files, other_process):
    state, model = files
    other_process.kill()
    other_process.wait()
    with claimed_name(state, [model], resume=True, overwrite=False):
        pass
    assert [path.name for path in state.parent.iterdir()] == ["m.state"]


def test_a_refused_run_leaves_no_folder(tmp_path):
    state = tmp_path / "models" / "deep" / "m.state"
    with pytest.raises(InputError, match="no unfinished run"), claimed_name(state, [], resume=True, overwrite=False):
        pass
    assert list(tmp_path.iterdir()) == []
