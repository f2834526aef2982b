"""Delivers events by HTTP POST: one JSON object each, its id in a header, too."""

from __future__ import annotations

import base64
import http.client
import ssl
from urllib.parse import unquote, urlsplit

import msgspec

from configs.errors import InputError
from configs.redact import redact
from events.event import Event

TIMEOUT_S = 5.0
TRY_AGAIN = (408, 425, 429)  # what a receiver says who would take it later; other 4xx never will


class Webhook:
    """One URL. A picture goes along as base64 in `picture`."""

    def __init__(self, url: str) -> None:
        check_url(url)
        parts = urlsplit(url)
        self._secure, self._host, self._port = parts.scheme == "https", str(parts.hostname), parts.port
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        self._headers = {"Content-Type": "application/json", "User-Agent": "maskstream"}
        if parts.username:
            secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
            self._headers["Authorization"] = f"Basic {base64.b64encode(secret).decode()}"
        self._link: http.client.HTTPConnection | None = None

    def send(self, event: Event, picture: bytes | None) -> bool:
        """True: taken; False: it will never take this one. Raises OSError while it is away."""
        body = msgspec.to_builtins(event) | ({"picture": base64.b64encode(picture).decode()} if picture else {})
        try:
            if self._link is None:
                self._link = self._connect()
            self._link.request("POST", self._path, msgspec.json.encode(body), self._headers | {"X-Event-Id": event.id})
            answer = self._link.getresponse()
            answer.read(65536)
        except (http.client.HTTPException, OSError) as error:
            self.close()
            raise OSError(str(error) or type(error).__name__) from None
        if answer.will_close or answer.length:
            self.close()
        if 200 <= answer.status < 300:
            return True
        if 400 <= answer.status < 500 and answer.status not in TRY_AGAIN:
            return False
        raise OSError(f"it answers {answer.status} {answer.reason}")

    def _connect(self) -> http.client.HTTPConnection:
        if self._secure:
            trusted = ssl.create_default_context()
            return http.client.HTTPSConnection(self._host, self._port, timeout=TIMEOUT_S, context=trusted)
        return http.client.HTTPConnection(self._host, self._port, timeout=TIMEOUT_S)

    def close(self) -> None:
        if self._link is not None:
            self._link.close()
            self._link = None


def check_url(url: str) -> None:
    """Refuse what is no URL to POST to; raises InputError."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good:
        raise InputError(f"sink webhook: {redact(url)!r} is no address: write webhook:https://HOST/PATH")
