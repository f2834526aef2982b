"""The listening socket: how many may be connected, and how long one may be silent."""

from __future__ import annotations

import asyncio
from typing import Any

from aiohttp import web

from configs.errors import InputError

CONNECTIONS = 256  # each takes some ten KB here
SILENT_S = 10.0  # one that has not asked for anything by then is let go
KEEP_ALIVE_S = 15.0
BODY_BYTES = 64 * 1024


class _Refused(asyncio.Protocol):
    """One connection too many."""

    def connection_made(self, transport: Any) -> None:
        transport.abort()


class Door:
    """Listens, and gives each connection to the server; what is too many is closed at once."""

    def __init__(self, runner: web.AppRunner) -> None:
        self._runner = runner
        self.spoke: set[Any] = set()  # transports that have asked for something
        self.refused = 0
        self._listening: asyncio.Server | None = None

    async def open(self, host: str, port: int) -> None:
        """Raises InputError if it cannot listen there."""
        try:
            self._listening = await asyncio.get_running_loop().create_server(self._connected, host, port, backlog=64)
        except OSError as error:
            raise InputError(
                f"cannot listen on {host} port {port}: {error.strerror}; choose another with --port or --host"
            ) from None

    def _connected(self) -> asyncio.Protocol:
        server = self._runner.server
        assert server is not None
        if len(server.connections) >= CONNECTIONS:
            self.refused += 1
            return _Refused()
        protocol = server()
        asyncio.get_running_loop().call_later(SILENT_S, self._look_at, protocol)
        return protocol

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
        if self._listening is not None:
            self._listening.close()
