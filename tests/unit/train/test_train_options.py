"""The spellings of --split_data that the original project's README and help use."""

from pathlib import Path

import pytest

from configs.errors import InputError
from train.classifier.options import plain_settings, plain_shares


@pytest.mark.parametrize(
    "written",
    [
        ["--split_data", "0.7", "0.2", "0.1"],
        ["--split_data", "[0.7,", "0.2,", "0.1]"],
        ["--split_data", "[0.7, 0.2, 0.1]"],
        ["--split_data", "[0.7,0.2,0.1]"],
        ["--split_data", "[", "0.7,", "0.2,", "0.1", "]"],
        ["--split_data=[0.7,0.2,0.1]"],
        ["--split_data=0.7,0.2,0.1"],
        ["--split_data", "0.7,0.2,0.1"],
    ],
)
def test_shares_in_any_spelling_become_three_words(written):
    around = ["faces", *written, "--epochs", "2", "other"]
    assert plain_shares(around) == ["faces", "--split_data", "0.7", "0.2", "0.1", "--epochs", "2", "other"]
    assert plain_shares(written) == ["--split_data", "0.7", "0.2", "0.1"]


@pytest.mark.parametrize("arguments", [[], ["--split_data"], ["--split_data", "0.5", "0.5"], ["faces", "--epochs=2"]])
def test_other_arguments_stay_as_they_are(arguments):
    assert plain_shares(arguments) == arguments


def test_settings_are_what_json_can_hold_and_a_path_that_it_cannot_hold_is_named():
    assert plain_settings({"dataset": Path("my faces"), "split": (0.5, 0.5), "size": None}) == {
        "dataset": "my faces",
        "split": [0.5, 0.5],
        "size": None,
    }
    with pytest.raises(InputError, match=r"caf\\udce9': not UTF-8"):
        plain_settings({"dataset": Path("caf\udce9")})
