"""Asks the shards' own pages for what statuses do not carry: pictures and events, only while somebody wants them."""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import time
from collections import defaultdict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import aiohttp

from fleet.collector import Collector

TIMEOUT_S = 5.0  # a picture of a camera that gives none takes its page up to 3 s
AT_ONCE = 8  # of the seats that a shard's page has (web.viewers, 32): others may look there, too
PICTURE_BYTES = 4 << 20
EVENTS_BYTES = 1 << 20
FRESH_S = 0.2  # a picture is given to all who ask for it within this
EVENTS_S = 5.0  # and events are asked for so often at most
EVENTS = 100  # that are shown
T = TypeVar("T")


class Unreached(Exception):
    """A shard's page did not give what was asked for; the text says why, in one line without secrets."""


@dataclass(frozen=True, slots=True)
class Picture:
    """A JPEG. `is_real` is False for the words that a shard shows while its camera gives nothing; `age_ms` its age."""

    jpeg: bytes
    is_real: bool
    age_ms: str


class ShardPages:
    """All shards' pages. `scheme` is what they speak; they are asked with the token that the fleet's file gives them.

    With `certificate` only that one, or what it has signed, is trusted; else what this machine trusts, for the name
    that the shard tells as its host.
    """

    def __init__(self, collector: Collector, scheme: str, token: str, certificate: str) -> None:
        self._collector, self.scheme = collector, scheme
        self._headers = {"Authorization": f"Bearer {token}", "User-Agent": "maskstream"}
        self._pinned = bool(certificate) and Path(certificate).is_file()
        self._context = _context(certificate if self._pinned else "")
        self._seats: dict[str, asyncio.Semaphore] = defaultdict(lambda: asyncio.Semaphore(AT_ONCE))
        self._pictures: dict[tuple[str, str], tuple[float, asyncio.Task[Picture]]] = {}
        self._events: tuple[float, asyncio.Task[dict[str, Any]]] | None = None
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Within the loop in which it is used."""
        timeout = aiohttp.ClientTimeout(total=TIMEOUT_S, connect=2.0)
        self._session = aiohttp.ClientSession(
            timeout=timeout, connector=aiohttp.TCPConnector(limit=64), cookie_jar=aiohttp.DummyCookieJar()
        )

    async def close(self) -> None:
        """Nobody is asked any more."""
        tasks = [task for _, task in self._pictures.values()] + ([self._events[1]] if self._events else [])
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def picture(self, shard: str, camera: str) -> Picture:
        """The picture of now of a camera; all who ask at the same time share one. Raises Unreached."""
        now_s = time.monotonic()
        self._pictures = {key: one for key, one in self._pictures.items() if _is_wanted(*one, now_s)}
        if (shard, camera) not in self._pictures:
            self._pictures[shard, camera] = now_s, _begun(self._ask_for_picture(shard, camera))
        return await asyncio.shield(self._pictures[shard, camera][1])

    async def _ask_for_picture(self, shard: str, camera: str) -> Picture:
        async with self._seats[shard]:
            status, body, headers = await self._get(shard, f"/snapshot/{quote(camera, safe='')}.jpg", PICTURE_BYTES)
        if headers.get("Content-Type", "") != "image/jpeg" or status not in (200, 503):
            raise Unreached(_refusal(status))
        return Picture(body, status == 200, headers.get("X-Age-Ms", ""))

    async def event_picture(self, shard: str, event: str) -> bytes:
        """The JPEG of an event that the shard's page still shows. Raises Unreached."""
        status, body, headers = await self._get(shard, f"/events/{quote(event, safe='')}.jpg", PICTURE_BYTES)
        if status != 200 or headers.get("Content-Type", "") != "image/jpeg":
            raise Unreached(_refusal(status))
        return body

    async def events(self, of: Callable[[], list[str]]) -> dict[str, Any]:
        """The newest events of the shards that `of` names, oldest first, and why some shards gave none."""
        now_s = time.monotonic()
        if self._events is None or now_s - self._events[0] > EVENTS_S:
            self._events = now_s, _begun(self._ask_for_events(of()))
        return await asyncio.shield(self._events[1])

    async def _ask_for_events(self, shards: list[str]) -> dict[str, Any]:
        answers = await asyncio.gather(*map(self._events_of, shards), return_exceptions=True)
        found: dict[str, dict[str, Any]] = {}
        unreached: dict[str, str] = {}
        for shard, answer in zip(shards, answers, strict=True):
            if isinstance(answer, Unreached):
                unreached[shard] = str(answer)
            elif isinstance(answer, BaseException):
                raise answer
            else:
                found |= {event["id"]: event | {"shard": shard} for event in answer}
        newest = sorted(found.values(), key=lambda event: (event["time"], event["id"]))[-EVENTS:]
        return {"events": newest, "unreached": unreached}

    async def _events_of(self, shard: str) -> list[dict[str, Any]]:
        status, body, _ = await self._get(shard, "/api/events", EVENTS_BYTES)
        if status != 200:
            raise Unreached(_refusal(status))
        try:
            return [event for event in json.loads(body) if isinstance(event["id"] + event["time"], str)]
        except (ValueError, RecursionError, TypeError, KeyError):
            raise Unreached("it gives something else than events") from None

    async def _get(self, shard: str, path: str, most_bytes: int) -> tuple[int, bytes, Any]:
        """Status, body and headers; redirects are not followed: the token goes nowhere else."""
        address = self._collector.address(shard)
        if not address:
            raise Unreached("it has not told where its page is")
        assert self._session is not None
        told = self._collector.lives[shard].told
        name = told.host if told and self.scheme == "https" and not self._pinned else None
        try:
            async with self._session.get(
                f"{self.scheme}://{address}{path}",
                headers=self._headers,
                allow_redirects=False,
                ssl=self._context,
                server_hostname=name,
            ) as answer:
                body = bytearray()
                async for part in answer.content.iter_chunked(1 << 16):
                    body += part
                    if len(body) > most_bytes:
                        raise Unreached(f"{address} gives more than {most_bytes} bytes")
                return answer.status, bytes(body), answer.headers
        except TimeoutError:
            raise Unreached(f"no answer from {address} within {TIMEOUT_S:g} s") from None
        except aiohttp.ClientConnectorCertificateError as error:
            raise Unreached(f"the certificate of {address} is not trusted ({error.certificate_error})") from None
        except (aiohttp.ClientError, OSError) as error:
            raise Unreached(f"{address} cannot be reached ({_reason(error)})") from None


def _context(certificate: str) -> ssl.SSLContext:
    context = ssl.create_default_context()
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False  # it is one certificate for shards on many hosts
        context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN  # it vouches for itself
        context.load_verify_locations(certificate)
    return context


def _begun(work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """A task; asyncio does not complain of an error in it where all who asked have gone."""
    task = asyncio.create_task(work)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    return task


def _is_wanted(began_s: float, task: asyncio.Task[Picture], now_s: float) -> bool:
    return not task.done() or now_s - began_s < FRESH_S


def _refusal(status: int) -> str:
    return "it refuses the token" if status in (401, 403) else f"it answers {status}"


def _reason(error: Exception) -> str:
    """asyncio's own text has the address once more, in brackets."""
    number = getattr(getattr(error, "os_error", error), "errno", None)
    return os.strerror(number) if number else type(error).__name__
