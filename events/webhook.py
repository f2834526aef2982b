"""Delivers events by HTTP POST: one JSON object each, its id in a header, too."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, quote, unquote, urljoin, urlsplit

import msgspec

from configs.errors import InputError
from configs.redact import redact
from events.event import Event
from events.receiver import NotTaken

if TYPE_CHECKING:  # else where they are used: the supervisor of a run only checks the URL
    import http.client

TIMEOUT_S = 5.0
TRY_AGAIN = (408, 425, 429)  # what a receiver says who would take it later; other 4xx never will
MOST_REDIRECTS = 3
_PATH = "/%:@!$&'()*+,;=~-._"  # what a path may hold as it is


class Webhook:
    """One URL. A picture goes along as base64 in `picture`."""

    def __init__(self, url: str) -> None:
        check_url(url)
        parts = urlsplit(url)
        self._headers = {"Content-Type": "application/json", "User-Agent": "maskstream"}
        if parts.username:
            secret = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
            self._headers["Authorization"] = f"Basic {base64.b64encode(secret).decode()}"
        self._url = parts._replace(netloc=parts.netloc.rpartition("@")[2])
        self._link: tuple[tuple[str, str], http.client.HTTPConnection] | None = None

    def send(self, event: Event, picture: bytes | None) -> bool:
        """True: taken; False: it will never take this one. Raises NotTaken, or OSError while it is away."""
        about = msgspec.to_builtins(event) | ({"picture": base64.b64encode(picture).decode()} if picture else {})
        body, url = msgspec.json.encode(about), self._url
        for _ in range(MOST_REDIRECTS + 1):
            answer = self._post(url, body, event.id)
            if not 300 <= answer.status < 400:
                break
            url = redirected(url, answer.status, answer.headers.get("Location", ""))
            if answer.status in (301, 308):
                self._url = url  # for good
        else:
            raise NotTaken(f"it answers {answer.status} again and again: its redirects go in a circle")
        if 200 <= answer.status < 300:
            return True
        if 400 <= answer.status < 500 and answer.status not in TRY_AGAIN:
            return False
        after_s = seconds(answer.headers.get("Retry-After", ""), time.time())
        raise NotTaken(f"it answers {answer.status} {answer.reason}", after_s)

    def _post(self, url: SplitResult, body: bytes, event_id: str) -> http.client.HTTPResponse:
        import http.client

        try:
            link = self._connected(url)
            path = quote(url.path or "/", safe=_PATH) + (f"?{quote(url.query, safe=_PATH + '?')}" if url.query else "")
            link.request("POST", path, body, self._headers | {"X-Event-Id": event_id})
            answer = link.getresponse()
            answer.read(65536)
        except (http.client.HTTPException, OSError, UnicodeError) as error:  # UnicodeError: no name of a host
            self.close()
            raise OSError(str(error) or type(error).__name__) from None
        if answer.will_close or answer.length:
            self.close()
        return answer

    def _connected(self, url: SplitResult) -> http.client.HTTPConnection:
        import http.client
        import ssl

        place = url.scheme, url.netloc
        if self._link is None or self._link[0] != place:
            self.close()
            host = str(url.hostname)
            if url.scheme == "https":
                trusted = ssl.create_default_context()
                self._link = place, http.client.HTTPSConnection(host, url.port, timeout=TIMEOUT_S, context=trusted)
            else:
                self._link = place, http.client.HTTPConnection(host, url.port, timeout=TIMEOUT_S)
        return self._link[1]

    def close(self) -> None:
        if self._link is not None:
            self._link[1].close()
            self._link = None


def redirected(url: SplitResult, status: int, location: str) -> SplitResult:
    """Where a redirect sends the POST; raises NotTaken where it is not followed.

    Events and the password go to the host and port that were given, or to its https, and nowhere else. 307 and 308 keep
    a POST a POST. After 301 and 302 browsers go on with GET: they are followed where only a slash or https is added,
    else they lead to a page, often that of a login; so does 303.
    """
    told = f"it answers {status} and sends us to {redact(location) or 'nowhere'}"
    try:
        new = urlsplit(urljoin(url.geturl(), location))
        new = new._replace(netloc=new.netloc.rpartition("@")[2], fragment="")
        places = _place(url), _place(new)
        same_place = places[0] == places[1] or places == (("http", url.hostname, 80), ("https", url.hostname, 443))
    except ValueError:
        same_place = False
    if not location or not same_place:
        raise NotTaken(f"{told}: events go to no other place; give that address if it is right")
    if status in (307, 308) or (status in (301, 302) and new.path.rstrip("/") == url.path.rstrip("/")):
        return new
    raise NotTaken(f"{told}, which is no place to POST to: give the address that takes events")


def _place(url: SplitResult) -> tuple[str, str | None, int | None]:
    return url.scheme, url.hostname, url.port or {"http": 80, "https": 443}.get(url.scheme)


def seconds(retry_after: str, now_s: float) -> float:
    """What a Retry-After header asks for: seconds, or a date; 0 if it says nothing that can be read.

    >>> seconds("120", 0.0), seconds("Thu, 01 Jan 1970 00:01:00 GMT", 20.0), seconds("soon", 0.0)
    (120.0, 40.0, 0.0)
    """
    from email.utils import parsedate_to_datetime

    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - now_s)
    except ValueError:
        return 0.0


def check_url(url: str) -> None:
    """Refuse what is no URL to POST to; raises InputError."""
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good:
        raise InputError(f"sink webhook: {redact(url)!r} is no address: write webhook:https://HOST/PATH")
