"""Who may come in: the token, the names under which this server is asked, and what a browser may do with a page."""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import web

COOKIE = "maskstream"
OPEN_TO_ALL = ("/healthz", "/static/")  # the process lives, and files that are the same for everybody
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",  # a token in an address stays here
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Server": "maskstream",
}

LOGIN = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>maskstream</title><link rel="stylesheet" href="/static/style.css"><main class="login"><h1>maskstream</h1>
<form method="post" action="/login"><label>Token <input name="token" type="password" required autofocus
autocomplete="current-password"></label> <button>Enter</button></form>
<p>It was printed when the run was started, or given to it.</p></main></html>"""


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine only.

    >>> [is_loopback(host) for host in ("127.0.0.1", "localhost", "::1", "0.0.0.0", "box.local")]
    [True, True, True, False, False]
    """
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Access:
    """Lets requests in, or answers 401 and 403. On a loopback address looking is free, changing is not."""

    def __init__(self, token: str, host: str) -> None:
        self._token = token.encode()
        self._cookie = hmac.new(self._token, b"cookie of maskstream's page", hashlib.sha256).hexdigest()
        self._is_open = is_loopback(host)

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Every request goes through here first; every answer leaves with the headers."""
        try:
            response = await self._guarded(request, handler)
        except web.HTTPException as error:
            error.headers.update(HEADERS)
            raise
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    async def _guarded(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        changes = request.method not in ("GET", "HEAD")
        self._refuse_strangers(request)
        if request.path == "/login":
            return await handler(request)
        if request.path.startswith(OPEN_TO_ALL) and not changes:
            return await handler(request)
        if changes or not self._is_open:
            if "token" in request.query and request.path == "/":
                return self.enter(request.query["token"])
            if not self.knows(request):
                if request.path == "/" and not changes:
                    return web.Response(status=401, text=LOGIN, content_type="text/html", headers=_ASKS)
                raise web.HTTPUnauthorized(text="token required\n", headers=_ASKS)
        return await handler(request)

    def _refuse_strangers(self, request: web.Request) -> None:
        """Pages of other sites, in a browser that can reach us, may neither look nor change."""
        host = urlsplit(f"//{request.headers.get('Host', '')}").hostname or ""
        if self._is_open and not is_loopback(host):  # a name that was made to point here
            raise web.HTTPForbidden(text="ask for this server by a loopback address\n")
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc != request.headers.get("Host"):
            raise web.HTTPForbidden(text="not for pages of other sites\n")
        if request.headers.get("Sec-Fetch-Site") == "cross-site" and request.path != "/":
            raise web.HTTPForbidden(text="not for pages of other sites\n")

    def knows(self, request: web.Request) -> bool:
        """Whether the request brings the token, as a bearer's or as the cookie of one who did."""
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._is_token(bearer.strip()):
            return True
        return hmac.compare_digest(request.cookies.get(COOKIE, "").encode(), self._cookie.encode())

    def _is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode(), self._token)

    def enter(self, token: str) -> web.Response:
        """Answer one who gives the token: a cookie, and the page."""
        if not self._is_token(token):
            return web.Response(status=401, text=LOGIN, content_type="text/html", headers=_ASKS)
        response = web.Response(status=303, headers={"Location": "/"})
        response.set_cookie(COOKIE, self._cookie, httponly=True, samesite="Strict", max_age=30 * 86400)
        return response

    async def login(self, request: web.Request) -> web.Response:
        """What the form sends."""
        return self.enter(str((await request.post()).get("token", "")))


_ASKS = {"WWW-Authenticate": 'Bearer realm="maskstream"'}
