"""Asks an HTTP server and reads what it answers bit by bit: snapshots, MJPEG, films and streams by URL.

aiohttp in a loop of its own, which runs only while something is awaited: a source is read from one thread.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

import aiohttp
from yarl import URL

from capture.ffmpeg_error import why
from capture.refusal import why_unauthorized, why_unknown
from configs.errors import InputError
from configs.redact import redact

_REDIRECTS = 10
_DIGESTS = ("", "MD5", "MD5-SESS", "SHA", "SHA-SESS", "SHA-256", "SHA-256-SESS", "SHA-512", "SHA-512-SESS")
_T = TypeVar("_T")

SAYS = {
    401: "401 unauthorized: user or password is wrong or missing",
    403: "403 forbidden: this user may not see it",
    404: "404 not found: the path of the URL is wrong",
}


class Broken(Exception):
    """The connection ended in the midst of an answer; its text says how."""


class NoAnswer(InputError):
    """There is no answer of use; `reason` says why, without the address."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"{redact(address)}: {reason}")
        self.reason = reason


class HttpError(NoAnswer):
    """A server answered with a status that is no success. `status` and `challenges` are for who explains it."""

    def __init__(self, address: str, status: int, reason: str, challenges: list[str]) -> None:
        super().__init__(address, reason)
        self.status = status
        self.challenges = challenges


class Unspoken(Exception):
    """What answers does not speak HTTP as aiohttp understands it. FFmpeg may."""

    def __str__(self) -> str:
        return "what answers does not speak HTTP"


class Reply:
    """The answer to a GET, its body not read yet.

    `type` is the media type in lower case, empty if it says none; `length` that of the body, where it is told; `url`
    where it comes from.
    """

    def __init__(self, client: HttpClient, response: aiohttp.ClientResponse) -> None:
        self._client, self._response = client, response
        self.status = response.status
        self.headers = response.headers
        self.url = str(response.url)  # behind all redirections
        self.type = response.headers.get("Content-Type", "").split(";")[0].strip().lower()
        encoded = response.headers.get("Content-Encoding", "identity").lower() != "identity"
        self.length = None if encoded else response.content_length
        self._unread = b""

    def read(self, timeout_s: float) -> bytes:
        """Some bytes, as soon as there are any; none at the end. Raises TimeoutError, or Broken."""
        if self._unread:
            data, self._unread = self._unread, b""
            return data
        return self._client.run(self._response.content.readany(), timeout_s)

    def head(self, count: int, timeout_s: float) -> bytes:
        """The first bytes, which are read again later; fewer where no more come. Raises TimeoutError, or Broken."""
        gathered = b""
        try:
            while len(gathered) < count and (data := self.read(timeout_s)):
                gathered += data
        except TimeoutError:
            if not gathered:
                raise
        self._unread = gathered
        return gathered

    def all(self, limit: int, timeout_s: float) -> bytes:
        """The whole body; Broken if it is larger than the limit. Raises TimeoutError if nothing comes for so long."""
        body = bytearray()
        while data := self.read(timeout_s):
            body += data
            if len(body) > limit:
                raise Broken(f"more than {limit // 2**20} MB")
        return bytes(body)

    def close(self) -> None:
        """Lets the connection go; it is kept for the next question if the body was read to its end."""
        self._response.release()


class HttpClient:
    """A server that is asked with GET, over and over on one connection where it keeps that open.

    User and password of the URL are given only to that server, and only if it asks: by Digest (MD5, SHA-256), else
    Basic. Certificates are not checked: those of cameras are their own.
    """

    def __init__(self, address: str, timeout_s: float) -> None:
        self.address, self._timeout_s = address, timeout_s
        try:
            url = URL(address)
        except ValueError:
            raise InputError(f"{redact(address)}: no URL") from None
        if not url.host:
            raise InputError(f"{redact(address)}: names no host")
        self._login = (url.user or "", url.password or "") if url.user or url.password else None
        self._basic: dict[str, str] = {}  # the header, once it was asked for
        self._digest = (aiohttp.DigestAuthMiddleware(*self._login),) if self._login else ()
        self._url = url.with_user(None)
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(lambda *_: None)  # else it prints at the end of a run: a session is not closed
        self._session = self.run(self._start(), timeout_s)

    async def _start(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=False),
            timeout=aiohttp.ClientTimeout(total=None),
            headers={"User-Agent": "maskstream", "Accept": "*/*", "Accept-Encoding": "identity"},
        )

    def run(self, work: Coroutine[Any, Any, _T], timeout_s: float) -> _T:
        """Wait for something that the server does. Raises TimeoutError, or Broken."""
        try:
            return self._loop.run_until_complete(_within(work, timeout_s))
        except (aiohttp.ClientPayloadError, aiohttp.ServerDisconnectedError, ConnectionError) as error:
            raise Broken(_broken(error)) from None

    def get(self, headers: dict[str, str] | None = None, url: str = "") -> Reply:
        """Its answer, or that of `url`. Raises NoAnswer for none and refusals, Unspoken where it is no HTTP."""
        try:
            response = self.run(self._ask(URL(url) if url else self._url, headers or {}), self._timeout_s)
        except (aiohttp.ClientError, TimeoutError, Broken) as error:
            if isinstance(error, aiohttp.ClientResponseError) and not isinstance(error, aiohttp.TooManyRedirects):
                raise Unspoken from None
            raise NoAnswer(self.address, self._why(error)) from None
        if response.status >= 400:
            challenges = response.headers.getall("WWW-Authenticate", [])
            response.release()
            raise HttpError(self.address, response.status, self._refused(response, challenges), challenges)
        return Reply(self, response)

    def _why(self, error: Exception) -> str:
        if isinstance(error, TimeoutError):
            return f"no answer within {self._timeout_s:g} s"
        if isinstance(error, aiohttp.TooManyRedirects):
            return "it redirects again and again"
        if isinstance(error, (aiohttp.InvalidURL, aiohttp.NonHttpUrlClientError)):
            return "it redirects to what is no http URL"
        if isinstance(error, aiohttp.ClientConnectorError):
            return self._unreachable(error)
        return "the server ends the connection without an answer"

    def _unreachable(self, error: aiohttp.ClientConnectorError) -> str:
        if isinstance(error, aiohttp.ClientConnectorDNSError):
            unknown = why_unknown(error.host, self._url.raw_path_qs if error.host == self._url.host else "")
            return unknown or f"the name {error.host} could not be looked up"
        if isinstance(error, aiohttp.ClientSSLError):
            return "it speaks no TLS that is understood here: is it http instead of https?"
        return why(error.os_error)

    def _refused(self, response: aiohttp.ClientResponse, challenges: list[str]) -> str:
        said = f"the server says {response.status} {response.reason or ''}".rstrip()
        if response.status != 401:
            return SAYS.get(response.status, said)
        return why_unauthorized(challenges, self._login is not None, _DIGESTS) or SAYS[401]

    async def _ask(self, url: URL, headers: dict[str, str]) -> aiohttp.ClientResponse:
        login = self._basic if url.host == self._url.host else {}
        try:
            response = await self._get(url, headers | login, self._digest)
        except aiohttp.ClientError as error:
            if type(error) is not aiohttp.ClientError:  # what a Digest that it does not know raises
                raise
            response = await self._get(url, headers)
        if response.status == 401 and self._login and not self._basic and response.url.host == self._url.host:
            challenges = response.headers.getall("WWW-Authenticate", [])
            if any(challenge.lower().startswith("basic") for challenge in challenges):
                response.release()
                said = base64.b64encode(":".join(self._login).encode()).decode()
                self._basic = {"Authorization": f"Basic {said}"}
                response = await self._get(url, headers | self._basic)
        return response

    async def _get(
        self, url: URL, headers: dict[str, str], logins: Sequence[aiohttp.ClientMiddlewareType] = ()
    ) -> aiohttp.ClientResponse:
        return await self._session.get(url, headers=headers, middlewares=logins, max_redirects=_REDIRECTS)

    def close(self) -> None:
        if not self._loop.is_closed():
            self._loop.run_until_complete(self._session.close())
            self._loop.close()


def _broken(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientPayloadError):
        return "the connection ended in the midst of the answer"
    return "the server ended the connection"


async def _within(work: Coroutine[Any, Any, _T], timeout_s: float) -> _T:
    async with asyncio.timeout(timeout_s):
        return await work
