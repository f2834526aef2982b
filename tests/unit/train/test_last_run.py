"""`--resume last` means the newest training of a classifier that was not finished, with all its options."""

import os

import pytest
import typer

from configs.errors import InputError
from train.__main__ import train
from train.session.state import FORMAT

torch = pytest.importorskip("torch")

app = typer.Typer()
app.command()(train)
COMMAND = typer.main.get_command(app)


def parsed(*arguments):
    return COMMAND.make_context("train", list(arguments)).params


@pytest.fixture(autouse=True)
def unfinished(tmp_path, monkeypatch):
    """`unfinished(path, age, **settings)` leaves the state of a run in the working folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "models").mkdir()

    def leave(name, age_s, **settings):
        torch.save({"format": FORMAT, "settings": settings}, tmp_path / name)
        os.utime(tmp_path / name, (1e9 - age_s, 1e9 - age_s))

    return leave


FACES = {"dataset": "faces", "backbone": "BasicCNN", "epochs": 9, "output": None, "results": None, "split_data": None}


def test_the_newest_gives_data_set_options_and_names(unfinished):
    unfinished("models/old.state", 100, **FACES | {"epochs": 3})
    unfinished("models/new-2.state", 10, **FACES, overwrite=True, as_json=True)
    unfinished("detector.state", 1, size="320")  # of train-detector
    options = parsed("--resume", "last", "--device", "auto")
    assert str(options["dataset"]) == "faces"
    assert (options["backbone"], options["epochs"], options["resume"]) == ("BasicCNN", 9, True)
    assert (str(options["output"]), str(options["results"])) == ("models/new-2.pth", "results")
    assert not options["overwrite"]
    assert not options["as_json"]
    assert options["device"] == "auto"


def test_a_run_with_an_output_of_its_own_keeps_its_results_beside_it(unfinished):
    unfinished("m.state", 1, **FACES | {"output": "m.pth"})
    options = parsed("--resume", "last")
    assert (str(options["output"]), options["results"]) == ("m.pth", None)


def test_where_there_is_none_the_folders_that_were_looked_into_are_named(unfinished):
    unfinished("detector.state", 1, size="320")
    with pytest.raises(InputError, match=r"no unfinished run in models/ and the current folder; .* --output NAME\.pth"):
        parsed("--resume", "last")


def test_an_older_state_that_does_not_say_its_data_set_asks_for_it(unfinished):
    unfinished("m.state", 1, backbone="BasicCNN")
    with pytest.raises(InputError, match=r"m\.state does not say its data set: name that instead of `last`"):
        parsed("--resume", "last")


def test_a_data_set_that_is_called_last_is_a_data_set(unfinished, tmp_path):
    assert str(parsed("last")["dataset"]) == "last"
    (tmp_path / "last").mkdir()
    assert str(parsed("last", "--resume")["dataset"]) == "last"
