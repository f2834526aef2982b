"""Tells at what time of a video each frame stands."""

from __future__ import annotations

from transport.frame import Frame

PICTURE_MS = 500.0  # how long a picture from a folder is seen
FIRST_STEP_MS = 40.0  # taken for the time between frames while only one is known
USUAL_STEP_MS = 1000.0  # a longer one is a pause, and says nothing of the next
# A frame of an MP4 lasts 2**31 - 1 units at most, here 9 h 56 min. Of a longer one FFmpeg makes 1 unit, and 1 unit of
# each frame behind it: all that came after 10 h without a camera lay within a millisecond.
LONGEST_STEP_MS = 9.9 * 3.6e6


class Timeline:
    """Where a frame stands in the video, ms: a file's frames at their own times, a camera's at the time of capture,
    pictures at two per second. Always later than the frame before, by 9.9 hours at most: a file that starts over
    goes on in the video, and a longer pause is cut to that.

    >>> timeline = Timeline()
    >>> import numpy as np
    >>> picture = np.zeros((2, 2, 3), np.uint8)
    >>> [timeline.place(Frame("clip", 0, 0, picture, media_ms=ms)) for ms in (100.0, 140.0, 0.0, 40.0)]
    [0.0, 40.0, 80.0, 120.0]
    """

    def __init__(self) -> None:
        self._last_ms: float | None = None
        self._step_ms = FIRST_STEP_MS
        self._offset_ms: float | None = None

    def place(self, frame: Frame) -> float:
        """The place of the next frame."""
        if frame.name:
            place_ms = 0.0 if self._last_ms is None else self._last_ms + PICTURE_MS
        else:
            place_ms = self._by_time(frame)
        if self._last_ms is not None and place_ms - self._last_ms <= USUAL_STEP_MS:
            self._step_ms = place_ms - self._last_ms
        self._last_ms = place_ms
        return place_ms

    def _by_time(self, frame: Frame) -> float:
        time_ms = frame.captured_ns / 1e6 if frame.media_ms is None else frame.media_ms
        if self._offset_ms is None:
            self._offset_ms = -time_ms
        place_ms = time_ms + self._offset_ms
        if self._last_ms is None or 1 <= place_ms - self._last_ms <= LONGEST_STEP_MS:
            return place_ms
        step_ms = self._step_ms if place_ms - self._last_ms < 1 else LONGEST_STEP_MS
        self._offset_ms += self._last_ms + step_ms - place_ms
        return self._last_ms + step_ms
