"""What is said before a training or an evaluation begins."""

import pytest

from train.session.overview import left_out_text, print_overview, splits_table

torch = pytest.importorskip("torch")
nn = torch.nn

from inference.networks import build_network, freeze  # noqa: E402
from train.session.overview import learning_share  # noqa: E402


def cells(table):
    return [list(column.cells) for column in table.columns]


def test_counts_shares_and_encoding_of_each_split():
    splits = {"train": ["mask"] * 3 + ["no_mask"], "val": ["mask", "no_mask"], "test": []}
    table = splits_table(["mask", "no_mask"], splits, "pictures")
    assert [str(column.header) for column in table.columns] == ["class", "encoded as", "train", "val", "test", "all"]
    _, encoded, train, val, test, together = cells(table)
    assert encoded == ["0", "1", ""]
    assert train == ["3 (75 %)", "1 (25 %)", "4 (67 %)"]
    assert val == ["1 (50 %)", "1 (50 %)", "2 (33 %)"]
    assert test == ["0", "0", "0 (0 %)"]
    assert together == ["4 (67 %)", "2 (33 %)", "6 (100 %)"]


def test_a_class_may_have_any_name(capsys):
    print_overview(["[a]", "[/b]"], {"all": ["[a]", "[/b]"]}, {"model": "[red]x[/red].pth"})
    told = capsys.readouterr()
    assert told.out == ""
    assert all(name in told.err for name in ("[a]", "[/b]", "model:     [red]x[/red].pth"))


def test_few_files_are_named_and_many_counted():
    assert (
        left_out_text({"too large": [str(number) for number in range(8)]})
        == "8 files: too large (0, 1, 2, 3, 4 and 3 more)"
    )


@pytest.mark.parametrize(
    ("mode", "share"),
    [
        ("not_retrain", "6,147 of 23,514,179 parameters (fc)"),
        ("retrain", "22,069,251 of 23,514,179 parameters (layer3, layer4, fc)"),
        ("all", "23,514,179 of 23,514,179 parameters"),
    ],
)
def test_how_many_parameters_learn(mode, share):
    network = build_network("ResNet", 3)
    freeze(network, mode)
    assert learning_share(network) == share
