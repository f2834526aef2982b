"""The demo that is built in, as a film."""

from __future__ import annotations

import time

from capture.demo import HEIGHT, WIDTH, DemoScene
from capture.kind import Kind
from capture.picture import Picture, Place, Room, Source
from configs.schema import SourceConfig


class DemoKind(Kind):
    """The word `demo`."""

    name, called, written = "demo", "the demo", "demo"
    options = ("realtime", "loop")

    def fits(self, text: str) -> bool:
        return text == "demo"

    def size(self, config: SourceConfig) -> tuple[int, int]:
        return WIDTH, HEIGHT

    def open(self, config: SourceConfig, place: Place) -> Source:
        return Demo(config.loop, place.pictures)


class Demo(Source):
    """The scene, from picture `start` on; with `loop` it begins again at its end, and `media_ms` goes on growing."""

    live = False

    def __init__(self, loop: bool = False, start: int = 0) -> None:
        self._scene = DemoScene()
        self._loop = loop
        self._next = start
        self.fps = self._scene.fps

    def read(self, room: Room) -> Picture | None:
        """The next picture, or None at the end."""
        index, self._next = self._next, self._next + 1
        if index >= len(self._scene) and not self._loop:
            return None
        slot = room(HEIGHT, WIDTH)
        self._scene.picture(index % len(self._scene), slot)
        return Picture(slot, time.monotonic_ns(), 1000 * index / self.fps)

    def close(self) -> None: ...
