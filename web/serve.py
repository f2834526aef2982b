"""The process of the page: takes in what the run tells, and serves it. No frame waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from pathlib import Path

import zmq
import zmq.asyncio
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from configs.schema import WebConfig
from transport.feed import follow
from transport.stage import StageContext
from web.access import Access, Handler
from web.address import local_url, public_addresses, shown_url
from web.health import silence, troubles
from web.listener import BODY_BYTES, KEEP_ALIVE_S, Listener
from web.metrics import CONTENT_TYPE, figures
from web.orders import Orders
from web.page_files import PageFiles
from web.pictures import Pictures
from web.run_state import RunState
from web.streams import Changes
from web.tls import Certificate
from web.viewers import Viewers
from web.where import write_where

log = logging.getLogger("web")
logging.getLogger("aiohttp.server").addFilter(
    lambda record: not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))
)  # what scanners send is no trouble of ours: it was a traceback for each

PICTURE = b"picture/"


def serve(config: WebConfig, context: StageContext) -> None:
    """Serve until the run ends. Raises InputError if it cannot listen where it should."""
    asyncio.run(_serve(config, context))


async def _serve(config: WebConfig, context: StageContext) -> None:
    with contextlib.ExitStack() as stack:
        sockets = zmq.asyncio.Context()
        stack.callback(sockets.destroy, linger=0)
        link = sockets.socket(zmq.SUB)
        follow(link, context.feeds, ("supervisor", *context.showing), (b"status", b"persons", b"event", b"answer"))
        run_state = RunState()
        pictures = Pictures(
            lambda stream: link.subscribe(PICTURE + stream.encode()),
            lambda stream: None if link.closed else link.unsubscribe(PICTURE + stream.encode()),  # at the end it is
            lambda stream: run_state.streams.get(stream),
        )
        folder = context.feeds.removeprefix("ipc://").rpartition("/")[0]
        changes = Changes(sockets, f"ipc://{folder}/control", run_state)
        site = Site(config, run_state, pictures, changes, Orders(run_state, context.says))
        await site.open()
        write_where(Path(folder), local_url(config), config.token)
        context.facts["url"] = shown_url(config)
        log.info("the page is at %s", shown_url(config))
        listening = asyncio.create_task(_listen(link, run_state, pictures, changes))
        try:
            while not run_state.streams and not listening.done() and not context.stopping():
                await asyncio.sleep(0.02)  # it is told twice a second; before, each stream would be unknown (404)
            context.ready()
            while not context.stopping():
                await asyncio.sleep(0.1)
                if listening.done():
                    listening.result()
        finally:
            listening.cancel()
            await site.close()


async def _listen(link: zmq.asyncio.Socket, run_state: RunState, pictures: Pictures, changes: Changes) -> None:
    """Take in what the run tells."""
    while True:
        topic, *parts = await link.recv_multipart()
        if topic.startswith(PICTURE):
            pictures.came(topic.removeprefix(PICTURE).decode(), *parts)
        elif topic == b"status":
            run_state.hear(*parts)
            pictures.keep(run_state.streams.keys())
        elif topic == b"persons":
            run_state.saw(*parts)
        elif topic == b"event":
            run_state.happened(*parts)
        elif topic == b"answer":
            changes.heard(*parts)


class Site:
    """All that is served, at one address."""

    def __init__(
        self, config: WebConfig, run_state: RunState, pictures: Pictures, changes: Changes, orders: Orders
    ) -> None:
        self._config, self._run_state = config, run_state
        self._certificate = Certificate(config) if config.tls_cert else None
        self._viewers = viewers = Viewers(pictures, run_state, config.viewers)
        access = Access(config, {self._page}, {self._alive, self._static, _to_folder})
        app = web.Application(client_max_size=BODY_BYTES)
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, keepalive_timeout=KEEP_ALIVE_S, shutdown_timeout=0.5
        )
        self._listener = Listener(self._runner)
        app.middlewares.extend([self._listener.note, access.guard])
        app.on_response_prepare.append(access.add_headers)
        routes: list[tuple[str, str, Handler]] = [
            ("GET", "/", self._page),
            ("GET", "/static/{name}", self._static),
            ("POST", "/login", access.login),
            ("GET", "/live", viewers.websocket),
            ("GET", "/stream/{name}.mjpg", viewers.mjpeg),
            ("GET", "/snapshot/{name}.jpg", viewers.snapshot),
            ("GET", "/events/{id}.jpg", self._event_picture),
            ("GET", "/api/status", self._status),
            ("GET", "/api/events", self._events),
            ("GET", "/api/openapi.json", self._described),
            ("GET", "/api/streams", changes.list),
            ("POST", "/api/streams", changes.add),
            ("DELETE", "/api/streams/{name}", changes.remove),
            ("POST", "/api/streams/{name}/{action:pause|resume}", changes.change),
            ("POST", "/api/fence", orders.fence),
            ("POST", "/api/drain", orders.drain),
            ("GET", "/livez", self._alive),
            ("GET", "/healthz", self._alive),
            ("GET", "/readyz", self._ready),
            ("GET", "/metrics", self._metrics),
        ]
        for prefix in sorted({"", *(address.prefix for address in public_addresses(config))}):  # proxies may cut it off
            for method, path, handler in routes:
                app.add_routes(
                    [web.get(prefix + path, handler) if method == "GET" else web.route(method, prefix + path, handler)]
                )
            if prefix:
                app.add_routes([web.get(prefix, _to_folder)])

    async def open(self) -> None:
        await self._runner.setup()
        context = self._certificate.context if self._certificate else None
        await self._listener.open(self._config.host, self._config.port, context)
        if self._certificate:
            self._renewing = asyncio.create_task(self._certificate.renew())

    async def close(self) -> None:
        if self._certificate:
            self._renewing.cancel()
        await self._listener.close()
        await self._runner.cleanup()

    async def _page(self, request: web.Request) -> web.Response:
        return _FILES.answer("index.html")

    async def _static(self, request: web.Request) -> web.Response:
        return _FILES.answer(request.match_info["name"])

    async def _status(self, request: web.Request) -> web.Response:
        """What the page knows, for scripts."""
        return web.json_response(self._run_state.as_json())

    async def _described(self, request: web.Request) -> web.Response:
        """What is served here, for programs."""
        from web.openapi import described  # here: it is asked for once, if ever

        return web.json_response(described())

    async def _alive(self, request: web.Request) -> web.Response:
        """The run lives: this process answers, and the supervisor is heard; if not, to start it again helps."""
        silent_s = silence(self._run_state)
        if silent_s:
            return web.Response(status=503, text=f"the supervisor has said nothing for {silent_s:.0f} s\n")
        return web.Response(text="ok\n")

    async def _ready(self, request: web.Request) -> web.Response:
        """The run does what it is there for; 503 with the reasons if not."""
        reasons = troubles(self._run_state, self._config.ready_age_ms)
        return web.json_response({"ready": not reasons, "reasons": reasons}, status=503 if reasons else 200)

    async def _metrics(self, request: web.Request) -> web.Response:
        text = figures(self._run_state, self._viewers.count, self._listener.refused + self._viewers.refused)
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE})

    async def _events(self, request: web.Request) -> web.Response:
        """The events that the page shows, oldest first."""
        return web.json_response(self._run_state.events_after(0)[1])

    async def _event_picture(self, request: web.Request) -> web.Response:
        jpeg = self._run_state.picture_of(request.match_info["id"])
        if jpeg is None:
            raise web.HTTPNotFound(text="no such picture\n")
        return web.Response(body=jpeg, content_type="image/jpeg")


async def _to_folder(request: web.Request) -> web.Response:
    """`https://cams.example/mask` to `/mask/`: the page's links begin there."""
    folder = request.raw_path.partition("?")[0].rpartition("/")[2]
    query = f"?{request.query_string}" if request.query_string else ""
    return web.Response(status=308, headers={"Location": f"{folder}/{query}"})


_FILES = PageFiles("web")
