"""Delivers events to NATS JetStream, several at once, each acknowledged; the event's id is the id of its message."""

from __future__ import annotations

import contextlib
import importlib.util
import re
import threading
from collections.abc import Coroutine, Sequence
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from configs.errors import InputError
from configs.redact import redact
from events.receiver import NotTaken, Waiting

if TYPE_CHECKING:  # else where it is used: the supervisor of a run only checks the URL
    import asyncio

    from events.jetstream import Link

PLAIN, SECURE = SCHEMES = ("nats", "nats+tls")
_SUBJECT = re.compile(r"[^\s.*>/]+(\.[^\s.*>/]+)*")
_Answer = TypeVar("_Answer")


class Nats:
    """`nats://[user:password@]host[:port]/SUBJECT`, or nats+tls; a lone user is a token. Pictures do not go along.

    An event goes to `SUBJECT.STREAM` with its stream's name; where a JetStream stream takes only SUBJECT itself, there.
    SUBJECT may also be the name of a JetStream stream. One must be there: how long it keeps what is not ours to say.
    """

    def __init__(self, url: str) -> None:
        check_url(url)
        self._url = urlsplit(url)
        self._subject = self._url.path.strip("/")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._link: Link | None = None
        self._refused: set[str] = set()

    def check(self) -> None:
        """Connect, and find the stream that takes the events."""
        try:
            self._run(self._open())
        except NotTaken as error:
            raise InputError(f"sink {redact(self._url.geturl())!r}: {redact(str(error))}") from None

    def send(self, events: Sequence[Waiting]) -> list[bool]:
        """Publish all, and give those that were acknowledged before the first that was not."""
        try:
            if self._link is not None and self._link.is_gone:
                self._let_go()
            link = self._link or self._run(self._open())
            return self._run(link.publish([event for event, _ in events], self._refused))
        except OSError:
            self._let_go()  # what was under way may be stored or not: the next link asks
            raise

    async def _open(self) -> Link:
        from events.jetstream import connected

        self._link = await connected(self._url, self._subject, self._url.scheme == SECURE)
        return self._link

    def _run(self, work: Coroutine[Any, Any, _Answer]) -> _Answer:
        """Run it in the loop, which has a thread: the server's pings are answered while no event comes.

        Raises NotTaken and OSError.
        """
        import asyncio

        import nats.errors

        from events.jetstream import in_words

        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            threading.Thread(target=self._loop.run_forever, name="nats", daemon=True).start()
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop).result()
        except (nats.errors.Error, TimeoutError, ValueError) as error:
            raise OSError(in_words(error)) from None

    def _let_go(self) -> None:
        if self._link is not None:
            link, self._link = self._link, None
            with contextlib.suppress(OSError):
                self._run(link.close())

    def close(self) -> None:
        self._let_go()
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._loop = None


def check_url(url: str) -> None:
    """Refuse what is no address of a server and a subject, or lacks the library; raises InputError."""
    try:
        parts = urlsplit(url)
        good = bool(parts.hostname) and (parts.port is None or parts.port > 0) and not parts.query
        good = good and _SUBJECT.fullmatch(parts.path.strip("/")) is not None
    except ValueError:
        good = False
    if not good:
        raise InputError(
            f"sink {redact(url)!r}: write it as nats://HOST/SUBJECT, nats+tls://USER:PASSWORD@HOST:PORT/SUBJECT, "
            "with a subject without * and >"
        )
    if importlib.util.find_spec("nats") is None:
        raise InputError(f"sink {redact(url)!r} needs nats-py, the extra [nats]: pip install 'nats-py>=2.9'")
