"""The table of runs: every run a row, what was not run is said, what is no run is named."""

import json

import cv2
import pytest

from configs.errors import InputError
from train.results import read_runs, results


@pytest.fixture
def write_run(tmp_path):
    """`write_run(name, mode="all", classes=3, rate=0.001, **accuracies of splits)`, below tmp_path/results."""

    def write(name, mode="all", weights="none", classes=3, rate=0.001, **accuracies):
        scores = {
            split: {"accuracy": value, "macro_f1": value - 0.05, "classes": {}, "ece": 0.01}
            for split, value in accuracies.items()
        }
        facts = {
            "name": name,
            "backbone": name.split("-")[0],
            "resnet_retrain_mode": mode,
            "weights": weights,
            "classes": list("abc")[:classes],
            "settings": {"batch_size": 64, "epochs": 10, "learning_rate": rate, "dataset": "faces"},
            "scores": scores,
            "git": None,
        }
        path = tmp_path / "results" / f"{name}.run.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(facts))

    return write


def cells(text):
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines()]


def test_every_run_is_a_row_of_the_table_and_of_the_plot(write_run, tmp_path):
    write_run("ResNet-x", mode="retrain", weights="imagenet", train=0.99, val=0.97, test=0.965)
    write_run("BasicCNN-slow", rate=0.0001, train=0.91, val=0.9, test=0.89)
    write_run("BasicCNN-fast", train=0.95, val=0.93, test=0.921)
    write_run("MobileNetV3-small", classes=2, train=0.9, val=0.8)
    results(tmp_path / "results", tmp_path / "table.md")
    header, line, *rows = cells((tmp_path / "table.md").read_text())
    assert header == [
        *("model", "training mode", "classes", "batch size", "epochs", "learning rate"),
        *("training accuracy", "validation accuracy", "test accuracy", "macro F1"),
    ]
    assert len(line) == len(header)
    assert rows == [
        ["MobileNetV3", "from scratch", "2", "64", "10", "0.001", "90.0 %", "80.0 %", "not run here", "not run here"],
        ["BasicCNN", "from scratch", "3", "64", "10", "0.001", "95.0 %", "93.0 %", "92.1 %", "0.871"],
        ["BasicCNN", "from scratch", "3", "64", "10", "0.0001", "91.0 %", "90.0 %", "89.0 %", "0.840"],
        ["ResNet", "retrain", "3", "64", "10", "0.001", "99.0 %", "97.0 %", "96.5 %", "0.915"],
    ]
    pytest.importorskip("matplotlib")
    assert cv2.imread(str(tmp_path / "table.png")) is not None


def test_rows_of_the_original_that_nobody_ran_are_there_when_asked_for(write_run, tmp_path, capsys):
    write_run("BasicCNN-a", train=0.9, val=0.9, test=0.9)
    write_run("ResNet-a", mode="retrain", weights="imagenet", classes=2, rate=0.01, train=0.9, val=0.9, test=0.9)
    results(tmp_path / "results", original=True)
    rows = cells(capsys.readouterr().out)[2:]
    done = [tuple(row[:6]) for row in rows if row[6:] != ["not run here"] * 4]
    assert done == [
        ("ResNet", "retrain", "2", "64", "10", "0.01"),  # a learning rate that the original did not try
        ("BasicCNN", "from scratch", "3", "64", "10", "0.001"),
    ]
    missing = [tuple(row[:6]) for row in rows if row[6:] == ["not run here"] * 4]
    models = (("BasicCNN", "from scratch"), ("ResNet", "not_retrain"), ("ResNet", "retrain"))
    twelve = {
        (*model, classes, "64", "60", rate) for model in models for classes in "23" for rate in ("0.001", "0.0001")
    }
    assert len(twelve) == 12
    assert set(missing) == twelve - {("BasicCNN", "from scratch", "3", "64", "60", "0.001")}
    assert len(missing) == 11


def test_two_runs_of_the_same_network_are_told_apart_by_a_name_of_their_own(write_run, tmp_path):
    write_run("BasicCNN-a", test=0.9)
    path = tmp_path / "results" / "BasicCNN-a.run.json"
    path.with_name("best.run.json").write_text(path.read_text().replace('"BasicCNN-a"', '"best"'))
    assert [run.model for run in read_runs(tmp_path / "results")] == ["BasicCNN", "BasicCNN (best)"]


@pytest.mark.parametrize("text", ["{", "[]", '{"name": "x"}', '{"scores": 3}', ""])
def test_a_file_that_is_no_run_is_named_and_left_out(write_run, tmp_path, caplog, text):
    write_run("BasicCNN-a", train=0.9, val=0.9, test=0.9)
    (tmp_path / "results" / "odd.run.json").write_text(text)
    assert [run.name for run in read_runs(tmp_path / "results")] == ["BasicCNN-a"]
    assert "odd.run.json: not the record of a training run" in caplog.text


def test_what_cannot_be_tabulated_is_said_in_one_line(write_run, tmp_path):
    with pytest.raises(InputError, match="nowhere: no such folder"):
        results(tmp_path / "nowhere")
    with pytest.raises(InputError, match="holds no record of a training run"):
        results(tmp_path)
    write_run("BasicCNN-a", test=0.9)
    with pytest.raises(InputError, match=r"ends in \.md"):
        results(tmp_path / "results", tmp_path / "table.txt")
