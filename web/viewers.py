"""Those who look: pages by WebSocket, `<img>` and players by MJPEG, one picture at a time as a snapshot.

A viewer gets the next picture of a stream when it has taken the one before: a slow one gets fewer, none gets old ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import struct
from collections.abc import Iterator
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from web.pictures import Picture, Pictures
from web.run_state import RunState

PATIENCE_S = 30.0  # a viewer that takes nothing for so long is let go
STATUS_S = 1.0
MESSAGE_BYTES = 8192  # a page says which streams it wants, no more
SEND_BUFFER_BYTES = 128 * 1024  # of the kernel: about three pictures; more would only be older ones
SNAPSHOT_S = 3.0
_LATER = {"Retry-After": "5"}


class Viewers:
    """The handlers of all who look; at most `limit` at once."""

    def __init__(self, pictures: Pictures, run_state: RunState, limit: int) -> None:
        self._pictures, self._run_state, self._limit = pictures, run_state, limit
        self.count = 0
        self.refused = 0

    @contextlib.contextmanager
    def _seat(self) -> Iterator[None]:
        if self.count >= self._limit:
            self.refused += 1
            raise web.HTTPServiceUnavailable(text="all seats are taken, others are looking\n", headers=_LATER)
        self.count += 1
        try:
            yield
        finally:
            self.count -= 1

    def _stream(self, request: web.Request) -> str:
        name = request.match_info["name"]
        if name not in self._run_state.streams:
            raise web.HTTPNotFound(text="no such stream\n")
        return name

    async def snapshot(self, request: web.Request) -> web.Response:
        """The picture of now; 503 and the placeholder while there is none."""
        stream = self._stream(request)
        with self._seat(), self._pictures.looking(stream):
            async with asyncio.timeout(SNAPSHOT_S):
                picture = await self._pictures.next(stream)
        return web.Response(
            body=picture.jpeg,
            status=200 if picture.is_real else 503,
            content_type="image/jpeg",
            headers={"X-Age-Ms": f"{picture.age_ms:.1f}"} if picture.is_real else {"Retry-After": "2"},
        )

    async def mjpeg(self, request: web.Request) -> web.StreamResponse:
        """Pictures one after the other, as browsers, VLC and curl take them."""
        stream = self._stream(request)
        with self._seat():
            response = web.StreamResponse(
                headers={"Content-Type": "multipart/x-mixed-replace; boundary=picture", "Cache-Control": "no-store"}
            )
            _narrow(request.transport)
            await response.prepare(request)
            number = 0
            with self._pictures.looking(stream), contextlib.suppress(ConnectionError, TimeoutError):
                while stream in self._run_state.streams:
                    picture = await self._pictures.next(stream, number)
                    number = picture.number
                    head = b"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(picture.jpeg)
                    async with asyncio.timeout(PATIENCE_S):
                        await response.write(head + picture.jpeg + b"\r\n")
                return response
            _abort(request.transport)
        return response

    async def websocket(self, request: web.Request) -> web.WebSocketResponse:
        """A page: it says which streams it wants and which picture it has got; it is told all the rest."""
        page = web.WebSocketResponse(max_msg_size=MESSAGE_BYTES, heartbeat=PATIENCE_S, compress=False)
        try:
            with self._seat():
                _narrow(request.transport)
                await page.prepare(request)
                await _Page(page, request.transport, self._pictures, self._run_state).serve()
        except web.HTTPServiceUnavailable as full:  # an HTTP status is not shown to a script; a reason is
            await page.prepare(request)
            await page.close(code=WSCloseCode.TRY_AGAIN_LATER, message=(full.text or "").strip().encode())
        return page


class _Page:
    """One WebSocket: a task for each stream that it looks at, one for the status, one for the events."""

    def __init__(self, page: web.WebSocketResponse, transport: Any, pictures: Pictures, run_state: RunState) -> None:
        self._page, self._transport, self._pictures, self._run_state = page, transport, pictures, run_state
        self._got: dict[str, asyncio.Event] = {}
        self._streams: dict[str, asyncio.Task[None]] = {}

    async def serve(self) -> None:
        """Until it goes."""
        tasks = [asyncio.create_task(self._tell())]
        try:
            async for message in self._page:
                if message.type is not WSMsgType.TEXT or not self._hear(message.data):
                    break
        finally:
            for task in [*tasks, *self._streams.values()]:
                task.cancel()
            await asyncio.gather(*tasks, *self._streams.values(), return_exceptions=True)
            await _close(self._page)

    def _hear(self, text: str) -> bool:
        """What a page says; False for what no page says."""
        try:
            said = json.loads(text)
            wanted, got = said.get("watch"), said.get("got")
        except (ValueError, AttributeError, RecursionError):
            return False
        if isinstance(got, str) and got in self._got:
            self._got[got].set()
        if isinstance(wanted, list):
            names = {name for name in wanted if isinstance(name, str)} & self._run_state.streams.keys()
            for name in self._streams.keys() - names:
                self._streams.pop(name).cancel()
                del self._got[name]
            for name in names - self._streams.keys():
                got = self._got[name] = asyncio.Event()
                self._streams[name] = asyncio.create_task(self._show(name, got))
        return True

    async def _show(self, stream: str, got: asyncio.Event) -> None:
        """Send the newest picture, wait until the page has `got` it, and again."""
        number = 0
        with self._pictures.looking(stream), contextlib.suppress(ConnectionError):
            while True:
                picture = await self._pictures.next(stream, number)
                number = picture.number
                got.clear()
                await self._page.send_bytes(packed(stream, picture))
                try:
                    async with asyncio.timeout(PATIENCE_S):
                        await got.wait()
                except TimeoutError:
                    _abort(self._transport)
                    return

    async def _tell(self) -> None:
        """The status each second, and events as they come; what is not taken yet is not piled up."""
        told = 0
        with contextlib.suppress(ConnectionError):
            while True:
                if self._transport.get_write_buffer_size() == 0:
                    told, events = self._run_state.events_after(told)
                    await self._page.send_json({"status": self._run_state.as_json(), "events": events})
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(STATUS_S):
                        await self._run_state.event_came()
                    await asyncio.sleep(0.1)  # several come together


def packed(stream: str, picture: Picture) -> bytes:
    """A picture as pages take it: the length of the head in two bytes, the head as JSON, the JPEG."""
    head = json.dumps(
        {"stream": stream, "seq": picture.seq, "age_ms": picture.age_ms, "real": picture.is_real}, separators=(",", ":")
    ).encode()
    return struct.pack(">H", len(head)) + head + picture.jpeg


async def _close(page: web.WebSocketResponse) -> None:
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(1.0):
            await page.close()


def _narrow(transport: Any) -> None:
    """Let no pictures pile up on the way to this viewer."""
    transport.set_write_buffer_limits(high=1)
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)


def _abort(transport: Any) -> None:
    if transport is not None:
        transport.abort()
