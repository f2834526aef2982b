"""The demo that is built in, as a film."""

from __future__ import annotations

import time

from capture.demo import HEIGHT, WIDTH, DemoScene
from capture.kind import Kind
from capture.picture import Picture, Place, Room, Source
from capture.sieve import Sieve
from configs.schema import SourceConfig


class DemoKind(Kind):
    """The word `demo`."""

    name, called, written = "demo", "the demo", "demo"
    options = ("realtime", "loop", "fps")

    def fits(self, text: str) -> bool:
        return text == "demo"

    def size(self, config: SourceConfig) -> tuple[int, int]:
        return WIDTH, HEIGHT

    def open(self, config: SourceConfig, place: Place) -> Source:
        return Demo(config.loop, place.pictures, config.fps)


class Demo(Source):
    """The scene, from picture `start` on; with `loop` it begins again at its end, and `media_ms` goes on growing."""

    live = False

    def __init__(self, loop: bool = False, start: int = 0, fps: float | None = None) -> None:
        self._scene = DemoScene()
        self._loop = loop
        self.fps = self._scene.fps
        self._sieve, self._next = Sieve(fps), 0
        for _ in range(start):
            self._kept()
        self._sieve.taken()

    def read(self, room: Room) -> Picture | None:
        """The next picture, or None at the end."""
        index = self._kept()
        if index >= len(self._scene) and not self._loop:
            return None
        slot = room(HEIGHT, WIDTH)
        self._scene.picture(index % len(self._scene), slot)
        return Picture(slot, time.monotonic_ns(), 1000 * index / self.fps)

    def _kept(self) -> int:
        """The number of the next picture that is to be looked at."""
        while not self._sieve.keeps(self._next / self.fps):
            self._next += 1
        self._next += 1
        return self._next - 1

    def skipped(self) -> int:
        return self._sieve.taken()

    def close(self) -> None: ...
