"""The universal scalability law (N. J. Gunther): what more cores bring, and what keeps them from bringing more.

    X(N) = lambda N / (1 + sigma (N - 1) + kappa N (N - 1))

lambda is the throughput of one core. sigma is contention: the share of the work that waits for something that one has
at a time. kappa is coherence: what each pair of cores spends to agree, which makes more cores slower in the end.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

LEAST_POINTS = 3  # one for each of the three unknowns
EXACT = 1e-6  # what is less is rounding


class Law(Struct, frozen=True, kw_only=True):
    """The law fitted to `points` throughputs, and its largest relative error. `coherence` is None where two points
    leave it open: contention is then what it would be if there were no coherence.
    """

    per_core: float
    contention: float
    coherence: float | None
    misfit: float
    points: int

    def throughput(self, cores: float) -> float:
        """What it says of so many cores."""
        slowed = 1 + self.contention * (cores - 1) + (self.coherence or 0.0) * cores * (cores - 1)
        return self.per_core * cores / slowed

    @property
    def best_cores(self) -> float | None:
        """Where it says that more cores bring nothing more; None where there is no such number."""
        if not self.coherence:
            return None
        return max(1.0, math.sqrt(max(0.0, 1 - self.contention) / self.coherence))

    @property
    def told(self) -> str:
        """For the table."""
        if self.contention > 1:  # no share of the work
            return "two cores did less than one: a busy machine?"
        if self.coherence is None:
            return "two points do not determine coherence; contention as if there were none"
        exact = self.points == LEAST_POINTS and self.misfit < EXACT
        words = "three points fit exactly, none is left to check it" if exact else f"errs by {self.misfit:.1%} at most"
        if self.best_cores is None:
            return words
        return f"{words}; no gain beyond {self.best_cores:.0f} cores if it holds there"


def fit(throughputs: Mapping[int, float]) -> Law | None:
    """The law that fits throughputs by number of cores best, with the least relative errors and no negative part.

    None where it is not determined: of fewer than two numbers of cores, or where one of them has no throughput.

    >>> law = fit({1: 100.0, 2: 100 * 2 / 1.1, 4: 100 * 4 / 1.3})
    >>> round(law.per_core), round(law.contention, 3), round(law.coherence, 3)
    (100, 0.1, 0.0)
    >>> fit({1: 100.0, 2: 160.0}).coherence is None
    True
    """
    if len(throughputs) < 2 or min(throughputs.values()) <= 0:
        return None
    cores = np.array(sorted(throughputs), float)
    rates = np.array([throughputs[int(count)] for count in cores])
    # N / X(N) = (1 + sigma (N - 1) + kappa N (N - 1)) / lambda is linear; times X(N) / N each row is a relative error
    parts = np.column_stack([np.ones_like(cores), cores - 1, cores * (cores - 1)])
    known = parts.shape[1] if len(cores) >= LEAST_POINTS else 2
    inverse, contended, coherent = _not_negative((parts * (rates / cores)[:, None])[:, :known])
    law = Law(
        per_core=1 / inverse,
        contention=contended / inverse,
        coherence=coherent / inverse if known == parts.shape[1] else None,
        misfit=0.0,
        points=len(cores),
    )
    errors = [abs(law.throughput(count) / rate - 1) for count, rate in zip(cores, rates, strict=True)]
    return replace(law, misfit=float(max(errors)))


def _not_negative(rows: np.ndarray) -> tuple[float, float, float]:
    """Least squares of `rows @ x = 1` without a negative x: the best of all choices of which parts are zero."""
    best, least = np.zeros(3), math.inf
    optional = range(1, rows.shape[1])
    for count in range(rows.shape[1]):
        for chosen in itertools.combinations(optional, count):
            used = [0, *chosen]
            found = np.linalg.lstsq(rows[:, used], np.ones(len(rows)), rcond=None)[0]
            error = float(np.sum((rows[:, used] @ found - 1) ** 2))
            if found.min() >= 0 and found[0] > 0 and error < least - 1e-12:
                best, least = np.zeros(3), error
                best[used] = found
    return float(best[0]), float(best[1]), float(best[2])
