"""Films by URL: every picture once, then the end, as of a file."""

from __future__ import annotations

import logging

from capture.decoder import Decoder
from capture.http_file import HttpFile, HttpParts
from capture.kinds.film import Film
from capture.kinds.network import opened_decoder
from capture.picture import Picture, Place, Room, SourceLost
from configs.errors import InputError
from configs.redact import redact
from configs.schema import SourceConfig

log = logging.getLogger("capture")


class HttpFilm(Film):
    """A film that a server sends. Raises SourceLost where it breaks off: opened again it goes on at its place."""

    def __init__(self, config: SourceConfig, file: HttpFile, place: Place) -> None:
        self._config, self._file = config, file
        try:
            super().__init__(redact(config.source), config.loop, place, config.fps)
        except (InputError, SourceLost):
            if file.broke:
                raise InputError(f"{redact(config.source)}: {file.broke}") from None
            raise

    def read(self, room: Room) -> Picture | None:
        """The next picture, or None at the end. Where the film begins again its server may be away: it is lost then."""
        try:
            return super().read(room)
        except InputError as error:
            raise SourceLost(str(error)) from None

    def _open(self) -> Decoder:
        self._file.seek(0)
        return opened_decoder(self._config, self._file, {}, copy=self._copy)

    def _warn_if_cut_off(self, count: int, played_ms: float) -> None:
        if self._file.broke:
            raise SourceLost(self._file.broke)
        super()._warn_if_cut_off(count, played_ms)

    def close(self) -> None:
        super().close()
        self._file.close()


class PlaylistFilm(Film):
    """A film in segments (HLS). Raises SourceLost where it breaks off, as HttpFilm does."""

    def __init__(
        self, config: SourceConfig, url: str, parts: HttpParts | None, options: dict[str, str], place: Place
    ) -> None:
        self._config, self._url, self._parts, self._options = config, url, parts, options
        self._told = False
        super().__init__(redact(config.source), config.loop, place, config.fps)

    def read(self, room: Room) -> Picture | None:
        """The next picture, or None at the end. FFmpeg passes over a segment that broke off: the film is lost then."""
        try:
            picture = super().read(room)
        except InputError as error:  # where it begins again
            raise SourceLost(str(error)) from None
        if self._parts and self._parts.broke:
            raise SourceLost(self._parts.broke)
        if self._parts and self._parts.missing and not self._told:
            self._told = True
            log.warning("%s: the server does not have all segments of the film", self._path)
        return picture

    def _open(self) -> Decoder:
        return opened_decoder(self._config, self._url, self._options, parts=self._parts, copy=self._copy)

    def close(self) -> None:
        super().close()
        if self._parts:
            self._parts.close()
