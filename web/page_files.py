"""The files that a page is made of: few, and read at the start."""

from __future__ import annotations

from importlib.resources import files

from aiohttp import web

TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml"}


class PageFiles:
    """Those in the folder `static` of some rooms, by name. No path of the disk is ever made of a request."""

    def __init__(self, *rooms: str) -> None:
        folders = [files(room).joinpath("static") for room in rooms]
        self._files = {file.name: file.read_bytes() for folder in folders for file in folder.iterdir()}

    def answer(self, name: str) -> web.Response:
        """The file; raises HTTPNotFound."""
        if name not in self._files:
            raise web.HTTPNotFound(text="not found\n")
        kind = TYPES.get(name[name.rfind(".") :], "application/octet-stream")
        return web.Response(body=self._files[name], content_type=kind, charset="utf-8")
