"""Plays a film at its own rate, as if it were a camera."""

from __future__ import annotations

import time

from capture.picture import Picture, Room, Source

_LATE_NS = 1_000_000_000  # later than this the film goes on from now, as a camera would; nothing is made up for


class Realtime(Source):
    """A film (every picture of it has a position) as a live source: each picture comes when it is due.

    Like a camera's, its pictures have a time of capture and no position.
    """

    live = True

    def __init__(self, film: Source) -> None:
        self._film = film
        self._began_ns: int | None = None
        self.fps = film.fps

    @property
    def planes(self) -> bool:  # type: ignore[override]
        """Whether pictures may be given as planes: as of the film."""
        return self._film.planes

    @planes.setter
    def planes(self, wanted: bool) -> None:
        self._film.planes = wanted

    def read(self, room: Room) -> Picture | None:
        """The next picture, which is captured when it is due: the stage waits for that. None at the end."""
        picture = self._film.read(room)
        if picture is None or picture.media_ms is None:
            return picture
        now_ns, position_ns = time.monotonic_ns(), round(picture.media_ms * 1e6)
        if self._began_ns is None or now_ns - (self._began_ns + position_ns) > _LATE_NS:
            self._began_ns = now_ns - position_ns
        return picture._replace(captured_ns=max(now_ns, self._began_ns + position_ns), media_ms=None)

    def skipped(self) -> int:
        return self._film.skipped()

    @property
    def decodes(self) -> str:
        return self._film.decodes

    def close(self) -> None:
        self._film.close()
