"""What comes from outside is printed as it is, wherever it is printed."""

import re
from pathlib import Path

import numpy as np
import pytest

from configs.console import console, visible
from configs.finding import Finding, show
from export.gate import Check, Verdict
from export.report import print_checks
from tell.progress import Progress, print_ledger
from transport.ledger import Ledger

ROOT = Path(__file__).resolve().parents[3]
ODD = ["[bold]x[/]", "[/]", "[/red]", "[train]", ":mask:", "[link=file:///x]y", "a[0]"]


@pytest.mark.parametrize("text", ODD)
def test_odd_names_are_printed_as_they_are(capsys, text):
    console().print(text)
    show(Finding("problem", text, text, f"do {text}"))
    print_checks(Verdict((Check(text, True, text),)), text)
    print_ledger({text: Ledger()}, text)
    Progress().say(text, f"x\tERROR\t{text}")
    seen = capsys.readouterr()
    assert (seen.out + seen.err).count(text) == 11


def test_doctor_says_how_to_install_what_trains(capsys, monkeypatch):
    from doctor import machine

    monkeypatch.setattr(machine.importlib.metadata, "distributions", lambda: ())
    for finding in machine.packages():
        show(finding)
    assert "pip install -e '.[train]'" in capsys.readouterr().out


def test_control_characters_are_written_out():
    assert visible("a\x1b[31m\x07é\tb\u202e") == "a\\x1b[31m\\x07é\tb\\u202e"


def test_classes_of_any_name_are_printed(capsys):
    from train.classifier.record import print_results
    from train.evaluate import print_report
    from train.score.metrics import score

    scores = score(np.eye(2), np.array([0, 1]), ["[/]", ":mask:"])
    print_results({"[bold]test": scores})
    share = {"recall": {}, "pictures": 1, "accuracy": 1, "accuracy_ci95": (0, 1), "macro_f1": 1}
    report = dict.fromkeys(("accuracy", "macro_f1", "temperature", "ece", "ece_calibrated", "images_per_s"), 1) | {
        "classes": {name: {"precision": 1, "recall": 1, "f1": 1, "support": 1} for name in ("[/]", ":mask:")},
        "confusion": [[1, 0], [0, 1]],
        "per_source": {"[/x]": share},
        "per_face_size": {},
        "per_kind": {},
        "per_group": {},
        "corrections": {"labels": []},
        "accuracy_ci95": (0, 1),
    }
    print_report(report)
    seen = capsys.readouterr().out
    assert seen.count("[/]") == 5
    assert seen.count(":mask:") == 5
    assert "[bold]test" in seen
    assert "[/x]" in seen


def test_there_is_one_way_to_the_terminal():
    """A console of its own, in a new command, would read markup again."""
    rooms = [path for path in ROOT.glob("*") if path.is_dir() and path.name not in ("tests", ".venv", "build", "out")]
    files = [*ROOT.glob("*.py"), *(file for room in rooms for file in room.rglob("*.py"))]
    assert len(files) > 100
    reads_markup = re.compile(r"\bConsole\(|\bTextColumn\(|from rich import|import rich\b|rich\.print|from_markup")
    found = [str(file.relative_to(ROOT)) for file in files if reads_markup.search(file.read_text())]
    assert found == ["configs/console.py"]
