"""What each detector is known to see and to miss, so that it is told wherever its counts are shown."""

from __future__ import annotations

from msgspec import Struct

WIDE_PX, LIVE_PX = 1280, 320  # widths of the pictures in which it was measured; the second is `detect.width`'s default
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


# By `maskstream evaluate-detector` (`--width 320` for the second), rounded; a test measures them again.
SEEN = {
    "haar": {WIDE_PX: Seen(0.88, 0.87, 0.81, 0.34), LIVE_PX: Seen(0.63, 0.70, 0.75, 0.11)},
    "maskface": {WIDE_PX: Seen(0.93, 0.95, 0.94, 0.75), LIVE_PX: Seen(0.78, 0.86, 0.97, 0.26)},
    "yunet": {WIDE_PX: Seen(0.95, 0.95, 0.97, 0.59), LIVE_PX: Seen(1.00, 0.76, 0.88, 0.51)},
}


def known_misses(detector: str, width_px: int) -> str:
    """What a detector misses in photographs that are searched about as wide; empty where it was not measured.

    >>> known_misses("haar", 400)
    '37 % of bare, 30 % of masked, 25 % of wrongly masked faces in photographs searched 320 px wide'
    """
    if detector not in SEEN:
        return ""
    nearest = LIVE_PX if width_px < (LIVE_PX + WIDE_PX) / 2 else WIDE_PX
    return f"{SEEN[detector][nearest].misses} in photographs searched {nearest} px wide"
