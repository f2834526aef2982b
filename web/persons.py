"""How many persons were seen with each label over the last minutes: tracks, each counted once in a step of time."""

from __future__ import annotations

from collections import Counter, deque

from transport.frame import UNSURE

STEP_S = 10
STEPS = 60  # ten minutes


class Persons:
    """Takes in who was seen, second by second.

    >>> persons = Persons()
    >>> persons.saw(100.0, {"door": {1: "mask", 2: "no_mask"}})
    >>> persons.saw(101.0, {"door": {1: "mask", 2: "mask"}, "hall": {1: "unsure"}})
    >>> persons.series(115.0)
    {'step_s': 10, 'now': 110, 'steps': [[100, {'mask': 2, 'unsure': 1}]]}
    >>> persons.counted(115.0)
    {'mask': 2, 'unsure': 1}
    >>> persons.now("door", 105.0), persons.now("door", 115.0)
    ({'mask': 2}, {})
    """

    def __init__(self) -> None:
        self._steps: deque[tuple[int, dict[tuple[str, int], str]]] = deque(maxlen=STEPS)
        self._lately: dict[tuple[str, int], tuple[float, str]] = {}

    def saw(self, unix_s: float, streams: dict[str, dict[int, str]]) -> None:
        """Who was seen until now, by stream and track, with the newest label."""
        step = int(unix_s) // STEP_S * STEP_S
        if not self._steps or self._steps[-1][0] != step:
            self._steps.append((step, {}))
        for stream, tracks in streams.items():
            self._steps[-1][1].update({(stream, track): label for track, label in tracks.items()})
            self._lately.update({(stream, track): (unix_s, label) for track, label in tracks.items()})
        self._lately = {key: seen for key, seen in self._lately.items() if unix_s - seen[0] <= STEP_S}

    def series(self, unix_s: float) -> dict[str, object]:
        """Persons by label in each step: [Unix time, {label: persons}], oldest first; steps without anybody count."""
        now = int(unix_s) // STEP_S * STEP_S
        since = now - (STEPS - 1) * STEP_S
        steps = [[step, dict(Counter(sorted(seen.values())))] for step, seen in self._steps if step >= since]
        return {"step_s": STEP_S, "now": now, "steps": steps}

    def counted(self, unix_s: float) -> dict[str, int]:
        """Persons by label over all steps: each followed face once, with its newest label that is not `unsure`."""
        since = int(unix_s) // STEP_S * STEP_S - (STEPS - 1) * STEP_S
        labels: dict[tuple[str, int], str] = {}
        for step, seen in self._steps:
            if step >= since:
                labels |= {key: label for key, label in seen.items() if label != UNSURE or key not in labels}
        return dict(Counter(sorted(labels.values())))

    def now(self, stream: str, unix_s: float) -> dict[str, int]:
        """Persons by label in a stream, in the last ten seconds."""
        lately = [
            label for (name, _), (at_s, label) in self._lately.items() if name == stream and unix_s - at_s <= STEP_S
        ]
        return dict(Counter(lately))
