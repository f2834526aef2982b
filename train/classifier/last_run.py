"""`train --resume last`: the newest run that was not finished, with the settings that it had."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from configs.errors import InputError
from inference.checkpoint import read_content
from train.classifier.recipe_file import set_defaults
from train.session.state import FORMAT

LAST = Path("last")
PLACES = ("models", ".")  # where a run is without --output, and where people put one with it
FLAGS = {"resume", "overwrite", "as_json", "recipe_file"}  # said anew, or not


def take_last(context: typer.Context, dataset: Path | None) -> Path | None:
    """Where the data set is called `last` and `--resume` was given, let the newest unfinished run give all options.

    Called while the command line is parsed. Raises InputError where there is none, naming where it looked.
    """
    if dataset != LAST or not context.params.get("resume") or LAST.is_dir() or context.resilient_parsing:
        return dataset
    state, settings = newest_unfinished(PLACES)
    model = state.with_suffix(".pth")
    if settings.get("output") is None:  # then they were in models/ and results/, not beside the checkpoint
        settings = {**settings, "results": settings.get("results") or "results"}
    options = {name: value for name, value in settings.items() if name not in FLAGS and value not in (None, "")}
    found = options.pop("dataset", None)
    if found is None:
        raise InputError(f"--resume last: {state} does not say its data set: name that instead of `last`")
    set_defaults(context, options | {"output": str(model)}, str(state), every=True)
    return Path(found)


def newest_unfinished(places: tuple[str, ...]) -> tuple[Path, dict[str, Any]]:
    """The newest state of a classifier's training in these folders, and its settings. Raises InputError for none."""
    states = [path for place in places for path in Path(place).glob("*.state")]
    for state in sorted(states, key=lambda path: path.stat().st_mtime_ns, reverse=True):
        content = read_content(state)
        settings = content.get("settings")
        if content.get("format") == FORMAT and isinstance(settings, dict) and "backbone" in settings:
            return state, settings  # those of train-detector have no backbone
    looked = " and ".join("the current folder" if place == "." else f"{place}/" for place in places)
    raise InputError(
        f"--resume last: no unfinished run in {looked}; in another folder: train DATASET --output NAME.pth --resume"
    )
