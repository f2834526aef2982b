"""http:// and https:// URLs: a camera or a film, as the server's answer says."""

from __future__ import annotations

from msgspec.structs import replace

from capture.kind import Kind
from capture.picture import Place, Source
from configs.address import check_address, written
from configs.schema import SourceConfig


class HttpKind(Kind):
    """An http URL: snapshots, MJPEG, a live stream or a film."""

    name, called, written = "http", "an http URL", "http://..."
    modules = ("av", "capture.http_source")
    options = ("fps", "still_fps", "realtime", "loop", "decode", "wait", "open_timeout_s", "read_timeout_s")
    may_come_back = True
    has_packets = True

    def fits(self, text: str) -> bool:
        return text.lower().startswith(("http://", "https://"))

    def check(self, config: SourceConfig) -> None:
        check_address(config.source)

    def open(self, config: SourceConfig, place: Place) -> Source:
        from capture.http_source import open_http  # brings aiohttp: 0.3 s and 11 MB that others do not need

        return open_http(replace(config, source=written(config.source)), place)
