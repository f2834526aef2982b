"""What each detector is known to see and to miss, so that it is told wherever its counts are shown."""

from __future__ import annotations

from msgspec import Struct

WIDE_PX, LIVE_PX = 1280, 320  # of the pictures in which it was measured: photographs; files, and cameras at least
MEASURED_ON = (
    "219 annotated faces of 40 px and more (146 masked, 41 bare, 32 wrongly masked) in 125 photographs that were "
    "not learnt from"
)


class Seen(Struct, frozen=True):
    """Shares of the annotated faces that were found, by how their mask is worn; false boxes for each photograph."""

    bare: float
    masked: float
    wrong: float
    false: float

    @property
    def misses(self) -> str:
        """In words: `15 % of bare, ...`."""
        bare, masked, wrong = (f"{100 * (1 - share):.0f} %" for share in (self.bare, self.masked, self.wrong))
        return f"{bare} of bare, {masked} of masked, {wrong} of wrongly masked faces"


# By `maskstream evaluate-detector`, those of less than 1280 px as a camera is searched; a test measures them again.
SEEN = {
    "haar": {
        LIVE_PX: Seen(0.80, 0.92, 0.94, 0.38),
        480: Seen(0.88, 0.93, 0.97, 0.49),
        640: Seen(0.85, 0.92, 0.97, 0.59),
        960: Seen(0.83, 0.92, 0.97, 0.64),
        WIDE_PX: Seen(0.93, 0.95, 0.97, 0.45),
    },
    "maskface": {
        LIVE_PX: Seen(0.80, 0.92, 0.94, 0.38),
        480: Seen(0.88, 0.93, 0.97, 0.49),
        640: Seen(0.85, 0.92, 0.97, 0.59),
        960: Seen(0.83, 0.92, 0.97, 0.65),
        WIDE_PX: Seen(0.93, 0.95, 0.97, 0.45),
    },
    "yunet": {
        LIVE_PX: Seen(1.00, 0.76, 0.88, 0.51),
        480: Seen(0.98, 0.88, 0.94, 0.74),
        640: Seen(0.95, 0.90, 0.97, 0.78),
        960: Seen(0.98, 0.96, 0.97, 0.82),
        WIDE_PX: Seen(0.95, 0.95, 0.97, 0.59),
    },
}


def known_misses(detector: str, width_px: int) -> str:
    """What a detector misses in photographs that are searched as wide, or less; empty where it was not measured.

    >>> known_misses("haar", 400)
    '20 % of bare, 8 % of masked, 6 % of wrongly masked faces in photographs searched 320 px wide'
    """
    if detector not in SEEN:
        return ""
    measured = max((width for width in SEEN[detector] if width <= width_px), default=LIVE_PX)
    return f"{SEEN[detector][measured].misses} in photographs searched {measured} px wide"
