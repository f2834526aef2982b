"""Reads a YAML file and `--set` values into the options; refuses what is unknown, with path and line."""

from __future__ import annotations

import difflib
import os
import re
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import msgspec
import yaml

from configs.errors import InputError
from configs.redact import learn_options
from configs.references import resolve
from configs.removed import REMOVED
from configs.schema import PipelineConfig
from configs.yaml_file import parse_yaml, read_yaml

_UNKNOWN = re.compile(r"unknown field `(?P<key>[^`]*)`")
_AT = re.compile(r" - at `\$(?P<path>[^`]*)`")
_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]")
_WAS_HIDDEN = re.compile(r"(?:^|[/=:#?&;])\*\*\*(?:$|[@/&;?#])")

Steps = list[str | int]


class GivenOptions:
    """The options as plain values, and where each of them was given: for the text of a refusal.

    `kind` is what the values are to become. Raises InputError where the file is no YAML or has no sections.
    """

    def __init__(self, file: Path | None, kind: type[Any] = PipelineConfig) -> None:
        self.file, self.kind = file, kind
        self.node: yaml.Node | None = None
        self.values: dict[str, Any] = {}
        self.settings: dict[tuple[str | int, ...], str] = {}  # path -> `--set path`, or nothing for a flag
        if file is not None:
            self.node, values = read_yaml(file)
            if not isinstance(values, dict | None):
                raise InputError(f"{file}: must be sections ({', '.join(typing.get_type_hints(kind))})")
            self.values = {key: value for key, value in (values or {}).items() if value is not None}

    def where(self, steps: Steps) -> str:
        """The file and line, or the setting, that gave an option; empty for a flag."""
        for end in range(len(steps), 0, -1):
            if tuple(steps[:end]) in self.settings:
                return self.settings[tuple(steps[:end])]
        if self.file is None:
            return ""
        line = _line(self.node, steps)
        return f"{self.file}: " if line is None else f"{self.file}:{line}: "

    def refusal(self, steps: Steps, reason: str) -> InputError:
        """What is raised for the option at `steps`: where it was given, its path, and the reason."""
        path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".")
        return InputError(f"{self.where(steps)}{path or 'options'}: {reason}")

    def converted(self, values: Any) -> Any:
        """The values as options; raises InputError that says what is wrong and where it stands."""
        try:
            config = msgspec.convert(values, self.kind)
            msgspec.json.encode(config)  # as it goes to the processes
            return config
        except UnicodeEncodeError as error:
            culprit = ascii(error.object)[1:-1]
            raise InputError(f"{culprit}: names that are not UTF-8 cannot be used: rename it, or link to it") from None
        except msgspec.ValidationError as error:
            raise self._explained(str(error)) from None

    def _explained(self, text: str) -> InputError:
        """msgspec's message with the full path of the option, and the nearest name that exists."""
        unknown, at = _UNKNOWN.search(text), _AT.search(text)
        steps: Steps = [name or int(index) for name, index in _STEP.findall(at["path"])] if at else []
        if unknown:
            near = difflib.get_close_matches(unknown["key"], _names(self.kind, steps), 1)
            steps.append(unknown["key"])
            text = f"unknown option{f', did you mean {near[0]}?' if near else ''}"
            text = REMOVED.get(".".join(map(str, steps)).removeprefix("defaults."), text)  # as a fleet has them
        elif "Invalid enum value" in text and (words := _words(self.kind, steps)):
            text = f"{_AT.sub('', text)}: give {' or '.join(words)}"
        return self.refusal(steps, _AT.sub("", text))


def load_config(
    file: Path | None,
    settings: Iterable[str] = (),
    given: dict[str, Any] | None = None,
    look_up: bool = True,
    environment: Mapping[str, str] = os.environ,
) -> PipelineConfig:
    """The options of a YAML file, with `section.key=value` settings over them, and `given` (from flags) on top.

    `given` maps sections to values; its `sources` is a pair: source texts that replace those of the file (if any
    are given), and values that every source gets. References are looked up in `environment`, but with `look_up=False`.
    Raises InputError with file, line and path of what is wrong.

    >>> load_config(None, ["detect.width=320"], {"classify": {"device": "cpu"}}).detect.width
    320
    """
    options, flags = GivenOptions(file), dict(given or {})
    texts, changes = flags.pop("sources", ([], {}))
    _as_meant(options.values)
    if texts:
        options.converted({"sources": options.values.get("sources", [])})  # what is replaced must be right, too
        options.values["sources"] = [{"source": text} for text in texts]
        options.settings["sources",] = ""
    for setting in settings:
        _put(options, setting)
    for number, source in enumerate(_list_of(options.values.get("sources"))):
        if isinstance(source, dict):
            source.update(changes)
            options.settings |= {("sources", number, name): "" for name in changes}
    for section, values in flags.items():
        if values and isinstance(options.values.setdefault(section, {}), dict):
            options.values[section].update(values)
            options.settings |= {(section, name): "" for name in values}
    config: PipelineConfig = options.converted(options.values)
    learn_options(config)
    if look_up:
        config = _looked_up(config, [], options, environment)
        learn_options(config)
    return config


def _as_meant(values: dict[str, Any]) -> None:
    """`source: 0` is how one writes a camera number, `sinks: [null]` the sink of that name."""
    for source in _list_of(values.get("sources")):
        if isinstance(source, dict) and type(source.get("source")) is int:
            source["source"] = str(source["source"])
    overlay = values.get("overlay")
    sinks = _list_of(overlay.get("sinks")) if isinstance(overlay, dict) else []
    sinks[:] = ["null" if sink is None else sink for sink in sinks]


def _list_of(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _put(options: GivenOptions, setting: str) -> None:
    """Put the value of a `--set` where its path says; elements of lists are counted from 0."""
    path, equals, text = setting.partition("=")
    keys = re.sub(r"\[(\w+)\]", r".\1", path.strip()).split(".")
    if not equals or len(keys) < 2 or not all(keys):
        raise InputError(f"--set {setting}: write it as section.key=value, for example detect.width=320")
    place: Any = options.values
    kind: Any = PipelineConfig
    steps: Steps = []
    for key, following in zip(keys, [*keys[1:], None], strict=True):
        step = _step(place, key, kind, f"--set {path}")
        steps.append(step)
        kind = _kind(kind, step)
        if following is None:
            place[step] = text if kind is str else _parsed(text, f"--set {path}")
        elif isinstance(place, dict):
            place = place.setdefault(step, [] if typing.get_origin(kind) is tuple else {})
        else:
            place = place[step]
    options.settings[tuple(steps)] = "--set "


def _step(place: Any, key: str, kind: Any, what: str) -> str | int:
    """The key, or the place in a list, of which one more than there are may be given."""
    if isinstance(place, dict):
        return key
    if not isinstance(place, list):
        raise InputError(f"{what}: there is nothing below {key!r}: it is no section")
    if not key.isdecimal() or int(key) > len(place):
        there = f"0 to {len(place) - 1}, and {len(place)} adds one" if place else "0 adds the first one"
        raise InputError(f"{what}: {key} is no place in this list: {there}")
    if int(key) == len(place):
        place.append({})
    return int(key)


def _parsed(text: str, what: str) -> Any:
    try:
        return parse_yaml(text)[1]
    except InputError as error:
        raise InputError(f"{what}: {error}") from None
    except yaml.YAMLError:
        return text


def _looked_up(value: Any, steps: Steps, options: GivenOptions, environment: Mapping[str, str]) -> Any:
    """The options with what their references stand for."""
    if isinstance(value, msgspec.Struct):
        fields = {
            name: _looked_up(getattr(value, name), [*steps, name], options, environment)
            for name in value.__struct_fields__
        }
        return msgspec.structs.replace(value, **fields)
    if isinstance(value, tuple):
        return tuple(_looked_up(item, [*steps, number], options, environment) for number, item in enumerate(value))
    if not isinstance(value, str):
        return value
    if _WAS_HIDDEN.search(value):
        raise options.refusal(
            steps, "*** stands for a secret that was not printed: write it, or a reference as ${NAME}"
        )
    if "${" not in value and not value.startswith("file:/"):
        return value
    try:
        return resolve(value, steps[:2] == ["overlay", "sinks"], environment)
    except InputError as error:
        raise options.refusal(steps, str(error)) from None


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


def _kind(kind: Any, step: str | int) -> Any:
    """The type of what lies one step further; object if there is no such thing."""
    if isinstance(step, int):
        return (typing.get_args(kind) or (object,))[0]
    found = typing.get_type_hints(kind).get(step, object) if isinstance(kind, type) else object
    sections = [one for one in typing.get_args(found) if isinstance(one, type) and issubclass(one, msgspec.Struct)]
    return sections[0] if type(None) in typing.get_args(found) and sections else found  # of `Section | None`


def _words(kind: Any, steps: Steps) -> list[str]:
    """What an option takes that takes certain words, or a number."""
    *section, name = steps
    for step in section:
        kind = _kind(kind, step)
    hint = typing.get_type_hints(kind)[str(name)]
    choices = [hint, *typing.get_args(hint)]
    words = [str(word) for one in choices if typing.get_origin(one) is typing.Literal for word in typing.get_args(one)]
    return ["a number"] * any(one in (int, float) for one in choices) + words


def _names(kind: Any, steps: Steps) -> list[str]:
    """The option names that exist at a path."""
    for step in steps:
        kind = _kind(kind, step)
    return list(typing.get_type_hints(kind))


def names_in(text: str | None) -> list[str] | None:
    """Class names from `a, b, c`."""
    return [name.strip() for name in text.split(",")] if text else None


def given(**values: Any) -> dict[str, Any]:
    """The options that were given, of flags that are None where they were not."""
    return {name: value for name, value in values.items() if value is not None}
