"""The listening socket: how many may be connected, and how long one may be silent."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from typing import Any

from aiohttp import web

from configs.errors import InputError

CONNECTIONS = 256  # each takes some ten KB here
SILENT_S = 10.0  # one that has not asked for anything by then is let go
KEEP_ALIVE_S = 15.0
BODY_BYTES = 64 * 1024
_TLS_HANDSHAKE = b"\x16"  # the first byte of all who speak TLS; who speaks HTTP begins with a letter
_PLAIN = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"
    b"this port speaks TLS: ask for https://\n"
)


class _Refused(asyncio.Protocol):
    """One connection too many."""

    def connection_made(self, transport: Any) -> None:
        transport.abort()


class _Greeting(asyncio.Protocol):
    """A connection to a port that speaks TLS: who speaks plain HTTP is told so, not left with a broken connection."""

    def __init__(self, listener: Listener, context: ssl.SSLContext, server: web.Server) -> None:
        self._listener, self._context, self._server = listener, context, server
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: Any) -> None:
        transport.pause_reading()  # the first byte is only looked at: TLS wants to read it itself
        transport.set_write_buffer_limits(high=1)  # as in viewers: no pictures pile up below TLS
        self._transport = transport
        self._peek = socket.socket(fileno=os.dup(transport.get_extra_info("socket").fileno()))
        loop = asyncio.get_running_loop()
        self._listener.greeting.add(self)
        self._patience = loop.call_later(SILENT_S, transport.abort)
        loop.add_reader(self._peek, self._look)

    def connection_lost(self, error: Exception | None) -> None:
        self._spoke()

    def abort(self) -> None:
        """The server goes."""
        self._transport.abort()

    def _spoke(self) -> None:
        if self in self._listener.greeting:
            self._listener.greeting.discard(self)
            self._patience.cancel()
            asyncio.get_running_loop().remove_reader(self._peek)
            self._peek.close()

    def _look(self) -> None:
        try:
            first = self._peek.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return
        except OSError:
            first = b""
        asyncio.get_running_loop().remove_reader(self._peek)
        if first == _TLS_HANDSHAKE:
            self._tasks.add(asyncio.create_task(self._start_tls()))
            return
        if first:
            self._transport.write(_PLAIN)
            self._peek.recv(BODY_BYTES)  # what is left unread would take the answer with it (RST)
            self._transport.close()
        else:
            self._transport.abort()

    async def _start_tls(self) -> None:
        protocol = self._server()
        try:
            transport = await asyncio.get_running_loop().start_tls(
                self._transport, protocol, self._context, server_side=True, ssl_handshake_timeout=SILENT_S
            )
        except (OSError, ssl.SSLError):  # a scanner, or a browser that does not like the certificate
            self._transport.abort()
            return
        finally:
            self._spoke()
        if transport is not None:
            protocol.connection_made(transport)
            self._listener.watch(protocol)


class Listener:
    """Listens, and gives each connection to the server; what is too many is closed at once."""

    def __init__(self, runner: web.AppRunner) -> None:
        self._runner = runner
        self.greeting: set[_Greeting] = set()  # connections that have not spoken TLS yet
        self.spoke: set[Any] = set()  # transports that have asked for something
        self.refused = 0
        self._listening: asyncio.Server | None = None
        self._context: ssl.SSLContext | None = None

    async def open(self, host: str, port: int, context: ssl.SSLContext | None = None) -> None:
        """With a context TLS is spoken. Raises InputError if it cannot listen there."""
        self._context = context
        try:
            self._listening = await asyncio.get_running_loop().create_server(self._connected, host, port, backlog=64)
        except OSError as error:
            raise InputError(
                f"cannot listen on {host} port {port}: {error.strerror}; choose another with --port or --host"
            ) from None

    def _connected(self) -> asyncio.Protocol:
        server = self._runner.server
        assert server is not None
        if len(server.connections) + len(self.greeting) >= CONNECTIONS:
            self.refused += 1
            return _Refused()
        if self._context is not None:
            return _Greeting(self, self._context, server)
        protocol = server()
        self.watch(protocol)
        return protocol

    def watch(self, protocol: Any) -> None:
        """Let a connection go that asks for nothing."""
        asyncio.get_running_loop().call_later(SILENT_S, self._look_at, protocol)

    def _look_at(self, protocol: Any) -> None:
        if protocol.transport is not None and protocol.transport not in self.spoke:
            protocol.transport.abort()

    @web.middleware
    async def note(self, request: web.Request, handler: Any) -> web.StreamResponse:
        """Remember that this connection is used for something."""
        transport = request.transport
        self.spoke.add(transport)
        try:
            return await handler(request)
        finally:
            if transport is None or transport.is_closing():
                self.spoke.discard(transport)
            elif len(self.spoke) > 2 * CONNECTIONS:
                self.spoke = {other for other in self.spoke if other is not None and not other.is_closing()}

    async def close(self) -> None:
        """No more connections."""
        for greeting in list(self.greeting):
            greeting.abort()
        if self._listening is not None:
            self._listening.close()
