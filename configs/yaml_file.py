"""Reads YAML as people write it by hand: a key that is given twice is refused, because one of the two would be lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from configs.errors import InputError


def read_yaml(file: Path) -> tuple[yaml.Node | None, Any]:
    """The nodes of a YAML file, which know their lines, and its values. Raises InputError with file and line."""
    try:
        return parse_yaml(file.read_text(encoding="utf-8"), f"{file}:")
    except OSError as error:
        raise InputError(f"{file}: cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # ValueError: no UTF-8, or a date that is none
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}" if mark else ""
        reason = getattr(error, "problem", None) or error
        raise InputError(f"{file}{where}: not YAML: {reason}") from None


def parse_yaml(text: str, where: str = "line ") -> tuple[yaml.Node | None, Any]:
    """The same of a text; raises yaml.YAMLError, and InputError for a key that is given twice."""
    node = yaml.compose(text, yaml.SafeLoader)
    _refuse_doubles(node, where, set())
    return node, yaml.safe_load(text)


def _refuse_doubles(node: yaml.Node | None, where: str, seen: set[int]) -> None:
    if id(node) in seen:  # an alias, which may even lie within itself
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        lines: dict[tuple[str, str], int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if (key.tag, str(key.value)) in lines:
                first = lines[key.tag, str(key.value)]
                raise InputError(
                    f"{where}{line}: {key.value} is given twice, first in line {first}: remove one of them"
                )
            lines[key.tag, str(key.value)] = line
            _refuse_doubles(value, where, seen)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            _refuse_doubles(item, where, seen)
