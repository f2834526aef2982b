"""A run never writes over another one of its name without a word."""

import pytest

from configs.errors import InputError
from train.claim import how_to_go_on, require_name


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
