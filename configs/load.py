"""Reads a YAML file and `--set` values into the options; refuses what is unknown, with path and line."""

from __future__ import annotations

import difflib
import re
import typing
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import yaml

from configs.errors import InputError
from configs.schema import PipelineConfig

_UNKNOWN = re.compile(r"unknown field `(?P<key>[^`]*)`")
_AT = re.compile(r" - at `\$(?P<path>[^`]*)`")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")


def load_config(file: Path | None, settings: Iterable[str] = (), given: dict[str, Any] | None = None) -> PipelineConfig:
    """The options of a YAML file, with `section.key=value` settings over them, and `given` (from flags) on top.

    `given` maps sections to values; its `sources` is a pair: source texts that replace those of the file (if any
    are given), and values that every source gets. Raises InputError with file, line and path of what is wrong.

    >>> load_config(None, ["detect.width=320"], {"classify": {"device": "cpu"}}).detect.width
    320
    """
    node: yaml.Node | None = None
    data: Any = {}
    if file is not None:
        node, data = _read(file)
    for setting in settings:
        _put(data, setting)
    _give(data, dict(given or {}))
    try:
        return msgspec.convert(data, PipelineConfig)
    except msgspec.ValidationError as error:
        raise InputError(_explain(str(error), file, node)) from None


def _give(data: dict[str, Any], given: dict[str, Any]) -> None:
    texts, changes = given.pop("sources", ([], {}))
    if texts:
        data["sources"] = [{"source": text} for text in texts]
    for source in data["sources"] if isinstance(data.get("sources"), list) else ():
        if isinstance(source, dict):
            source.update(changes)
            if isinstance(source.get("source"), int):
                source["source"] = str(source["source"])  # `source: 0` is how one writes a camera number
    for section, values in given.items():
        if values and isinstance(data.setdefault(section, {}), dict):
            data[section].update(values)


def _read(file: Path) -> tuple[yaml.Node | None, Any]:
    try:
        text = file.read_text(encoding="utf-8")
        node = yaml.compose(text, yaml.SafeLoader)
        data = yaml.safe_load(text)
    except OSError as error:
        raise InputError(f"cannot read {file}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f":{mark.line + 1}" if mark else ""
        raise InputError(f"{file}{where}: not YAML: {getattr(error, 'problem', None) or error}") from None
    if not isinstance(data, dict | None):
        raise InputError(f"{file}: must be sections (sources, detect, classify, overlay, run), got {data!r:.40}")
    return node, data or {}


def _put(data: dict[str, Any], setting: str) -> None:
    path, equals, text = setting.partition("=")
    keys = path.strip().split(".")
    if not equals or len(keys) < 2 or not all(keys):
        raise InputError(f"--set {setting}: write it as section.key=value, for example detect.width=320")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = text
    for key in keys[:-1]:
        data = data.setdefault(key, {})
        if not isinstance(data, dict):
            raise InputError(f"--set {setting}: {key} is not a section")
    data[keys[-1]] = value


def _explain(text: str, file: Path | None, node: yaml.Node | None) -> str:
    """msgspec's message with file and line, the full path of the option, and the nearest name that exists."""
    unknown, at = _UNKNOWN.search(text), _AT.search(text)
    steps: list[str | int] = [name or int(index) for name, index in _STEP.findall(at["path"])] if at else []
    if unknown:
        near = difflib.get_close_matches(unknown["key"], _names(steps), 1)
        steps.append(unknown["key"])
        text = f"unknown option{f', did you mean {near[0]}?' if near else ''}"
    line = _line(node, steps)
    where = "" if file is None else f"{file}: " if line is None else f"{file}:{line}: "
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".")
    return f"{where}{path or 'options'}: {_AT.sub('', text)}"


def _line(node: yaml.Node | None, steps: list[str | int]) -> int | None:
    """The line on which the option stands; None where it does not stand in the file."""
    line = None
    for step in steps:
        if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
            node = node.value[step]
            line = node.start_mark.line + 1
        elif isinstance(node, yaml.MappingNode):
            found = [(key, value) for key, value in node.value if key.value == step]
            if not found:
                return None
            line, node = found[0][0].start_mark.line + 1, found[0][1]
        else:
            return None
    return line


def _names(steps: list[str | int]) -> list[str]:
    """The option names that exist at a path."""
    kind: Any = PipelineConfig
    for step in steps:
        kind = typing.get_args(kind)[0] if isinstance(step, int) else typing.get_type_hints(kind).get(step, object)
    return list(typing.get_type_hints(kind))


def as_yaml(config: PipelineConfig) -> str:
    """All options as commented YAML, ready to be saved and changed."""
    lines: list[str] = []
    for section, kind in typing.get_type_hints(PipelineConfig).items():
        value = getattr(config, section)
        repeated = isinstance(value, tuple)
        lines += ["", f"{section}:"]
        for item in value if repeated else (value,):
            item_kind = typing.get_args(kind)[0] if repeated else kind
            first = "  - " if repeated else "  "
            for name, hint in typing.get_type_hints(item_kind, include_extras=True).items():
                reason = hint.__metadata__[0].description
                lines.append(f"{first}{name}: {_scalar(getattr(item, name))}  # {reason}")
                first = "    " if repeated else "  "
    return "\n".join(lines).lstrip() + "\n"


def _scalar(value: Any) -> str:
    plain = list(value) if isinstance(value, tuple) else value
    text = yaml.safe_dump(plain, default_flow_style=True, width=10**6).strip()
    return text.removesuffix("...").strip()
