"""Where a run's status is sent: a URL that takes POSTs, or a subject of NATS."""

from __future__ import annotations

import asyncio
import base64
import importlib.util
from typing import Any, Protocol
from urllib.parse import unquote, urlsplit

from configs.errors import InputError
from configs.redact import redact
from configs.schema import RunConfig
from web.where import Page

_MOST_BYTES = 65536  # of an answer
_LINE_BYTES = 200  # of one that refuses: it says why


class Target(Protocol):
    """Takes one status after the other."""

    def send(self, body: bytes, timeout_s: float) -> bytes:
        """Its answer; empty where it gives none. Raises OSError if it has not taken it within the time."""

    def close(self) -> None: ...


def check_status(run: RunConfig) -> None:
    """Raise InputError for what a status cannot be sent to."""
    if not run.status:
        if run.status_token:
            raise InputError("run.status_token: there is no run.status that it is for")
        return
    try:
        parts = urlsplit(run.status)
        good = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if good and parts.scheme in ("http", "https"):
        return
    subject = parts.path.strip("/") if good else ""
    if not (good and parts.scheme == "nats" and subject and not set(subject) & set("/ *>")):
        raise InputError(f"run.status {redact(run.status)!r}: write http(s)://HOST/PATH or nats://HOST:PORT/SUBJECT")
    if importlib.util.find_spec("nats") is None:
        raise InputError(f"run.status {redact(run.status)!r} needs nats-py: pip install 'nats-py>=2.9'")


def open_target(run: RunConfig) -> Target:
    """What `run.status` names; it connects when there is something to send."""
    return Nats(run) if run.status.startswith("nats:") else Http(run)


class Http:
    """POSTs JSON; redirects are not followed, so that the secret goes to nobody else."""

    def __init__(self, run: RunConfig) -> None:
        parts = urlsplit(run.status)
        login, _, place = parts.netloc.rpartition("@")
        self._url = parts._replace(netloc=place).geturl()
        self._headers = {"Content-Type": "application/json", "User-Agent": "maskstream"}
        if run.status_token:
            self._headers["Authorization"] = f"Bearer {run.status_token}"
        elif login:
            self._headers["Authorization"] = f"Basic {base64.b64encode(unquote(login).encode()).decode()}"

    def send(self, body: bytes, timeout_s: float) -> bytes:
        import http.client
        import urllib.error
        import urllib.request

        request = urllib.request.Request(self._url, body, self._headers, method="POST")
        try:
            with Page(self._url, "").open(request, timeout_s) as answer:
                return bytes(answer.read(_MOST_BYTES))
        except urllib.error.HTTPError as error:
            said = error.read(_LINE_BYTES).decode("ascii", "replace").partition("\n")[0]
            words = "".join(letter for letter in said if letter.isprintable())
            raise OSError(f"{error.code} {error.reason}{': ' if words else ''}{words}") from None
        except (http.client.HTTPException, ValueError) as error:
            raise OSError(str(error) or type(error).__name__) from None

    def close(self) -> None: ...


class Nats:
    """Publishes to a subject, and waits until the server has it."""

    def __init__(self, run: RunConfig) -> None:
        parts = urlsplit(run.status)
        login = {"user": unquote(parts.username), "password": unquote(parts.password or "")} if parts.username else {}
        self._options: dict[str, Any] = login | ({"token": run.status_token} if run.status_token else {})
        self._server = parts._replace(netloc=parts.netloc.rpartition("@")[2], path="").geturl()
        self._subject = parts.path.strip("/")
        self._loop = asyncio.new_event_loop()
        self._client: Any = None

    def send(self, body: bytes, timeout_s: float) -> bytes:
        try:
            self._loop.run_until_complete(self._publish(body, timeout_s))
        except TimeoutError:
            raise OSError(f"no answer within {timeout_s:g} s") from None
        except Exception as error:  # its errors have no other base
            raise OSError(str(error) or type(error).__name__) from None
        return b""

    async def _publish(self, body: bytes, timeout_s: float) -> None:
        import nats

        async def quiet(_: Exception) -> None: ...  # else it prints a traceback for each try

        async with asyncio.timeout(timeout_s):
            if self._client is None or not self._client.is_connected:
                self._client = await nats.connect(
                    self._server, allow_reconnect=False, connect_timeout=timeout_s, error_cb=quiet, **self._options
                )
            await self._client.publish(self._subject, body)
            await self._client.flush(timeout_s)

    def close(self) -> None:
        if self._client is not None and self._client.is_connected:
            self._loop.run_until_complete(self._client.close())
        self._loop.close()
