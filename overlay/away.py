"""Tells which cameras are away: those that have been silent for a while."""

from __future__ import annotations

from transport.frame import Frame

AWAY_AFTER_S = 2.0  # a live stream that is silent for longer is shown as away
LOOK_EVERY_S = 0.4  # how often silent streams are looked for; less than the 0.5 s between empty batches


class AwayMonitor:
    """Knows when each live stream last had a frame, and when it is time to look again."""

    def __init__(self) -> None:
        self._heard_s: dict[str, float] = {}
        self._looked_s = 0.0

    def heard(self, frame: Frame, now_s: float) -> None:
        """A frame came."""
        if frame.live:
            self._heard_s[frame.stream] = now_s

    def due(self, now_s: float) -> bool:
        """True about twice a second, however fast the batches come."""
        if now_s - self._looked_s < LOOK_EVERY_S:
            return False
        self._looked_s = now_s
        return True

    def forget(self, stream: str) -> None:
        """The stream has ended, or was removed: it is not away."""
        self._heard_s.pop(stream, None)

    def silent_s(self, now_s: float) -> dict[str, float]:
        """The streams that are away, and for how long, s."""
        silent = {stream: now_s - heard_s for stream, heard_s in self._heard_s.items()}
        return {stream: seconds for stream, seconds in silent.items() if seconds > AWAY_AFTER_S}
