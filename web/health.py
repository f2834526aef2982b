"""Whether the run does what it is there for; if not, why."""

from __future__ import annotations

from transport.ledger import percentile_ms
from web.known import SILENT_S, Known

HUNG_S = 10.0  # it speaks twice a second, and once more often than that on a box with work for ten


def silence(known: Known) -> float:
    """For how long the supervisor has said nothing, if that is so long that it hangs; else 0. Seconds."""
    return known.age_s if known.age_s > HUNG_S else 0.0


def troubles(known: Known, age_budget_ms: float) -> list[str]:
    """What keeps the run from being ready; nothing: it is. One reason a line, each names who."""
    status = known.status
    if status is None:
        return ["the supervisor has not said anything yet"]
    if known.age_s > SILENT_S:
        return [f"the supervisor has said nothing for {known.age_s:.0f} s"]
    found = [f"{status.phase}, not running"] if status.phase != "running" else []
    found += [
        f"{name} is not ready"
        for name, process in status.processes.items()
        if not process.ready and not _has_ended(known, name)
    ]
    if not any(stream.state == "flowing" for stream in status.streams.values()):
        found.append("no stream is flowing")
    for name, stream in status.streams.items():
        age_ms = percentile_ms(known.recent_ages(name), 95)
        if stream.live and stream.state == "flowing" and age_ms is not None and age_ms > age_budget_ms:
            found.append(f"frames of {name} are {age_ms:.0f} ms old (95 %), more than {age_budget_ms:g}")
    return found


def _has_ended(known: Known, process: str) -> bool:
    stream = known.streams.get(process.removeprefix("capture-"))
    return stream is not None and stream.state == "ended"
