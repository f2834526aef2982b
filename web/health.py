"""Whether the run does what it is there for; if not, why."""

from __future__ import annotations

from transport.ledger import percentile_ms
from web.run_state import SILENT_S, RunState

HUNG_S = 10.0  # it speaks twice a second, and once more often than that on a box with work for ten


def silence(run_state: RunState) -> float:
    """For how long the supervisor has said nothing, if that is so long that it hangs; else 0. Seconds."""
    return run_state.age_s if run_state.age_s > HUNG_S else 0.0


def troubles(run_state: RunState, age_budget_ms: float) -> list[str]:
    """What keeps the run from being ready; nothing: it is. One reason a line, each names who."""
    status = run_state.status
    if status is None:
        return ["the supervisor has not said anything yet"]
    if run_state.age_s > SILENT_S:
        return [f"the supervisor has said nothing for {run_state.age_s:.0f} s"]
    found = [f"{status.phase}, not running"] if status.phase != "running" else []
    found += [
        f"{name} is not ready"
        for name, process in status.processes.items()
        if not process.ready and not _has_ended(run_state, name)
    ]
    if not any(stream.state == "flowing" for stream in status.streams.values()):
        found.append("no stream is flowing")
    for name, stream in status.streams.items():
        age_ms = percentile_ms(run_state.recent_ages(name), 95)
        if stream.live and stream.state == "flowing" and age_ms is not None and age_ms > age_budget_ms:
            found.append(f"frames of {name} are {age_ms:.0f} ms old (95 %), more than {age_budget_ms:g}")
    return found


def _has_ended(run_state: RunState, process: str) -> bool:
    stream = run_state.streams.get(process.removeprefix("capture-"))
    return stream is not None and stream.state == "ended"
