"""Waits until shards on Ray are as they are to be."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from configs.errors import Failure
from fleet.engine import Say
from fleet.ray_cluster import Cluster
from fleet.ray_shard import Answer

LOOK_S = 0.25
Holds = Callable[[dict[str, Answer]], bool]
"""Whether it is so, of the shards that answer. It may raise."""


def until(cluster: Cluster, shards: Sequence[str], holds: Holds, within_s: float) -> dict[str, Answer]:
    """What shards answer when it holds. Raises Failure if it does not within the time, with how they stand."""
    deadline_s = time.monotonic() + within_s
    while True:
        answers = cluster.answers(shards)
        if holds(answers):
            return answers
        if time.monotonic() > deadline_s:
            stands = [
                f"{name} is {answers[name].status.kept.state} on {answers[name].status.host} "
                f"({answers[name].status.kept.line or 'no complaint'})"
                if name in answers
                else f"{name} does not answer: no host of its site has room for it, or it is starting"
                for name in shards
            ]
            raise Failure(f"not within {within_s:g} s: {'; '.join(stands)}")
        time.sleep(LOOK_S)


def until_ended(cluster: Cluster, shards: Sequence[str], within_s: float, say: Say) -> None:
    """Raises Failure if they do not end within the time, as what waits is not delivered."""
    told: set[str] = set()

    def ended(answers: dict[str, Answer]) -> bool:
        for name, answer in answers.items():
            if name not in told and answer.status.kept.state in ("ended", "fenced"):
                told.add(name)
                say(f"{name}: drained on {answer.status.host}")
        return told >= set(shards)

    if shards:
        until(cluster, shards, ended, within_s)
