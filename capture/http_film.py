"""Films by URL: every picture once, then the end, as of a file."""

from __future__ import annotations

from capture.decoder import Decoder
from capture.http_file import HttpFile
from capture.network import opened_decoder
from capture.picture import SourceLost
from capture.video import VideoFile
from configs.errors import InputError
from configs.redact import redact
from configs.schema import SourceConfig


class HttpFilm(VideoFile):
    """A film that a server sends. Raises SourceLost where it breaks off: opened again it goes on at its place."""

    def __init__(self, config: SourceConfig, file: HttpFile, start: int) -> None:
        self._config, self._file = config, file
        try:
            super().__init__(redact(config.source), config.loop, start)
        except (InputError, SourceLost):
            if file.broke:
                raise InputError(f"{redact(config.source)}: {file.broke}") from None
            raise

    def _open(self) -> Decoder:
        self._file.seek(0)
        return opened_decoder(self._config, self._file, {})

    def _warn_if_cut_off(self, count: int, played_ms: float) -> None:
        if self._file.broke:
            raise SourceLost(self._file.broke)
        super()._warn_if_cut_off(count, played_ms)

    def close(self) -> None:
        super().close()
        self._file.close()


class PlaylistFilm(VideoFile):
    """A film whose playlist (HLS, DASH) FFmpeg fetches."""

    def __init__(self, config: SourceConfig, options: dict[str, str], start: int) -> None:
        self._config, self._options = config, options
        super().__init__(redact(config.source), config.loop, start)

    def _open(self) -> Decoder:
        return opened_decoder(self._config, self._config.source, self._options)
