"""`maskstream fleet serve`: one page over all shards of a fleet."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from configs.errors import InputError
from configs.loopback import is_loopback
from configs.references import resolve
from configs.schema import RunConfig, WebConfig
from fleet.collector import Collector
from fleet.file import Fleet, read_fleet
from fleet.pages import ShardPages
from fleet.schema import ServeConfig
from fleet.serve import FleetPage
from fleet.serve_store import Store
from fleet.shards import TOKEN
from fleet.state_folder import fleets_folder
from web.address import shown_url
from web.checked_page import checked_page

log = logging.getLogger("fleet")

MISSED = 3  # so many statuses may not come before a shard is silent
SHORTEST_S = 6.0  # and so long it may always need for one, on a busy machine
LOOK_S = 2.0  # how often it is looked whether the fleet's file was changed


def serve_command(
    file: Annotated[Path, typer.Argument(help="the fleet's YAML file")],
    host: Annotated[
        str, typer.Option(help="address to listen on; any other than a loopback one asks everybody for the token")
    ] = "127.0.0.1",
    port: Annotated[
        int | None, typer.Option(help="port to listen on; that of serve.url if not given", min=1, max=65535)
    ] = None,
    folder: Annotated[
        Path | None,
        typer.Option(help="where it keeps what it knows; below ~/.local/state if not given", metavar="FOLDER"),
    ] = None,
) -> None:
    """Serve one page over all shards, which tell it how they stand.

    It starts and ends no shard. An older copy of a shard that was cut off ends when it hears of the newer epoch here.
    Pictures and events are asked of the shards while somebody looks.

    Examples:
      maskstream fleet serve fleet.yaml
      maskstream fleet serve fleet.yaml --host 192.0.2.2
    """
    fleet = read_fleet(file, look_up=False)  # the cameras' passwords need not be on this machine
    config = page_config(fleet, host, port)
    logging.basicConfig(format="%(name)s: %(message)s", level=logging.INFO)
    store = Store(folder or fleets_folder() / fleet.config.fleet / "serve")
    try:
        collector = store.read()
        _plan(fleet, collector, store)
        web = fleet.config.defaults.web
        token = _looked_up(fleet, ["defaults", "web", "token"], web.token or TOKEN)
        pages = ShardPages(collector, "https" if web.tls_cert else "http", token, web.tls_cert)
        page = FleetPage(fleet.config.fleet, config, collector, store, pages, patience_s(fleet.config.defaults.run))
        asyncio.run(_serve(page, config, _Plan(file, fleet, collector, store)))
    finally:
        store.close()


def page_config(fleet: Fleet, host: str, port: int | None) -> WebConfig:
    """Where the page listens, and its token; raises InputError with the line of what it cannot be served with."""
    serve = fleet.config.serve
    if serve is None:
        raise fleet.given.refusal(["serve"], "is missing: give the page's address, as serve: {url: http://HOST:8090}")
    parts = urlsplit(serve.url)
    config = WebConfig(
        host=host,
        port=port or parts.port or (443 if parts.scheme == "https" else 80),
        token=_looked_up(fleet, ["serve", "token"], serve.token or TOKEN),
        url="" if is_loopback(parts.hostname or "") else serve.url,
        tls_cert=serve.tls_cert,
        tls_key=serve.tls_key,
    )
    try:
        return checked_page(config, typer.echo)
    except InputError as error:
        raise _of_serve(fleet, serve, str(error)) from None


def _of_serve(fleet: Fleet, serve: ServeConfig, reason: str) -> InputError:
    """The page's refusal, at the option of the fleet's file that it is about."""
    option, colon, rest = reason.partition(": ")
    if colon and option.startswith("web."):
        name, reason = option.removeprefix("web."), rest
    else:
        name = "token"
    return fleet.given.refusal(["serve", name], reason.replace("web.tls", "serve.tls"))


def _looked_up(fleet: Fleet, steps: list[Any], text: str) -> str:
    try:
        return resolve(text)
    except InputError as error:
        raise fleet.given.refusal(steps, str(error)) from None


def patience_s(run: RunConfig) -> float:
    """For how long a shard may tell nothing before it is silent, s."""
    return max(SHORTEST_S, MISSED * run.status_every_s)


def _plan(fleet: Fleet, collector: Collector, store: Store) -> None:
    gone = collector.plan(fleet.planned().shards)
    if gone:
        store.drop(gone, collector.past)


class _Plan:
    """The fleet's file, followed: a plan that was changed is taken over while the page is served."""

    def __init__(self, file: Path, fleet: Fleet, collector: Collector, store: Store) -> None:
        self._file, self._fleet, self._collector, self._store = file, fleet, collector, store
        self._stamp = self._stamp_of_now()

    def _stamp_of_now(self) -> tuple[int, ...]:
        with contextlib.suppress(OSError):
            at = self._file.stat()
            return at.st_ino, at.st_mtime_ns, at.st_size
        return ()

    async def follow(self) -> None:
        """For ever. A file that cannot be used is told of, and the plan before stays. Other options stay anyway."""
        while True:
            await asyncio.sleep(LOOK_S)
            now = self._stamp_of_now()
            if now in (self._stamp, ()):
                continue
            self._stamp = now
            try:
                fleet = await asyncio.to_thread(read_fleet, self._file, False)
                if fleet.config.fleet != self._fleet.config.fleet:
                    raise InputError(f"{self._file}: is of the fleet {fleet.config.fleet}: serve that one by itself")
                _plan(fleet, self._collector, self._store)
            except InputError as error:
                log.warning("the plan before stays: %s", error)
            else:
                log.info("%s was changed: the plan has %d shards now", self._file, len(self._collector.shards))


async def _serve(page: FleetPage, config: WebConfig, plan: _Plan) -> None:
    is_over = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, is_over.set)
    following = asyncio.create_task(plan.follow())
    try:
        await page.run(is_over, lambda: log.info("the fleet's page is at %s", shown_url(config)))
    finally:
        following.cancel()
