"""How the share of masks is told, the same on the page, in reports and as JSON: what was counted, and adjusted."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import msgspec
from msgspec import Struct

from configs.plural import counted
from share.errors import KnownErrors
from share.estimate import estimate
from transport.frame import UNSURE


class MaskShare(Struct, frozen=True, kw_only=True):
    """The share of well-worn masks, 0 to 1, among `counted` persons whose label is known; None where it is not known.

    `raw` is as counted. `adjusted` is what is likeliest once known errors are taken out, `low` to `high` its 95 %
    interval. `errors` says which errors, or why none are known.
    """

    counted: int
    raw: float | None = None
    adjusted: float | None = None
    low: float | None = None
    high: float | None = None
    errors: str = ""

    @property
    def text(self) -> str:
        """In words, whole per cent.

        >>> MaskShare(counted=57, raw=0.82, adjusted=0.84, low=0.79, high=0.88).text
        '82 % wear a mask as it should be, of 57 persons; adjusted for known errors 84 % (95 % interval 79 to 88).'
        """
        if self.raw is None:
            return "Nobody was counted whose label is known."
        seen = f"{percent(self.raw)} % wear a mask as it should be, of {counted(self.counted, 'person')}"
        if self.adjusted is None or self.low is None or self.high is None:
            return f"{seen}; not adjusted: {self.errors}."
        likely = f"{percent(self.adjusted)} % (95 % interval {percent(self.low)} to {percent(self.high)})"
        return f"{seen}; adjusted for known errors {likely}."

    @property
    def as_json(self) -> dict[str, Any]:
        """All of it, shares to four digits."""
        fields = msgspec.structs.asdict(self)
        return {name: round(one, 4) if isinstance(one, float) else one for name, one in fields.items()} | {
            "text": self.text
        }


def mask_share(persons: Mapping[str, int], errors: KnownErrors | str) -> MaskShare:
    """The share of masks among persons by label. `unsure` is no label, and who was not seen is not without a mask.

    >>> mask_share({"mask": 3, "no_mask": 1, "unsure": 2}, "the errors of this model are not known").text
    '75 % wear a mask as it should be, of 4 persons; not adjusted: the errors of this model are not known.'
    """
    known = {label: count for label, count in persons.items() if label != UNSURE and count > 0}
    total = sum(known.values())
    about = errors if isinstance(errors, str) else errors.about
    if not total:
        return MaskShare(counted=0, errors=about)
    raw = sum(count for label, count in known.items() if is_mask(label)) / total
    if isinstance(errors, str):
        return MaskShare(counted=total, raw=raw, errors=about)
    if unknown := sorted(known.keys() - set(errors.classes)):
        return MaskShare(counted=total, raw=raw, errors=f"nothing is known of the errors about {unknown[0]!r}")
    likely = estimate(known, next(filter(is_mask, errors.classes)), errors)
    assert likely is not None
    return MaskShare(counted=total, raw=raw, adjusted=likely.share, low=likely.low, high=likely.high, errors=about)


def is_mask(label: str) -> bool:
    """Whether a class name is that of a mask worn as it should be, under the names that data sets give it.

    >>> [is_mask(label) for label in ("mask", "with_mask", "no_mask", "wrong_mask")]
    [True, True, False, False]
    """
    return re.sub("[^a-z]", "", label.lower()) in {"mask", "withmask", "masked", "maskon", "facemask", "wearingmask"}


def percent(share: float) -> int:
    return round(100 * share)
