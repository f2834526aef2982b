"""One decision for each person: what the classifier said of a followed face, over time, taken together."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from transport.frame import UNSURE, Prediction

LEAST_LIKELY = 0.6  # a class below this is not said
SETTLED = 0.8  # a person of whom this much is certain is asked about every `refresh_ms`, others sooner
UNSETTLED_MS = 150.0
HALF_LIFE_MS = 300.0  # of an answer's weight: a mask that is taken off is seen at the next answer or the one after
LOOK_EVERY_MS = 100.0  # how often a settled person's crop is compared with the one that was asked about
GLANCE_PX = 16  # a crop is compared as small as this: 75 us, AMD EPYC
GLANCE_FROM_ROW = 6  # hair and forehead tell nothing of a mask
SAME_LOOK = 0.92  # correlation; on the bench scene above .96 for 95 % of unchanged faces, .91 at most for changed masks
CHANGED_KEEPS = 0.3  # of the weight of answers about another look: they are mostly not about this one


class Request(NamedTuple):
    """A crop (H, W, 3) uint8 BGR that is to be classified, of whom, and the time of its picture, ms.

    `changed`: the person looked otherwise in the crop before.
    """

    person: PersonState
    crop: np.ndarray
    at_ms: float
    changed: bool


class PersonState:
    """The answers about one track. Times are of the pictures, in ms: `asked_ms` is that of the newest request.

    Who keeps the person notes down when its face was `seen_ms` last, and whether it is `hidden`, not in the last one.
    """

    def __init__(self) -> None:
        self.seen_ms, self.hidden = 0.0, False
        self.asked_ms: float | None = None
        self._back_ms = -math.inf
        self._asked_look: np.ndarray | None = None
        self._looked_ms = 0.0
        self._requests = self._answers = 0
        self._answered_ms = 0.0
        self._weight = 0.0
        self._probabilities: np.ndarray | None = None

    def come_back(self, now_ms: float) -> None:
        """The face was hidden and is there again: nothing is said of it until an answer about it as it is now.

        A mask may have been taken off meanwhile. The answers from before count with those to come, as any older ones.
        """
        self.asked_ms, self._back_ms = None, now_ms

    def due(self, now_ms: float, refresh_ms: float, crop: Callable[[], np.ndarray]) -> bool:
        """Whether to ask about this crop (H, W, 3) uint8, which is made if it is needed.

        A new face at once, an unsettled one soon. A settled one every `refresh_ms`, and soon when it no longer looks as
        it did.
        """
        if self.asked_ms is None:
            return True
        since_ms, settled = now_ms - self.asked_ms, self.settled
        if since_ms >= (refresh_ms if settled else min(refresh_ms, UNSETTLED_MS)):
            return True
        if not settled or since_ms < UNSETTLED_MS or now_ms - self._looked_ms < LOOK_EVERY_MS:
            return False
        self._looked_ms = now_ms
        return self._looks_otherwise(look_of(crop()))

    def depends_on_answers(self, now_ms: float, refresh_ms: float) -> bool:
        """Whether answers that are still to come decide if a crop of that time is due: they may settle the person.

        The first answer alone does not, and after `refresh_ms` it makes no difference.
        """
        if self.asked_ms is None or self._requests == self._answers or self._requests < 2:
            return False
        return min(refresh_ms, UNSETTLED_MS) <= now_ms - self.asked_ms < refresh_ms

    @property
    def settled(self) -> bool:
        """Whether the answers agree, there is more than one, and the newest is about the face as it is now."""
        if self._probabilities is None or self._answered_ms < self._back_ms:
            return False
        return self._weight > 1 and bool(self._probabilities.max() >= SETTLED)

    @property
    def urgency(self) -> tuple[bool, float]:
        """Who is to be asked about first sorts first: the new, then the unsettled, then who waits longest."""
        return self.settled, -math.inf if self.asked_ms is None else self.asked_ms

    def submit(self, crop: np.ndarray, at_ms: float) -> Request:
        """The request for a crop, remembered as the newest; its answer goes to `update`."""
        look = look_of(crop)
        changed = self._looks_otherwise(look)
        self.asked_ms, self._asked_look = at_ms, look
        self._requests += 1
        return Request(self, crop, at_ms, changed)

    def _looks_otherwise(self, look: np.ndarray) -> bool:
        return self._asked_look is not None and similarity(self._asked_look, look) < SAME_LOOK

    def update(self, request: Request, probabilities: np.ndarray) -> None:
        """Take in the answer (C,) to a request; older ones count less and less, least where the look has changed."""
        self._answers += 1
        if self._probabilities is None:
            self._probabilities, self._weight = probabilities, 1.0
        else:
            kept = self._weight * 0.5 ** (max(request.at_ms - self._answered_ms, 0.0) / HALF_LIFE_MS)
            kept *= CHANGED_KEEPS if request.changed else 1.0
            self._probabilities = (kept * self._probabilities + probabilities) / (kept + 1)
            self._weight = kept + 1
        self._answered_ms = request.at_ms

    def decision(self, classes: Sequence[str], now_ms: float, may_doubt: bool = True) -> Prediction | None:
        """What all answers say together; None before the first, and before the first of a face that is back.

        Who may not doubt says the likeliest class.
        """
        if self._probabilities is None or self._answered_ms < self._back_ms:
            return None
        best = int(self._probabilities.argmax())
        confidence = float(self._probabilities[best])
        label = UNSURE if may_doubt and confidence < LEAST_LIKELY else classes[best]
        by_class = dict(zip(classes, map(float, self._probabilities), strict=True))
        return Prediction(label, confidence, by_class, age_ms=max(now_ms - self._answered_ms, 0.0))


def look_of(crop: np.ndarray) -> np.ndarray:
    """The lower part of a crop (H, W, 3) uint8, tiny, (10, 16, 3) float32, without its brightness and contrast."""
    small = cv2.resize(crop, (GLANCE_PX, GLANCE_PX), interpolation=cv2.INTER_AREA)[GLANCE_FROM_ROW:].astype(np.float32)
    small -= small.mean(axis=(0, 1))
    return small / max(math.sqrt(np.vdot(small, small) / small.size), 1.0)


def similarity(one: np.ndarray, other: np.ndarray) -> float:
    """1 for the same look; the correlation where neither is of a single colour."""
    return 1 - float(np.square(one - other).mean()) / 2
