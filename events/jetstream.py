"""A connection to NATS JetStream: finds the stream that takes events, publishes, and knows what was stored."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import ssl
from itertools import takewhile
from typing import Any
from urllib.parse import SplitResult, unquote

import msgspec
import nats
from nats.aio.client import Client
from nats.errors import NoServersError, SecureConnRequiredError
from nats.js import JetStreamContext
from nats.js.errors import APIError, NotFoundError, ServiceUnavailableError
from nats.js.errors import Error as JetStreamError

from events.event import Event
from events.receiver import NotTaken

log = logging.getLogger("deliver")

CONNECT_S = 5
TIMEOUT_S = 5.0  # for an acknowledgement
ID = "Nats-Msg-Id"  # JetStream stores no message whose id it has had within the stream's duplicate window


class Link:
    """A connection, and where events go over it: `template` is the subject, perhaps with `{}` for the stream's name."""

    def __init__(self, client: Client, jetstream: JetStreamContext, gone: asyncio.Event, errors: list[str]) -> None:
        self._client, self._jetstream, self._gone, self._errors = client, jetstream, gone, errors
        self._stream, self._template = "", ""
        self._is_sure = False  # whether it is known what was stored of what an earlier link, or life, had under way

    async def find(self, subject: str) -> None:
        """Find the stream that takes the events; raises NotTaken if there is none."""
        manager = self._jetstream
        for template in (f"{subject}.{{}}", subject):
            with contextlib.suppress(NotFoundError):
                self._stream = await manager.find_stream_name_by_subject(template.format("x"))
                self._template = template
                break
        else:
            try:
                subjects = (await manager.stream_info(subject)).config.subjects or [subject]
            except (NotFoundError, ValueError):
                raise NotTaken(
                    f"no JetStream stream takes {subject}.*, and none has this name: "
                    f"nats stream add EVENTS --subjects '{subject}.>'"
                ) from None
            self._stream, first = subject, subjects[0]
            self._template = f"{first[:-1]}{{}}" if first.endswith((".>", ".*")) else first
        window_s = (await manager.stream_info(self._stream)).config.duplicate_window
        log.info("%s: stream %s knows ids for %g s", self._template.format("*"), self._stream, window_s)

    async def publish(self, events: list[Event], refused: set[str]) -> list[bool]:
        """Publish in order; gives those that were acknowledged before the first that was not. Raises NotTaken, OSError.

        `refused` are ids that the server said no to, which outlive the link: one of them is not stored because the next
        one is.
        """
        stored = set() if self._is_sure else await self._stored(events) - refused
        self._is_sure = True
        # Not publish_async, which is never answered where the server says no (nats-py 2.16). The tasks begin in order,
        # and each has its message on its way before it waits: the link has asked for something before.
        under_way = {event.id: asyncio.ensure_future(self._sent(event)) for event in events if event.id not in stored}
        gone = asyncio.ensure_future(self._gone.wait())
        together = asyncio.ensure_future(asyncio.wait(under_way.values())) if under_way else gone
        if under_way:
            await asyncio.wait([together, gone], return_when=asyncio.FIRST_COMPLETED)
        for task in (*under_way.values(), together, gone):
            task.cancel()
        await asyncio.gather(*under_way.values(), together, gone, return_exceptions=True)
        failed = {
            name: ConnectionError("the connection was closed") if task.cancelled() else task.exception()
            for name, task in under_way.items()
            if task.cancelled() or task.exception()
        }
        refused.clear()
        refused.update(name for name, error in failed.items() if isinstance(error, APIError))
        self._is_sure = not failed
        taken = list(takewhile(lambda event: event.id not in failed, events))
        if taken:
            return [True] * len(taken)
        error = failed[events[0].id]
        if isinstance(error, JetStreamError):
            raise NotTaken(f"it says: {in_words(error)}")
        if self._errors:
            raise NotTaken(f"it says: {self._errors[-1]}")
        raise OSError(f"no answer within {TIMEOUT_S:g} s" if isinstance(error, TimeoutError) else in_words(error))

    async def _sent(self, event: Event) -> None:
        subject, body = self._subject_of(event.stream), msgspec.json.encode(event)
        await self._jetstream.publish(subject, body, timeout=TIMEOUT_S, headers={ID: event.id})

    async def _stored(self, events: list[Event]) -> set[str]:
        """Which of these the stream has: what it could not acknowledge may lie longer ago than it knows ids.

        What is sent of one camera is stored in its order, so the last message tells. Where that may not be read, the
        duplicate window alone is left.
        """
        stored: set[str] = set()
        for name in {event.stream for event in events}:
            try:
                last = await self._jetstream.get_last_msg(self._stream, self._subject_of(name))
            except nats.errors.Error:  # none, or it may not be read
                continue
            ids = [event.id for event in events if self._subject_of(event.stream) == last.subject]
            last_id = (last.headers or {}).get(ID, "")
            stored.update(ids[: ids.index(last_id) + 1] if last_id in ids else ())
        return stored

    def _subject_of(self, stream: str) -> str:
        return self._template.format(re.sub(r"[\s.*>/]", "_", stream))

    @property
    def is_gone(self) -> bool:
        """Whether the server has closed it."""
        return self._gone.is_set()

    async def close(self) -> None:
        async with asyncio.timeout(1.0):
            await self._client.close()


async def connected(url: SplitResult, subject: str, is_secure: bool) -> Link:
    """Connect, log in and find the stream. Raises NotTaken and OSError, and what the library raises."""
    gone, errors = asyncio.Event(), list[str]()

    async def said(error: Exception) -> None:
        errors.append(in_words(error))

    async def closed() -> None:
        gone.set()

    client = Client()

    def only_with_tls(secret: str) -> Any:
        """Told to the library as what gives a secret, it is asked when the server has said whether it speaks TLS."""

        def give() -> str:
            if is_secure and not client._server_info.get("tls_required"):
                raise SecureConnRequiredError
            return secret

        return give

    user, password = unquote(url.username or ""), unquote(url.password or "")
    login: dict[str, Any] = {"token": only_with_tls(user)} if user else {}
    if url.password is not None:
        login = {"user": only_with_tls(user), "password": only_with_tls(password)}
    place = f"nats://{url.netloc.rpartition('@')[2]}"
    try:
        async with asyncio.timeout(2 * CONNECT_S):
            await client.connect(
                place,
                name="maskstream",
                error_cb=said,
                closed_cb=closed,
                allow_reconnect=False,  # a link that is gone takes what was under way with it: Delivery connects anew
                connect_timeout=CONNECT_S,
                max_reconnect_attempts=1,  # else it tries for ever, where nobody listens
                reconnect_time_wait=0,
                tls=ssl.create_default_context() if is_secure else None,
                **login,
            )
        if is_secure and not client._server_info.get("tls_required"):
            raise SecureConnRequiredError
        errors.clear()
        link = Link(client, client.jetstream(timeout=TIMEOUT_S), gone, errors)
        await link.find(subject)
        return link
    except BaseException as error:
        with contextlib.suppress(nats.errors.Error, OSError):
            async with asyncio.timeout(1.0):
                await client.close()
        if isinstance(error, NotTaken | asyncio.CancelledError):
            raise
        raise _explained(error, errors) from None


def _explained(error: BaseException, errors: list[str]) -> Exception:
    """What kept from connecting: an answer (NotTaken), or none (OSError)."""
    words = in_words(error)
    if isinstance(error, SecureConnRequiredError):
        return NotTaken("it speaks no TLS: nothing was sent; use nats:// if that is meant")
    if isinstance(error, ServiceUnavailableError):
        return NotTaken("its JetStream is not turned on: start nats-server with -js")
    if isinstance(error, APIError):
        return NotTaken(f"it says: {words}")
    if "authorization" in words.lower() or "authentication" in words.lower():
        return NotTaken("it does not let us in: user and password?")
    if isinstance(error, NoServersError) and errors:
        words = errors[-1]
    return OSError(words)


def in_words(error: BaseException | None) -> str:
    """What went wrong; asyncio's own text names the socket and not the reason."""
    if isinstance(error, OSError) and error.errno and "Connect call failed" in str(error):
        return os.strerror(error.errno)
    return str(error or "").removeprefix("nats: ").strip("'") or type(error).__name__
