"""Rules that make events: read from YAML, checked, and what each one asks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta, Struct, field

from configs.duration import milliseconds
from configs.errors import InputError
from configs.yaml_file import read_yaml

Share = Annotated[float, Meta(ge=0, le=1)]
Rectangle = tuple[Share, Share, Share, Share]


class Rule(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One rule.

    `kind`: `label` (a person has had `label` for so long), `people` (more than `more_than` persons are seen), `share`
    (of at least `at_least` persons more than this share wears no mask or wears it wrongly), `line` (a person's face
    crosses `line`). `zone` and `line` are x0, y0, x1, y1 as shares of the picture; in a zone count those whose face's
    middle is in it. After an event the rule is silent in that stream for `cool_down`.
    """

    name: str
    kind: Literal["label", "people", "share", "line"]
    label: str = ""
    more_than: float | None = None
    at_least: Annotated[int, Meta(ge=1)] = 1
    held: str = field(name="for", default="0.5s")
    cool_down: str = "30s"
    streams: tuple[str, ...] = ()
    zone: Rectangle | None = None
    line: Rectangle | None = None

    @property
    def held_ms(self) -> float:
        """For how long it must hold."""
        return milliseconds(self.held)

    @property
    def cool_down_ms(self) -> float:
        """For how long it is silent afterwards."""
        return milliseconds(self.cool_down)


class _File(Struct, frozen=True, forbid_unknown_fields=True):
    rules: tuple[Rule, ...]


def read_rules(path: str) -> tuple[Rule, ...]:
    """The rules of a YAML file. Raises InputError with the file and what is wrong."""
    try:
        rules = msgspec.convert(read_yaml(Path(path))[1], _File).rules
    except InputError as error:
        raise InputError(f"rules {error}") from None
    except msgspec.ValidationError as error:
        raise InputError(f"rules {path}: {' '.join(str(error).split())}") from None
    for rule in rules:
        wrong = _wrong_with(rule)
        if wrong:
            raise InputError(f"rules {path}: {rule.name!r}: {wrong}")
    if len({rule.name for rule in rules}) < len(rules):
        raise InputError(f"rules {path}: two rules have the same name")
    return rules


def _wrong_with(rule: Rule) -> str:
    """What a rule lacks; empty: nothing."""
    for span in (rule.held, rule.cool_down):
        milliseconds(span)
    if not rule.name or rule.name == "decision":
        return "needs another name"
    if rule.kind == "label" and not rule.label:
        return "kind label needs `label`"
    if rule.kind in ("people", "share") and rule.more_than is None:
        return f"kind {rule.kind} needs `more_than`"
    if rule.kind == "share" and not 0 <= (rule.more_than or 0) < 1:
        return "more_than of a share is between 0 and 1"
    if rule.kind == "line" and (rule.line is None or rule.line[:2] == rule.line[2:]):
        return "kind line needs `line: [x0, y0, x1, y1]` with two different ends"
    if rule.zone and not (rule.zone[0] < rule.zone[2] and rule.zone[1] < rule.zone[3]):
        return "zone is x0, y0, x1, y1 with x0 < x1 and y0 < y1"
    return ""
