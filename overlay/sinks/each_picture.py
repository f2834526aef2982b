"""Which sinks are to have each picture of a camera, also while nothing moves before it."""

from __future__ import annotations

from typing import Literal

from configs.schema import OverlayConfig

STILL_FPS = 5.0  # who comes in slowly is seen within 200 ms; detect's gate looks each 90 at most
# A video has a rate, a player waits for the next picture, and a script that reads lines or images counts them. A page
# or a window shows the same room, `record:` has the camera's packets, and events are of persons.
EACH_PICTURE = frozenset({"file", "clips", "rtsp", "rtsps", "images", "jsonl"})


def still_fps(config: OverlayConfig) -> float | Literal["all"]:
    """How many pictures a second go on while nothing moves, where the user does not say it.

    >>> still_fps(OverlayConfig(sinks=("web", "record:week/"))), still_fps(OverlayConfig(sinks=("web", "file:o.mp4")))
    (5.0, 'all')
    """
    needs_each = config.privacy != "none" or any(sink.partition(":")[0] in EACH_PICTURE for sink in config.sinks)
    return "all" if needs_each else STILL_FPS
