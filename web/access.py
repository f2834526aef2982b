"""Who may come in: the token, the names under which this server is asked, and what a browser may do with a page."""

from __future__ import annotations

import hashlib
import hmac
import logging
from collections.abc import Awaitable, Callable, Collection

from aiohttp import HttpVersion11, web

from configs.loopback import is_loopback
from configs.schema import WebConfig
from web.address import public_addresses, split

log = logging.getLogger("web")

# a proxy sends one of these; nginx, if it is not told to, sends none but asks in HTTP/1.0, which no browser does
FORWARDED = (
    "Forwarded",
    "Via",
    "X-Forwarded-For",
    "X-Forwarded-Host",
    "X-Forwarded-Prefix",
    "X-Forwarded-Proto",
    "X-Real-IP",
)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # a token in an address stays here; with no-referrer forms send `Origin: null`
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would keep up to a GB of pictures for a slow viewer, who would see old ones
    "Server": "maskstream",
}

LOGIN = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>maskstream</title><link rel="icon" href="static/icon.svg">
<link rel="stylesheet" href="static/style.css"><main class="login"><h1>maskstream</h1>
<form method="post" action="login"><label>Token <input name="token" type="password" required autofocus
autocomplete="current-password"></label> <button>Enter</button></form>
<p>It was printed when the run was started, or given to it.</p></main></html>"""


class Access:
    """Lets requests in, or answers 401 and 403. Directly on a loopback address looking is free, changing is not.

    `entries` are the handlers of pages that ask for the token, `open_to_all` those that need none. What a proxy says of
    the browser (X-Forwarded-Host and the like) is believed of nobody: `web.url` names the addresses that browsers use.
    """

    def __init__(self, config: WebConfig, entries: Collection[Handler], open_to_all: Collection[Handler]) -> None:
        self._token = config.token.encode()
        self._cookie = hmac.new(self._token, b"cookie of maskstream's page", hashlib.sha256).hexdigest()
        self._cookie_name = f"maskstream-{config.port}"  # the ports of a host share their cookies
        self._entries, self._open_to_all = entries, open_to_all
        self._addresses = public_addresses(config)
        self._is_loopback = is_loopback(config.host)
        self._is_tls = bool(config.tls_cert)
        self._told_of_stranger = False

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Every request goes through here first."""
        asked = request.match_info.handler
        changes = request.method not in ("GET", "HEAD")
        is_open = asked in self._open_to_all and not changes
        self._refuse_strangers(request, is_open)
        if asked == self.login or is_open:
            return await handler(request)
        if changes or not self._is_near(request):
            if "token" in request.query and asked in self._entries:
                return self._enter(request, request.query["token"])
            if not self.knows(request):
                if asked in self._entries and not changes:
                    return _login_page()
                raise web.HTTPUnauthorized(text="token required\n", headers=_ASKS)
        return await handler(request)

    @staticmethod
    async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
        """Every answer leaves with the headers."""
        response.headers.update(HEADERS)

    def _is_near(self, request: web.Request) -> bool:
        """Whether somebody on this machine asks, with no proxy between that others can reach."""
        if not self._is_loopback or self._addresses:
            return False
        return request.version >= HttpVersion11 and not any(name in request.headers for name in FORWARDED)

    def _refuse_strangers(self, request: web.Request, is_open: bool) -> None:
        """Pages of other sites, in a browser that can reach us, may neither look nor change.

        A script of the page is asked for with `Origin`, too, and must come, to say that web.url is wrong: what is the
        same for everybody may be had, but a page of another site cannot read it (Cross-Origin-Resource-Policy).
        """
        host = request.headers.get("Host", "")
        parts = split(f"//{host}")
        name = (parts.hostname if parts else None) or ""
        origin = request.headers.get("Origin")
        is_public = any(name == address.host for address in self._addresses)
        if self._is_loopback and not is_loopback(name) and not is_public:  # a name that was made to point here
            self._tell_of_stranger(f"Host: {host}")
            raise web.HTTPForbidden(text=f"ask for this server by a loopback address; {_PROXY}\n")
        if origin is not None and not is_open and not any(origin == address.origin for address in self._addresses):
            asked = split(origin)
            is_same = asked is not None and asked.netloc == host and not (self._is_tls and asked.scheme != "https")
            if is_public or not is_same:
                self._tell_of_stranger(f"Origin: {origin}")
                raise web.HTTPForbidden(text=f"not for pages of other sites; {_PROXY}\n")
        if request.headers.get("Sec-Fetch-Site") == "cross-site" and request.match_info.handler not in self._entries:
            raise web.HTTPForbidden(text="not for pages of other sites\n")

    def _tell_of_stranger(self, said: str) -> None:
        if not self._told_of_stranger:  # once: whoever reaches us could fill the log
            self._told_of_stranger = True
            log.warning("refused a browser (%s); %s", ascii(said[:200]), _PROXY)

    def knows(self, request: web.Request) -> bool:
        """Whether the request brings the token, as a bearer's or as the cookie of one who did."""
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._is_token(bearer.strip()):
            return True
        return hmac.compare_digest(request.cookies.get(self._cookie_name, "").encode(), self._cookie.encode())

    def _is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode(), self._token)

    def _enter(self, request: web.Request, token: str) -> web.Response:
        """Answer one who gives the token: a cookie, and the page."""
        if not self._is_token(token):
            return _login_page()
        response = web.Response(status=303, headers={"Location": "./"})
        response.set_cookie(
            self._cookie_name,
            self._cookie,
            path="",  # not sent: then it is the folder of the address that the browser knows: a proxy's prefix
            httponly=True,
            samesite="Strict",
            max_age=30 * 86400,
            secure=self._by_tls(request),
        )
        return response

    def _by_tls(self, request: web.Request) -> bool:
        """Whether the browser came by https, to us or to the proxy; it matters to nobody but the browser itself."""
        origin, said = request.headers.get("Origin", ""), request.headers.get("X-Forwarded-Proto", "")
        if origin or said:
            return origin.startswith("https:") or said == "https"
        host = request.headers.get("Host", "")
        return request.secure or any(address.origin == f"https://{host}" for address in self._addresses)

    async def login(self, request: web.Request) -> web.Response:
        """What the form sends."""
        return self._enter(request, str((await request.post()).get("token", "")))


_ASKS = {"WWW-Authenticate": 'Bearer realm="maskstream"'}
_PROXY = "behind a proxy: web.url must name the address that the browser shows"


def _login_page() -> web.Response:
    return web.Response(status=401, text=LOGIN, content_type="text/html", headers=_ASKS)
