"""One decision for each person: what the classifier said of a followed face, over time, taken together."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from transport.frame import UNSURE, Prediction

LEAST_LIKELY = 0.6  # a class below this is not said
SETTLED = 0.8  # a person of whom this much is certain is asked about every `refresh_ms`, others sooner
UNSETTLED_MS = 150.0
HALF_LIFE_MS = 300.0  # of an answer's weight: a mask that is taken off is seen at the next answer or the one after


class Person:
    """What was said of one track. Times are of the pictures, in ms: `asked_ms` is that of the newest crop sent."""

    def __init__(self) -> None:
        self.asked_ms: float | None = None
        self._heard_ms = 0.0
        self._weight = 0.0
        self._probabilities: np.ndarray | None = None

    def due(self, now_ms: float, refresh_ms: float) -> bool:
        """Whether to ask again: a new face at once, an unsettled one soon, a settled one every `refresh_ms`."""
        if self.asked_ms is None:
            return True
        settled = self._probabilities is not None and self._weight > 1 and self._probabilities.max() >= SETTLED
        return now_ms - self.asked_ms >= (refresh_ms if settled else min(refresh_ms, UNSETTLED_MS))

    def heard(self, probabilities: np.ndarray, at_ms: float) -> None:
        """Take in an answer (C,) about the picture of that time; older ones count less and less."""
        if self._probabilities is None:
            self._probabilities, self._weight = probabilities, 1.0
        else:
            kept = self._weight * 0.5 ** (max(at_ms - self._heard_ms, 0.0) / HALF_LIFE_MS)
            self._probabilities = (kept * self._probabilities + probabilities) / (kept + 1)
            self._weight = kept + 1
        self._heard_ms = at_ms

    def decision(self, classes: Sequence[str], now_ms: float, may_doubt: bool = True) -> Prediction | None:
        """What all answers say together; None before the first. Who may not doubt says the likeliest class."""
        if self._probabilities is None:
            return None
        best = int(self._probabilities.argmax())
        confidence = float(self._probabilities[best])
        label = UNSURE if may_doubt and confidence < LEAST_LIKELY else classes[best]
        by_class = dict(zip(classes, map(float, self._probabilities), strict=True))
        return Prediction(label, confidence, by_class, age_ms=max(now_ms - self._heard_ms, 0.0))
