"""Ratios of an earlier run, which those of this one must not fall behind."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from configs.errors import Failure, InputError


class Earlier(Struct):
    """What is needed of an earlier report."""

    ratios: dict[str, float]


def read_baseline(file: Path) -> dict[str, float]:
    """The ratios in a report that `benchmark --json` wrote, its last line. Raises InputError if it is none."""
    try:
        return msgspec.json.decode(file.read_bytes().strip().split(b"\n")[-1], type=Earlier).ratios
    except OSError as error:
        raise InputError(f"--baseline {file}: {error.strerror}") from None
    except msgspec.MsgspecError:
        raise InputError(f"--baseline {file}: not a report that benchmark --json wrote") from None


def check_baseline(now: Mapping[str, float], before: Mapping[str, float], tolerance: float) -> None:
    """Raises Failure if a ratio that both have is worse than before by more than the tolerance."""
    worse = []
    for name in sorted(now.keys() & before.keys()):
        better = before[name] / now[name] if "cpu" in name else now[name] / before[name]
        if better < 1 - tolerance:
            worse.append(f"{name} {now[name]:.3g}, was {before[name]:.3g}")
    if worse:
        raise Failure(f"slower than before by more than {tolerance:.0%}: {'; '.join(worse)}")
