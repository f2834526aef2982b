"""Ratios of an earlier run, which those of this one must not fall behind."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
from msgspec import Struct

from configs.errors import Failure, InputError

LESS_IS_BETTER = {"cpu", "age"}  # words in the name of a ratio
CHANGED = {  # why a ratio is not there although the pipeline was measured
    "pipeline_to_decode": "was against one process that converts to BGR, too; write a new baseline",
    "pipeline_to_decoding": "was against the best of FFmpeg's own tool and ours, and the tool is not here",
}


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


def not_compared(now: Mapping[str, float], before: Mapping[str, float]) -> list[str]:
    """Lines that say which ratios of the earlier run are left out, and why; none if all are compared."""
    missing = sorted(before.keys() - now.keys())
    changed = [name for name in missing if name in CHANGED and "pipeline_to_own_decoding" in now]
    others = [name for name in missing if name not in changed]
    lines = [f"{name}: {CHANGED[name]}" for name in changed]
    return lines + ([f"not measured this time: {', '.join(others)}"] if others else [])


def check_baseline(now: Mapping[str, float], before: Mapping[str, float], tolerance: float) -> None:
    """Raises Failure if a ratio that both have is worse than before by more than the tolerance."""
    worse = []
    for name in sorted(now.keys() & before.keys()):
        less_is_better = LESS_IS_BETTER & set(name.split("_"))
        better = before[name] / now[name] if less_is_better else now[name] / before[name]
        if better < 1 - tolerance:
            worse.append(f"{name} {now[name]:.3g}, was {before[name]:.3g}")
    if worse:
        raise Failure(f"slower than before by more than {tolerance:.0%}: {'; '.join(worse)}")
