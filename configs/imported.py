"""Functions by where they are, as `room.file:name`: imported when they are needed, or only looked at."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).resolve().parent.parent


def imported(place: str) -> Any:
    """The function, of which the module is imported for it.

    >>> imported("configs.plural:counted")(2, "face")
    '2 faces'
    """
    module, _, name = place.partition(":")
    return getattr(importlib.import_module(module), name)


def described(place: str) -> Callable[[], None]:
    """A function of the same name and docstring that does nothing, read from the source: nothing is imported.

    >>> described("web.commands:streams_command").__doc__.splitlines()[0]
    'Change the streams of a run that goes on (one with --sink web).'
    """
    import ast  # here: it is needed for lists of commands only

    module, _, name = place.partition(":")
    source = ast.parse((_ROOT / f"{module.replace('.', '/')}.py").read_bytes())
    [found] = [node for node in source.body if isinstance(node, ast.FunctionDef) and node.name == name]
    stand_in = named(place)
    stand_in.__doc__ = ast.get_docstring(found)
    return stand_in


def named(place: str) -> Callable[[], None]:
    """A function of the same name that does nothing."""

    def nothing() -> None: ...

    nothing.__name__ = place.partition(":")[2]
    return nothing


def name_of(function: str) -> str:
    """What a function is called as a command; `function` may say where it is.

    >>> name_of("train.detector.__main__:train_detector_command")
    'train-detector'
    """
    return function.rpartition(":")[2].removesuffix("_command").replace("_", "-")
