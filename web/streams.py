"""Changes of the streams over HTTP: POST and DELETE become commands to the supervisor, and its answers theirs."""

from __future__ import annotations

import asyncio
import itertools
import json
from typing import Any

import zmq
import zmq.asyncio
from aiohttp import web

from transport.codec import Command, encode
from web.run_state import RunState

ANSWER_S = 10.0  # to remove a stream takes as long as its frames need to come home


class Changes:
    """Sends commands over `control` and hears what became of them."""

    def __init__(self, sockets: zmq.asyncio.Context, control: str, run_state: RunState) -> None:
        self._link = sockets.socket(zmq.PUSH)
        self._link.connect(control)
        self._run_state = run_state
        self._numbers = itertools.count(1)
        self._waiting: dict[int, asyncio.Future[dict[str, Any]]] = {}

    def heard(self, message: bytes) -> None:
        """The supervisor answered."""
        answer = json.loads(message)
        waiting = self._waiting.pop(answer["number"], None)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    async def list(self, request: web.Request) -> web.Response:
        """All streams, as the page has them."""
        return web.json_response(self._run_state.as_json()["streams"])

    async def add(self, request: web.Request) -> web.Response:
        """`{"source": "rtsp://...", "name": "door"}`, and any other option of a source."""
        try:
            body = json.loads(await request.read())
        except (ValueError, RecursionError):
            raise web.HTTPBadRequest(text='no JSON: send {"source": "rtsp://..."}\n') from None
        if not isinstance(body, dict) or not isinstance(body.get("source"), str):
            raise web.HTTPBadRequest(text='send {"source": "rtsp://..."}, and "name" if it is to have another\n')
        return await self._ask("add", "", json.dumps(body).encode(), status=201)

    async def remove(self, request: web.Request) -> web.Response:
        return await self._ask("remove", request.match_info["name"])

    async def change(self, request: web.Request) -> web.Response:
        """pause or resume."""
        return await self._ask(request.match_info["action"], request.match_info["name"])

    async def _ask(self, action: str, stream: str, source: bytes = b"", status: int = 200) -> web.Response:
        number = next(self._numbers)
        waiting = self._waiting[number] = asyncio.get_running_loop().create_future()
        message = encode(Command(number, action, stream, source))
        await self._link.send(message)
        try:
            async with asyncio.timeout(ANSWER_S):
                answer = await waiting
        except TimeoutError:
            raise web.HTTPGatewayTimeout(text="the pipeline has not answered in time\n") from None
        finally:
            self._waiting.pop(number, None)
        if not answer["ok"]:
            return web.json_response({"error": answer["error"]}, status=409 if stream else 400)
        return web.json_response({"stream": answer["stream"]}, status=status)
