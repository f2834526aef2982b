"""What a finished run amounts to: the best checkpoint scored on all splits, pages to look at, a table."""

from __future__ import annotations

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
    for name, split in checked.data.splits.items():
        pixels, labels = read_resized(split, info.preprocessing.size)
        logits = logits_of(network, pixels, info.preprocessing, training.device, training.recipe.batch_size)
        probabilities = softmax(logits / np.float32(info.temperature))
        scores[name] = score(probabilities, labels, info.classes)
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
    files.state.unlink(missing_ok=True)
    print_results(scores)
    epoch = f"epoch {training.best.epoch} of {len(training.history)}"
    print(f"{files.model}: {epoch}; plots and figures in {files.results}")
    if not as_json:
        return
    pictures = {name: len(split) for name, split in checked.data.splits.items()}
    brief = {name: facts[name] for name in ("model", "classes", "best_epoch", "temperature")}
    print(msgspec.json.encode(brief | {"pictures": pictures, "results": str(files.results)} | scores).decode())
