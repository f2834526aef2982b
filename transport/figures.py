"""What a run comes to in figures: each stage's rate and load, what the others wait for, all of it as JSON."""

from __future__ import annotations

import importlib.metadata
import sys
import time
from typing import TYPE_CHECKING, Any

from configs.redact import redact
from transport.cores import usable_cores

if TYPE_CHECKING:
    from transport.supervisor import Supervisor

LIMITS_AT = 0.85  # of its time, or of all cores: it has nothing left to give
REPORTED = ("maskstream", "numpy", "opencv-python", "onnxruntime", "onnxruntime-gpu", "torch", "pyzmq", "av")


def stage_figures(supervisor: Supervisor) -> dict[str, dict[str, Any]]:
    """Per stage: frames per second, busy share of its time, cores in use, mean frames in a batch, restarts.

    Behind them what the stage itself counts.
    """
    now_s = time.monotonic()
    wall_s = max(1e-9, (supervisor.ended_s or now_s) - (supervisor.started_s or now_s))
    figures = {}
    for name, (members, work) in supervisor.work().items():
        figures[name] = {
            "fps": round(work.frames / wall_s, 2),
            "busy": round(work.busy_ns / 1e9 / wall_s / len(members), 4),
            "cores": round(work.cpu_ns / 1e9 / wall_s, 4),
            "batch_mean": round(work.frames / work.batches, 2) if work.batches else 0.0,
            "restarts": sum(p.restarts for p in members),
            **work.counts,
        }
    return figures


def limited_by(supervisor: Supervisor) -> str | None:
    """The stage that all wait for: one that is busy nearly all the time; else, if all cores are, who most."""
    figures = stage_figures(supervisor)
    busiest = max(figures, key=lambda name: figures[name]["busy"])
    if figures[busiest]["busy"] >= LIMITS_AT:
        return busiest
    if sum(stage["cores"] for stage in figures.values()) >= LIMITS_AT * (supervisor.cores or usable_cores()):
        return max(figures, key=lambda name: figures[name]["cores"])
    return None


def run_report(supervisor: Supervisor, refused: dict[str, str]) -> dict[str, Any]:
    """The run as one JSON object; `refused` are sources that could not be used, and why."""
    facts = supervisor.facts()
    return {
        "streams": {
            stream: supervisor.ledger(stream).as_json() for stream in (*supervisor.removed, *supervisor.streams)
        },
        "stages": stage_figures(supervisor),
        **supervisor.beside(),
        "limited_by": limited_by(supervisor),
        "refused": {name: redact(reason) for name, reason in refused.items()},
        "model": facts.get("model"),
        "detector": facts.get("detector"),
        "provider": facts.get("provider"),
        "versions": {"python": sys.version.split()[0]} | versions(),
    }


def versions() -> dict[str, str]:
    """The versions of what is installed of REPORTED."""
    found = {dist.name.lower(): dist.version for dist in importlib.metadata.distributions()}
    return {name: found[name] for name in REPORTED if name in found}
