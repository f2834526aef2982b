"""What a run comes to in figures: each stage's rate and load, what the others wait for, all of it as JSON."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Any

import numpy as np

from configs.redact import redact
from share.errors import errors_told
from share.persons import persons_in
from share.told import mask_share
from tell.status import Status, StreamStatus
from transport.ledger import Ledger, percentile_ms
from transport.stage import row_of

LIMITS_AT = 0.85  # of its time, or of all cores: it has nothing left to give
REPORTED = ("maskstream", "numpy", "opencv-python", "onnxruntime", "onnxruntime-gpu", "torch", "pyzmq", "av")


def stage_figures(status: Status) -> dict[str, dict[str, Any]]:
    """Per stage: frames per second, busy share of its time, cores in use, mean frames in a batch, restarts.

    Behind them what the stage itself counts.
    """
    ran_s = max(1e-9, status.ran_s)
    return {
        name: {
            "fps": round(stage.frames / ran_s, 2),
            "busy": round(stage.busy_ns / 1e9 / ran_s / max(1, stage.members), 4),
            "cores": round(stage.cpu_ns / 1e9 / ran_s, 4),
            "batch_mean": round(stage.frames / stage.batches, 2) if stage.batches else 0.0,
            "restarts": stage.restarts,
            **stage.counts,
        }
        for name, stage in status.stages.items()
    }


def limited_by(status: Status) -> str | None:
    """The stage that all wait for: one that is busy nearly all the time; else, if all cores are, who most.

    The first is a process, where a stage has several; the second is the stage with all of them.
    """
    figures = stage_figures(status)
    busiest = max(figures, key=lambda name: figures[name]["busy"])
    if figures[busiest]["busy"] >= LIMITS_AT:
        return busiest
    cores: Counter[str] = Counter()
    for name, stage in figures.items():
        cores[row_of(name)] += stage["cores"]
    return max(cores, key=cores.__getitem__) if cores.total() >= LIMITS_AT * status.cores else None


def load_figures(status: Status) -> dict[str, Any]:
    """What limits, and each stage's rate and shares."""
    of_stages = {
        name: {key: figures[key] for key in ("fps", "busy", "cores")} for name, figures in stage_figures(status).items()
    }
    return {"limited_by": limited_by(status), "stages": of_stages}


def run_report(status: Status, lately: Status, ledgers: dict[str, Ledger], refused: dict[str, str]) -> dict[str, Any]:
    """The run as one JSON object; `lately` is of its last ten seconds, all else of the whole run.

    `refused` are sources that could not be used, and why.
    """
    persons = persons_in([stage.counts for stage in status.stages.values()])
    return {
        **status.about,
        "streams": {stream: ledger.as_json() | decoder_of(stream, status) for stream, ledger in ledgers.items()},
        "stages": stage_figures(status),
        **status.beside,
        "limited_by": limited_by(status),
        "last_10_s": load_figures(lately)
        | {
            "streams": {
                name: {"fps": round(stream.fps, 2), "age_ms": ages_ms(stream)}
                for name, stream in lately.streams.items()
            }
        },
        "persons": persons,
        "mask_share": mask_share(persons, errors_told(status.facts)).as_json,
        "refused": {name: redact(reason) for name, reason in refused.items()},
        "model": status.facts.get("model"),
        "detector": status.facts.get("detector"),
        "provider": status.facts.get("provider"),
        "encoder": status.facts.get("encoder"),
        "versions": {"python": sys.version.split()[0]} | versions(),
    }


def decoder_of(stream: str, status: Status) -> dict[str, str]:
    """What decodes a stream that is still there; of the demo and of single pictures nothing."""
    found = status.streams[stream].decoder if stream in status.streams else ""
    return {"decoder": found} if found else {}


def ages_ms(stream: StreamStatus) -> dict[str, float | None]:
    """Percentiles of the ages of its shown frames, ms."""
    return {f"p{percent}": percentile_ms(np.array(stream.ages), percent) for percent in (50, 95, 99)}


def versions() -> dict[str, str]:
    """The versions of what is installed of REPORTED."""
    from importlib import metadata  # brings the parser of e-mails; it is asked once, at the end

    found = {dist.name.lower(): dist.version for dist in metadata.distributions()}
    return {name: found[name] for name in REPORTED if name in found}
