"""Who may come in: by name, origin, token, and by the way on which a request came."""

import asyncio

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from configs.schema import WebConfig
from web.access import FORWARDED, Access

TOKEN = "a-token-of-the-test"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
NEAR = {"Host": "127.0.0.1:8080"}


async def page(request: web.Request) -> web.Response:
    return web.Response(text="page")


async def alive(request: web.Request) -> web.Response:
    return web.Response(text="ok")


async def other(request: web.Request) -> web.Response:
    return web.Response(text="pictures")


def asked(config: WebConfig, *requests):
    """The answers to requests (method, path, headers, and what else aiohttp's client takes), over a real connection."""

    async def ask():
        access = Access(config, {page}, {alive})
        app = web.Application(middlewares=[access.guard])
        app.on_response_prepare.append(access.add_headers)
        app.add_routes([web.get("/", page), web.get("/livez", alive), web.route("*", "/api", other)])
        app.add_routes([web.post("/login", access.login)])
        async with TestClient(TestServer(app)) as client:
            return [
                await client.request(method, path, headers=headers, allow_redirects=False, **more)
                for method, path, headers, *rest in requests
                for more in [rest[0] if rest else {}]
            ]

    return asyncio.run(ask())


def codes(config: WebConfig, *requests) -> list[int]:
    return [answer.status for answer in asked(config, *requests)]


DEFAULT = WebConfig(token=TOKEN)
BEHIND = WebConfig(token=TOKEN, url="https://cams.example/mask/ http://10.0.0.2:81/")


def test_near_looking_is_free_and_changing_is_not():
    assert codes(DEFAULT, ("GET", "/api", NEAR), ("POST", "/api", NEAR), ("POST", "/api", NEAR | BEARER)) == [
        200,
        401,
        200,
    ]


@pytest.mark.parametrize("header", FORWARDED)
def test_who_came_through_a_proxy_is_not_near_whatever_the_proxy_says(header):
    for value in ("127.0.0.1", "cams.example", "https", "for=127.0.0.1", ""):
        assert codes(DEFAULT, ("GET", "/api", NEAR | {header: value}), ("GET", "/livez", NEAR | {header: value})) == [
            401,
            200,
        ]


def test_http_1_0_is_what_nginx_speaks_by_itself():

    async def ask():
        access = Access(DEFAULT, {page}, {alive})
        app = web.Application(middlewares=[access.guard])
        app.add_routes([web.get("/api", other)])
        async with TestServer(app) as server:
            reader, writer = await asyncio.open_connection(server.host, server.port)
            writer.write(b"GET /api HTTP/1.0\r\nHost: 127.0.0.1:8080\r\n\r\n")
            answer = await reader.read()
            writer.close()
            return answer

    assert asyncio.run(ask()).split()[1] == b"401"


@pytest.mark.parametrize(
    "host", ["evil.example", "cams.example", "127.0.0.1.evil.example", "", "[", "evil.example:8080"]
)
def test_a_name_that_was_made_to_point_here_is_refused(host):
    headers = {"Host": host, "X-Forwarded-Host": "127.0.0.1", "X-Forwarded-For": "127.0.0.1"} | BEARER
    assert codes(DEFAULT, ("GET", "/api", headers), ("GET", "/livez", headers)) == [403, 403]


@pytest.mark.parametrize(
    "host", ["cams.example", "cams.example:443", "10.0.0.2", "10.0.0.2:9", "127.0.0.1:8080", "localhost"]
)
def test_behind_a_proxy_the_host_may_be_any_that_proxies_send(host):
    assert codes(BEHIND, ("GET", "/api", {"Host": host}), ("GET", "/api", {"Host": host} | BEARER)) == [401, 200]


@pytest.mark.parametrize(
    ("origin", "code"),
    [
        ("https://cams.example", 200),
        ("http://10.0.0.2:81", 200),
        ("http://cams.example", 403),
        ("https://cams.example:444", 403),
        ("https://cams.example.evil.example", 403),
        ("http://10.0.0.2", 403),
        ("null", 403),
        ("http://[", 403),
    ],
)
def test_pages_of_the_public_addresses_and_of_no_other_may_ask(origin, code):
    for host in ("cams.example", "127.0.0.1:8080"):
        headers = {"Host": host, "Origin": origin, "X-Forwarded-Host": "evil.example"} | BEARER
        assert codes(BEHIND, ("GET", "/api", headers), ("POST", "/api", headers)) == [code, code], host


def test_the_scripts_of_the_page_come_so_that_it_can_say_what_is_wrong():
    unknown = {"Host": "127.0.0.1:8080", "Origin": "https://other.example"}
    assert codes(BEHIND, ("GET", "/livez", unknown), ("POST", "/livez", unknown | BEARER)) == [200, 403]
    assert codes(BEHIND, ("GET", "/livez", unknown | {"Sec-Fetch-Site": "cross-site"})) == [403]


def test_the_page_directly_on_this_machine_still_works_behind_a_proxy():
    headers = NEAR | {"Origin": "http://127.0.0.1:8080"}
    assert codes(BEHIND, ("GET", "/api", headers), ("GET", "/api", headers | BEARER)) == [401, 200]
    assert codes(BEHIND, ("GET", "/api", NEAR | BEARER | {"Origin": "http://127.0.0.1:3000"})) == [403]


@pytest.mark.parametrize(
    ("headers", "is_secure"),
    [
        ({"Host": "cams.example", "Origin": "https://cams.example"}, True),
        ({"Host": "127.0.0.1:8080", "Origin": "https://cams.example"}, True),
        ({"Host": "10.0.0.2:81", "Origin": "http://10.0.0.2:81"}, False),
        ({"Host": "127.0.0.1:8080", "Origin": "http://127.0.0.1:8080"}, False),
    ],
)
def test_the_cookie_holds_where_the_browser_is(headers, is_secure):
    [entered, wrong] = asked(
        BEHIND, *(("POST", "/login", headers, {"data": {"token": token}}) for token in (TOKEN, "guess"))
    )
    assert (entered.status, entered.headers["Location"], wrong.status) == (303, "./", 401)
    cookie = entered.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Path" not in cookie  # so it is the folder of the address that the browser sees
    assert ("Secure" in cookie) == is_secure
    assert TOKEN not in cookie
    pair = cookie.partition(";")[0]
    assert codes(BEHIND, ("GET", "/api", {"Host": headers["Host"], "Cookie": pair})) == [200]


def test_a_token_in_the_address_lets_in():
    by_name, direct = {"Host": "cams.example"}, NEAR | {"X-Forwarded-Proto": "https"}
    for headers in (by_name, direct):
        [answer] = asked(BEHIND, ("GET", f"/?token={TOKEN}", headers))
        assert (answer.status, answer.headers["Location"]) == (303, "./")
        assert "Secure" in answer.headers["Set-Cookie"]


def test_every_answer_has_the_headers():
    for answer in asked(
        DEFAULT, ("GET", "/api", NEAR), ("GET", "/none", NEAR), ("GET", "/api", {"Host": "evil.example"})
    ):
        assert answer.headers["X-Accel-Buffering"] == "no"
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"
