"""What was found out about this machine, and how it is said."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct
from rich.text import Text

from configs.console import console

COLOURS = {"ok": "green", "warning": "yellow", "problem": "red"}

Level = Literal["ok", "warning", "problem"]


class Finding(Struct, frozen=True):
    """What was found about a subject; `remedy` says what to do where it is not ok."""

    level: Level
    subject: str
    found: str
    remedy: str = ""


def show(finding: Finding) -> None:
    """One line at the terminal, two where something is to be done."""
    line = Text.assemble((f"{finding.level:8}", COLOURS[finding.level]), f"{finding.subject}: {finding.found}")
    remedy = f"\n        {finding.remedy}" if finding.remedy else ""
    console(highlight=False, soft_wrap=True).print(line.append(remedy))
