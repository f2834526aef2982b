"""Writes the reference of all options, docs/configuration.md, from the schema: `python -m configs.reference`."""

from __future__ import annotations

import inspect
import typing
from pathlib import Path
from typing import Any

import msgspec
from msgspec import inspect as types

from configs.schema import PipelineConfig

PAGE = Path(__file__).resolve().parent.parent / "docs" / "configuration.md"
_HEAD = """\
# Configuration

Each option may stand in a YAML file (`maskstream run --config cameras.yaml`) or be given as
`--set section.option=value`; the most used have a flag (`maskstream run --help`). A flag counts more than `--set`, that
more than the file. `maskstream run --print-config` prints all options with their values, as YAML to begin with. Secrets
are written as `${NAME}` or `file:/PATH` ([secrets.md](secrets.md)). An option that does not exist, or a value that it
does not take, is one line with file, line and path.

```yaml
sources:
  - {source: "rtsp://watcher:${DOOR_PASSWORD}@192.0.2.10/stream1", name: door, wait: true}
overlay:
  sinks: [web, "record:rec/"]
```

This page is made from the schema (`configs/schema.py`) by `python -m configs.reference`.
"""
_NUMBERS = ((types.IntType, "whole number"), (types.FloatType, "number"))
_WORDS = ((types.BoolType, "true, false"), (types.StrType, "text"), (types.NoneType, "empty"))
_LIMITS = (("ge", "at least"), ("gt", "above"), ("le", "at most"), ("lt", "below"))


def reference() -> str:
    """The page, as Markdown."""
    parts = [_HEAD]
    for section, kind in typing.get_type_hints(PipelineConfig).items():
        struct = (typing.get_args(kind) or (kind,))[0]
        info = types.type_info(struct)
        assert isinstance(info, types.StructType)
        about = inspect.cleandoc(struct.__doc__ or "").partition("\n\n")[0]
        each = ", one entry each" if typing.get_args(kind) else ""
        rows = [_row(field) for field in info.fields]
        head = "| option | values | default | what it is |\n|---|---|---|---|\n"
        parts.append(f"\n## {section}{each}\n{' '.join(about.split())}\n\n{head}" + "".join(rows))
    return "".join(parts)


def _row(field: types.Field) -> str:
    assert isinstance(field.type, types.Metadata)
    described = (field.type.extra_json_schema or {})["description"]
    default = "" if field.default is msgspec.NODEFAULT else _shown(field.default)
    cells = (f"`{field.name}`", _values(field.type.type), default or "(must be given)" * field.required, described)
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n"


def _shown(value: Any) -> str:
    if value in (None, "", ()):
        return "empty"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _values(kind: Any) -> str:
    """What an option takes, in words."""
    if isinstance(kind, types.Metadata):
        return _values(kind.type)
    if isinstance(kind, types.UnionType):
        return ", ".join(map(_values, kind.types))
    if isinstance(kind, types.LiteralType):
        return ", ".join(f"`{value}`" if value else "empty" for value in kind.values)
    if isinstance(kind, types.VarTupleType):
        return f"list of {_values(kind.item_type)}"
    for number, word in _NUMBERS:
        if isinstance(kind, number):
            return ", ".join([word, *(f"{said} {kind_limit:g}" for said, kind_limit in _limits(kind))])
    return next((word for other, word in _WORDS if isinstance(kind, other)), type(kind).__name__)


def _limits(kind: Any) -> list[tuple[str, float]]:
    return [(said, limit) for name, said in _LIMITS if (limit := getattr(kind, name)) is not None]


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
