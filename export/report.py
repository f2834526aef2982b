"""What is told of an export: a table for people, JSON beside the file, the same as one line if asked for."""

from __future__ import annotations

from pathlib import Path

import msgspec
from msgspec import Struct

from configs.console import console
from export.gate import Verdict


class Report(Struct):
    """Everything that is known of one export. `first_layer` is the precision of the first convolution.

    Sizes and speeds are of `torch`, of `fp32` and of the file itself.
    """

    model: str
    made_from: str
    kept: bool
    sha256: str
    backbone: str
    classes: tuple[str, ...]
    precision: str
    first_layer: str
    input: str
    opset: int
    device: str
    faces: str
    calibrated_on: str
    verdict: Verdict
    size_mb: dict[str, float]
    ms_per_face: dict[str, float]


def print_report(report: Report) -> None:
    """Two tables: what the gate found, and size and speed beside the original's."""
    from rich.table import Table

    print_checks(report.verdict, f"{report.model}: {report.precision}, tested on {report.faces}")
    if report.ms_per_face:
        speed = Table("network", "MB", "ms per face", "times as fast")
        for name, ms in report.ms_per_face.items():
            faster = report.ms_per_face["torch"] / ms
            speed.add_row(name, f"{report.size_mb[name]:.1f}", f"{ms:.2f}", f"{faster:.1f}")
        out = console()
        out.print(speed)
        out.print(f"from a crop to its logits, one face at a time, one thread; the files on {report.device}")


def print_checks(verdict: Verdict, title: str) -> None:
    from rich.table import Table
    from rich.text import Text

    checks = Table("check", "", "found", title=title)
    for check in verdict.checks:
        checks.add_row(check.name, Text("ok", "green") if check.passed else Text("NO", "red"), check.finding)
    console().print(checks)


def report_path(model: Path) -> Path:
    """Where the report of a file goes: m.report.json for m.onnx."""
    return model.with_suffix(".report.json")


def indented(report: Struct) -> bytes:
    return msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n"
