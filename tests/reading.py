"""Reading a source by hand, as its capture stage does."""

from __future__ import annotations

from capture.picture import NotYet, Picture, Room, Source


def read(source: Source, room: Room) -> Picture | None:
    """The next picture, however often it is not there yet."""
    while True:
        try:
            return source.read(room)
        except NotYet:
            continue
