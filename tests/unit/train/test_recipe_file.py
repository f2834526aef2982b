"""A recipe stands for the options that are not on the command line; what is wrong in it is named with the file."""

import pytest
import typer
import yaml

from configs.errors import InputError
from train.__main__ import train
from train.classifier.recipe_file import OF_THE_RUN, write_recipe

app = typer.Typer()
app.command()(train)
COMMAND = typer.main.get_command(app)


def parsed(*arguments):
    """The options as the command gets them."""
    return COMMAND.make_context("train", [str(argument) for argument in arguments]).params


@pytest.fixture
def recipe(tmp_path):
    def write(text):
        (tmp_path / "r.yaml").write_text(text)
        return tmp_path / "r.yaml"

    return write


def test_a_recipe_gives_data_set_and_options(recipe):
    file = recipe(
        "dataset: faces\nbackbone: BasicCNN\nepochs: 3\nlearning-rate: 0.01\nshuffle: False\namp: false\n"
        "split_data: [0.6, 0.2, 0.2]\nsize:\n"
    )
    options = parsed("--recipe", file)
    assert str(options["dataset"]) == "faces"
    assert (options["backbone"], options["epochs"], options["learning_rate"]) == ("BasicCNN", 3, 0.01)
    assert (options["shuffle"], options["amp"], options["size"]) == ("False", False, None)
    assert tuple(options["split_data"]) == (0.6, 0.2, 0.2)
    assert options["batch_size"] == parsed("faces")["batch_size"], "what it does not say is as without it"


def test_flags_win_over_the_recipe_wherever_they_stand(recipe):
    file = recipe("dataset: faces\nepochs: 3\namp: false\n")
    for arguments in (
        ("--recipe", file, "--epochs", 5, "others", "--amp"),
        ("--amp", "others", "--epochs", 5, "--recipe", file),
    ):
        options = parsed(*arguments)
        assert (str(options["dataset"]), options["epochs"], options["amp"]) == ("others", 5, True)


def test_what_a_run_wrote_gives_the_same_options_again(tmp_path):
    wanted = parsed(
        *("my faces", "--backbone", "BasicCNN", "--epochs", 7, "--ema", 0.9, "--split-data", 0.6, 0.2, 0.2),
        *("--seed", 4, "--no-amp", "--shuffle", "False", "--output", tmp_path / "m.pth", "--number-workers", 0),
    )
    settings = {name: str(value) if name in ("dataset", "output") else value for name, value in wanted.items()}
    write_recipe(tmp_path / "r.yaml", settings | {"split_data": [0.6, 0.2, 0.2]}, "f00d")
    again = parsed("--recipe", tmp_path / "r.yaml")
    differing = {name for name in wanted if again[name] != wanted[name]}
    assert differing == {"output", "recipe_file", "number_workers"}, "those belong to the run and the machine"
    text = (tmp_path / "r.yaml").read_text()
    assert "f00d" in text
    assert not OF_THE_RUN & set(yaml.safe_load(text))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("epochz: 3", "epochz: train has no such option for a recipe; did you mean epochs?"),
        ("output: m.pth", "output: train has no such option for a recipe; known are dataset, backbone"),
        ("epochs: many", "epochs: Input should be a valid integer"),
        ("epochs: 0", "epochs: Input should be greater than or equal to 1"),
        ("backbone: VGG", "backbone: 'VGG' is not one of"),
        ("split_data: [0.5, 0.5]", "split_data: 3 values are required, but 2 given"),
        ("epochs: {a: 1}", "epochs: "),
        ("- epochs", "not a recipe"),
        ("", "not a recipe"),
        ("epochs: 1\nepochs: 2", "epochs is given twice"),
        ("epochs: [", "not YAML"),
    ],
)
def test_what_cannot_be_used_is_one_line_with_file_and_option(recipe, text, said):
    file = recipe(text)
    with pytest.raises(InputError) as refusal:
        parsed("--recipe", file)
    assert str(refusal.value).startswith(str(file))
    assert said in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_recipe_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"lost\.yaml: cannot be read"):
        parsed("--recipe", tmp_path / "lost.yaml")
