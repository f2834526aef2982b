"""The recipe of a run as YAML: `NAME.recipe.yaml` is written before the first epoch, `train --recipe FILE` replays it.

Its keys are the options of `train` with underscores. What belongs to the machine (device, workers) or to the files of
one run (names, folders) is not in it.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer
import yaml

from configs.errors import InputError
from configs.whole_file import write_bytes
from configs.yaml_file import read_yaml

OF_THE_RUN = {
    "device",
    "number_workers",
    "tensorboard",
    "resume",
    "overwrite",
    "output",
    "results",
    "as_json",
    "recipe_file",
}
"""Options that do not change what is learnt, but where, and what becomes of it."""


def write_recipe(path: Path, settings: Mapping[str, Any], data_fingerprint: str) -> None:
    """Write the options of a run; those that were left open stay so. Raises InputError where it cannot be written."""
    options = {name: value for name, value in settings.items() if name not in OF_THE_RUN and value not in (None, "")}
    about = (
        "# maskstream train --recipe THIS_FILE [DATASET] does the same again; options beside it win.\n"
        f"# Fingerprint of the pictures and labels it was made with: {data_fingerprint}\n"
    )
    text = yaml.safe_dump(options, sort_keys=False, allow_unicode=True, default_flow_style=False)
    write_bytes(path, (about + text).encode("utf-8", "surrogateescape"))


def take_recipe(context: typer.Context, file: Path | None) -> Path | None:
    """Let the options of the file stand for those that are not on the command line. Called while that is parsed."""
    if file is not None and not context.resilient_parsing:
        set_defaults(context, read_recipe(file), str(file))
    return file


def read_recipe(file: Path) -> dict[str, Any]:
    """The options in a recipe, not checked yet. Raises InputError for a file that is none."""
    _, options = read_yaml(file)
    if not isinstance(options, dict) or not options:
        raise InputError(f"{file}: not a recipe: it needs lines as `epochs: 10`")
    return {str(name).replace("-", "_"): value for name, value in options.items()}


def set_defaults(context: typer.Context, options: Mapping[str, Any], origin: str, *, every: bool = False) -> None:
    """Make `options` the defaults of the command that is parsed. Flags win over them.

    Only an unfinished run may set `every` one, its names and folders too. Raises InputError for an option that there
    is not, and for a value that cannot be used; both name `origin`, the file.
    """
    known = {param.name: param for param in context.command.params if every or param.name not in OF_THE_RUN}
    words: dict[str, Any] = {}
    for name, value in options.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            meant = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
            raise InputError(f"{origin}: {name}: train has no such option for a recipe; {meant}")
        if value is None:
            continue
        # as they would stand on the command line: YAML's True is a choice of --shuffle
        words[name] = [str(one) for one in value] if isinstance(value, list) else str(value)
        try:
            known[name].process_value(context, words[name])
        except typer.TyperException as error:  # type: ignore[attr-defined]
            raise InputError(f"{origin}: {name}: {reason_of(error)}") from None
    context.default_map = {**(context.default_map or {}), **words}


def reason_of(error: Exception) -> str:
    """What is wrong with a value, as one line.

    >>> reason_of(ValueError("Value error, 'x' is none of them.\\n"))
    "'x' is none of them"
    """
    return " ".join(str(error).split()).removeprefix("Value error, ").rstrip(".")
