"""The fleet's page: takes in what shards tell, and serves all of it at one address."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sqlite3
import time
import zlib
from collections.abc import Callable
from typing import Any

import msgspec
from aiohttp import web

from configs.errors import InputError
from configs.schema import WebConfig
from fleet.collector import Collector
from fleet.figures import figures, targets
from fleet.lives import Moment
from fleet.pages import ShardPages, Unreached
from fleet.serve_store import Store, rows
from fleet.told import read_told
from web.access import FORWARDED, Access, Handler
from web.listener import KEEP_ALIVE_S, Listener
from web.metrics import CONTENT_TYPE
from web.page_files import PageFiles
from web.tls import Certificate

log = logging.getLogger("fleet")

STATUS_BYTES = 4 << 20  # a shard's status has some 500 bytes for each of its cameras
LOOK_S = 0.5
WRITE_S = 2.0  # a new life is kept at once; how far it is, so often
FRESH_S = 1.0  # the whole fleet as JSON is made so often at most: 2,000 cameras take 0.4 MB


class FleetPage:
    """All that is served, at one address. `patience_s`: a shard that tells nothing for so long is silent."""

    def __init__(
        self, fleet: str, config: WebConfig, collector: Collector, store: Store, pages: ShardPages, patience_s: float
    ) -> None:
        self._fleet, self._config, self._collector, self._store, self._pages = fleet, config, collector, store, pages
        self._patience_s = patience_s
        self._began, self._began_s = time.time(), time.monotonic()
        self._to_write: set[str] = set()
        self._writing = asyncio.Lock()  # else an older row could come after a newer one
        self._trouble = ""
        self._made: tuple[float, bytes, bytes] = (0.0, b"", b"")
        self._files = PageFiles("web", "fleet")
        self._certificate = Certificate(config) if config.tls_cert else None
        access = Access(config, {self._page}, {self._alive, self._static})
        app = web.Application(client_max_size=STATUS_BYTES)
        self._runner = web.AppRunner(
            app, access_log=None, handler_cancellation=True, keepalive_timeout=KEEP_ALIVE_S, shutdown_timeout=0.5
        )
        self._listener = Listener(self._runner)
        app.middlewares.extend([self._listener.note, access.guard])
        app.on_response_prepare.append(access.add_headers)
        routes: list[tuple[str, Handler]] = [
            ("/", self._page),
            ("/static/{name}", self._static),
            ("/api/status", self._status),
            ("/api/events", self._events),
            ("/snapshot/{shard}/{name}.jpg", self._picture),
            ("/events/{shard}/{id}.jpg", self._event_picture),
            ("/metrics", self._metrics),
            ("/sd", self._targets),
            ("/livez", self._alive),
            ("/readyz", self._ready),
        ]
        app.add_routes([web.get(path, handler) for path, handler in routes])
        app.add_routes([web.post("/login", access.login), web.post("/status", self._hear)])

    @property
    def at(self) -> Moment:
        """Now. The clock goes on evenly from the time of this machine at the start, whatever is done to that."""
        now = self._began + time.monotonic() - self._began_s
        return Moment(now, self._began, self._patience_s)

    async def run(self, is_over: asyncio.Event, ready: Callable[[], None]) -> None:
        """Serve until it is over. Raises InputError if it cannot listen where it should."""
        await self._runner.setup()
        renewing = asyncio.create_task(self._certificate.renew()) if self._certificate else None
        try:
            await self._pages.open()
            context = self._certificate.context if self._certificate else None
            await self._listener.open(self._config.host, self._config.port, context)
            ready()
            written_s = time.monotonic()
            while not is_over.is_set():
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await is_over.wait()
                for line in self._collector.look(self.at):
                    log.warning("%s", line)
                if time.monotonic() - written_s > WRITE_S:
                    written_s = time.monotonic()
                    await self._write()
        finally:
            if renewing is not None:
                renewing.cancel()
            await self._listener.close()
            await self._pages.close()
            await self._runner.cleanup()
            await self._write()

    async def _write(self) -> None:
        """Keep what was told; a disk that does not take it is told once, and tried again."""
        async with self._writing:
            names, self._to_write = self._to_write, set()
            if not names:
                return
            try:
                await asyncio.to_thread(self._store.write, rows(self._collector, names))
            except sqlite3.Error as error:
                self._to_write |= names
                if not self._trouble:
                    log.warning("what shards tell cannot be kept (%s); it is tried again", error)
                self._trouble = str(error)
            else:
                if self._trouble:
                    log.info("what shards tell is kept again")
                self._trouble = ""

    async def _hear(self, request: web.Request) -> web.Response:
        """A shard's status. It is answered with the newest epoch, and the life that goes on by it."""
        try:
            told = read_told(await request.read())
            # whoever comes through a proxy is found by the name that it gives itself
            address = told.host if any(name in request.headers for name in FORWARDED) else request.remote or ""
            lives = self._collector.lives.get(told.shard)
            before = (lives.epoch, lives.run) if lives else None
            grant, says = self._collector.hear(told, address, self.at)
        except InputError as error:
            raise web.HTTPBadRequest(text=f"{error}\n") from None
        for line in says:
            log.info("%s", line)
        self._to_write.add(told.shard)
        if before != (grant.epoch, grant.life):
            await self._write()
        return web.json_response({"epoch": grant.epoch, "life": grant.life})

    async def _page(self, request: web.Request) -> web.Response:
        return self._files.answer("fleet.html")

    async def _static(self, request: web.Request) -> web.Response:
        return self._files.answer(request.match_info["name"])

    def _as_json(self) -> dict[str, Any]:
        return {"fleet": self._fleet} | self._collector.as_json(self.at)

    async def _status(self, request: web.Request) -> web.Response:
        """The whole fleet; all who ask within a second get the same."""
        made_s, plain, packed = self._made
        if time.monotonic() - made_s > FRESH_S:
            plain = msgspec.json.encode(self._as_json())
            packed = zlib.compress(plain, 1, wbits=31)  # gzip; 2,000 cameras: a tenth
            self._made = time.monotonic(), plain, packed
        if "gzip" in request.headers.get("Accept-Encoding", ""):
            headers = {"Content-Encoding": "gzip", "Vary": "Accept-Encoding"}
            return web.Response(body=packed, content_type="application/json", headers=headers)
        return web.Response(body=plain, content_type="application/json")

    async def _events(self, request: web.Request) -> web.Response:
        """The newest events of all shards that tell how they stand, oldest first; and which shards gave none."""
        return web.json_response(await self._pages.events(self._living))

    def _living(self) -> list[str]:
        return [name for name in self._collector.lives if self._is_living(name)]

    def _is_living(self, shard: str) -> bool:
        return shard in self._collector.shards and self._collector.state(shard, self.at) not in ("silent", "ended")

    async def _picture(self, request: web.Request) -> web.Response:
        """The picture of now, from the shard's page; 503 and words in its place while there is none."""
        try:
            picture = await self._pages.picture(self._shard(request), request.match_info["name"])
        except Unreached as error:
            raise web.HTTPBadGateway(text=f"{error}\n") from None
        headers = {"X-Age-Ms": picture.age_ms} if picture.is_real else {"Retry-After": "2"}
        status = 200 if picture.is_real else 503
        return web.Response(body=picture.jpeg, status=status, content_type="image/jpeg", headers=headers)

    async def _event_picture(self, request: web.Request) -> web.Response:
        try:
            jpeg = await self._pages.event_picture(self._shard(request), request.match_info["id"])
        except Unreached as error:
            raise web.HTTPBadGateway(text=f"{error}\n") from None
        return web.Response(body=jpeg, content_type="image/jpeg")

    def _shard(self, request: web.Request) -> str:
        name = request.match_info["shard"]
        if name not in self._collector.shards:
            raise web.HTTPNotFound(text="no such shard\n")
        if not self._is_living(name):
            raise web.HTTPBadGateway(text="its shard is silent\n")
        return name

    async def _metrics(self, request: web.Request) -> web.Response:
        text = figures(self._fleet, self._collector.as_json(self.at))
        return web.Response(body=text, headers={"Content-Type": CONTENT_TYPE})

    async def _targets(self, request: web.Request) -> web.Response:
        """Where Prometheus finds the shards' own figures."""
        scheme = self._pages.scheme
        return web.json_response(targets(self._fleet, scheme, self._collector))

    async def _alive(self, request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _ready(self, request: web.Request) -> web.Response:
        """The page does what it is there for, also where shards are silent; 503 if what they tell cannot be kept."""
        reasons = [f"what shards tell cannot be kept ({self._trouble})"] if self._trouble else []
        return web.json_response({"ready": not reasons, "reasons": reasons}, status=503 if reasons else 200)
