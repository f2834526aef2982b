"""What a shard's owner tells it over HTTP: a newer epoch, or to drain. The supervisor hears of it within a second."""

from __future__ import annotations

import json
from typing import Any

from aiohttp import web

from run.lease import Grant
from web.run_state import RunState


class Orders:
    """Puts them where this process says things of itself; `says` goes along with its heartbeats."""

    def __init__(self, run_state: RunState, says: dict[str, str]) -> None:
        self._run_state, self._says = run_state, says

    async def fence(self, request: web.Request) -> web.Response:
        """`{"epoch": 8}`: who has an older one ends. With `"life": "3fa9..."` that life goes on by the new one."""
        about = self._shard()
        try:
            body = json.loads(await request.read())
            grant = Grant.read(f"{int(body['epoch'])} {body.get('life', '')}")
        except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
            grant = None
        if grant is None:
            raise web.HTTPBadRequest(text='send {"epoch": NUMBER}, and "life" if that one is to go on by it\n')
        before = Grant.read(self._says.get("grant", ""))
        if before is None or before.epoch < grant.epoch:
            self._says["grant"] = str(grant)
        return self._heard(about)

    async def drain(self, request: web.Request) -> web.Response:
        """Read no more, deliver what waits, and end."""
        about = self._shard()
        self._says["drain"] = str(about["run"])
        return self._heard(about)

    def _shard(self) -> dict[str, Any]:
        about = self._run_state.status.about if self._run_state.status else {}
        if "epoch" not in about:
            raise web.HTTPConflict(text="this run is no shard\n")
        return about

    def _heard(self, about: dict[str, Any]) -> web.Response:
        return web.json_response({name: about[name] for name in ("shard", "run", "epoch")}, status=202)
