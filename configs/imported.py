"""Functions by where they are, as `room.file:name`: imported when they are needed, or only looked at."""

from __future__ import annotations

import ast
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
    module, _, name = place.partition(":")
    source = ast.parse((_ROOT / f"{module.replace('.', '/')}.py").read_bytes())
    [found] = [node for node in source.body if isinstance(node, ast.FunctionDef) and node.name == name]

    def nothing() -> None: ...

    nothing.__name__, nothing.__doc__ = name, ast.get_docstring(found)
    return nothing
