"""What a finished run amounts to: the best checkpoint scored on all splits, pages to look at, a table."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from inference.backends.backend import softmax
from inference.checkpoint import load_checkpoint
from train.classifier.loop import logits_of
from train.classifier.record import RunFiles, data_facts, git_revision, print_results, versions, write_pages, write_run
from train.classifier.training import Training
from train.data.pictures import CheckedDataset, read_resized
from train.score.metrics import Scores, score
from train.score.run_page import RunPage, ScoredSplit, write_run_page
from train.session.name import command_typed
from train.session.overview import device_name


def finish(
    files: RunFiles,
    training: Training,
    checked: CheckedDataset,
    facts: dict[str, Any],
    as_json: bool = False,
) -> None:
    """Score the best checkpoint on all splits, leave plots and figures, and say so, also as a JSON line if asked to."""
    network, info = load_checkpoint(files.model)
    network.to(training.device)
    scores: dict[str, Scores] = {}
    answers: list[ScoredSplit] = []
    for name, split in checked.data.splits.items():
        pixels, labels = read_resized(split, info.preprocessing.size)
        logits = logits_of(network, pixels, info.preprocessing, training.device, training.recipe.batch_size)
        probabilities = softmax(logits / np.float32(info.temperature))
        scores[name] = score(probabilities, labels, info.classes)
        names = [row.file for row in checked.rows if row.split == name]
        answers.append(ScoredSplit(name, split.files, names, labels, probabilities))
    # of the last split: test, or val where there is no test
    write_pages(files, training, info.classes, name, split, pixels, probabilities)
    facts = {
        "name": files.name,
        "model": str(files.model),
        "classes": info.classes,
        **facts,
        "data": data_facts(checked),
        "versions": versions(),
        "git": git_revision(),
        "started": training.started,
        "seconds": sum(one.seconds for one in training.history),
        "best_epoch": training.best.epoch,
        "temperature": info.temperature,
        "scores": scores,
    }
    write_run(files.result("run.json"), facts)
    write_run_page(files.result("html"), page_of(files, training, answers, facts))
    files.state.unlink(missing_ok=True)
    print_results(scores)
    print(f"{files.model}: epoch {training.best.epoch} of {len(training.history)}, the best on validation")
    print(f"to look at: {files.result('html')}; all else of the run: {files.result('*')}")
    print(next_commands(files.model, str(facts["settings"]["dataset"])))
    if not as_json:
        return
    pictures = {name: len(split) for name, split in checked.data.splits.items()}
    brief = {name: facts[name] for name in ("model", "classes", "best_epoch", "temperature")}
    print(msgspec.json.encode(brief | {"pictures": pictures, "results": str(files.results)} | scores).decode())


def page_of(files: RunFiles, training: Training, answers: Sequence[ScoredSplit], facts: Mapping[str, Any]) -> RunPage:
    """What the page of the run shows."""
    pictures = facts["data"]["pictures"]
    revision = facts["git"]
    origins = {
        "started": facts["started"],
        "seconds in epochs": f"{facts['seconds']:.0f}",
        "device": device_name(training.device),
        "temperature": f"{facts['temperature']:.3f}",
        "fingerprint of the pictures": facts["data"]["fingerprint"],
        "labels corrected or left out": f"{len(facts['corrections']['labels'])} by {facts['corrections']['list']}",
        "broken pictures, left out": str(len(facts["data"]["skipped"])),
        "same picture in several splits or classes": str(len(facts["data"]["duplicates"])),
        "git": f"{revision['revision']}{', changed' if revision['changed'] else ''}" if revision else "none",
        **facts["versions"],
    }
    of_class = [[name, *(str(pictures[split].get(name, 0)) for split in pictures)] for name in facts["classes"]]
    settings = [[name, "" if value is None else str(value)] for name, value in facts["settings"].items()]
    batch = files.result("train_batch.jpg")
    return RunPage(
        title=files.name,
        about=(
            f"{files.model}: {facts['backbone']}, epoch {training.best.epoch} of {len(training.history)}, "
            "the best by macro F1 on validation.",
            f"The same again: maskstream train --recipe {shlex.quote(str(files.result('recipe.yaml')))}",
        ),
        command=command_typed(),
        classes=facts["classes"],
        splits=answers,
        tables=(
            ("pictures", ["class", *pictures], of_class),
            ("settings", ["option", "value"], settings),
            ("made with", ["what", "value"], [list(row) for row in origins.items()]),
        ),
        history=training.history,
        best=training.best.epoch,
        batch_jpeg=batch.read_bytes() if batch.is_file() else b"",
    )


def next_commands(model: Path, dataset: str) -> str:
    """What people do next with a model, as lines to be typed.

    >>> print(next_commands(Path("models/m.pth"), "my faces"))
    next: maskstream evaluate models/m.pth 'my faces'
          maskstream export models/m.pth -o models/m.onnx
          maskstream run --model models/m.onnx --source 0
    """
    exported = model.with_suffix(".onnx")
    lines = (
        ("evaluate", str(model), dataset),
        ("export", str(model), "-o", str(exported)),
        ("run", "--model", str(exported), "--source", "0"),
    )
    return "next: " + "\n      ".join(shlex.join(("maskstream", *words)) for words in lines)
