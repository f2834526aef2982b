"""Webhooks: what is taken, refused, tried again; where redirects are followed and where not."""

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import pytest

from events.event import Event
from events.receiver import NotTaken
from events.webhook import Webhook, redirected

EVENT = Event(id="1", time="2026-11-26T12:00:00.000Z", rule="decision", stream="door", text="mask")


@pytest.fixture
def hook():
    """A real receiver; `answer(path)` gives status and headers, `posts` has path, headers and body of each POST."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server.posts.append((self.path, dict(self.headers), json.loads(body)))
            status, headers = server.answer(self.path)
            self.send_response(status)
            for name, value in ({"Content-Length": "0"} | headers).items():
                self.send_header(name, value)
            self.end_headers()

        def log_message(self, *_): ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.posts, server.answer = [], lambda path: (204, {})
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def url(server, path="/hook", user="me:s3%20cret@"):
    return f"http://{user}127.0.0.1:{server.server_port}{path}"


def test_a_redirect_to_the_same_place_is_followed_with_all_it_had_and_a_permanent_one_is_kept(hook):
    hook.answer = lambda path: (204, {}) if path == "/hook/" else (308, {"Location": "/hook/"})
    webhook = Webhook(url(hook))
    assert webhook.send(EVENT, b"jpeg")
    assert webhook.send(EVENT, None)
    assert [path for path, _, _ in hook.posts] == ["/hook", "/hook/", "/hook/"]
    secret = "Basic " + base64.b64encode(b"me:s3 cret").decode()
    assert {headers["Authorization"] for _, headers, _ in hook.posts} == {secret}
    assert base64.b64decode(hook.posts[1][2]["picture"]) == b"jpeg"
    webhook.close()


def test_a_passing_redirect_is_asked_for_each_time(hook):
    hook.answer = lambda path: (204, {}) if path == "/b" else (307, {"Location": "/b"})
    webhook = Webhook(url(hook, "/a"))
    for _ in range(2):
        assert webhook.send(EVENT, None)
    assert [path for path, _, _ in hook.posts] == ["/a", "/b"] * 2
    webhook.close()


def test_nothing_goes_to_another_host_or_round_in_circles(hook):
    webhook = Webhook(url(hook))
    hook.answer = lambda path: (307, {"Location": f"http://localhost:{hook.server_port}/hook"})
    with pytest.raises(NotTaken, match=r"answers 307 and sends us to http://localhost:.*events go to no other place"):
        webhook.send(EVENT, None)
    assert len(hook.posts) == 1
    hook.answer = lambda path: (307, {"Location": "/hook"})
    with pytest.raises(NotTaken, match="in a circle"):
        webhook.send(EVENT, None)
    assert len(hook.posts) == 5
    webhook.close()


@pytest.mark.parametrize(
    ("given", "status", "location", "followed"),
    [
        ("http://host/a", 308, "https://host/a", True),
        ("http://host:80/a", 301, "https://host:443/a/", True),
        ("http://host/a", 302, "https://host/a", True),
        ("https://host/a", 307, "https://host:443/b?c=1#d", True),
        ("https://host/a", 308, "http://host/a", False),  # the password would be readable
        ("https://host/a", 308, "//other/a", False),
        ("https://host/a", 308, "https://host:8443/a", False),
        ("https://host/a", 302, "/login", False),
        ("https://host/a", 303, "/a", False),
        ("https://host/a", 308, "", False),
        ("https://host/a", 308, "https://[broken", False),
        ("https://host/a", 308, "file:///etc/passwd", False),
    ],
)
def test_which_redirects_are_followed(given, status, location, followed):
    if followed:
        assert redirected(urlsplit(given), status, location).scheme == "https"
    else:
        with pytest.raises(NotTaken, match=f"answers {status}"):
            redirected(urlsplit(given), status, location)


@pytest.mark.parametrize(
    ("status", "headers", "after_s"), [(503, {"Retry-After": "90"}, 90), (500, {}, 0), (429, {}, 0)]
)
def test_what_may_be_taken_later_says_when(hook, status, headers, after_s):
    hook.answer = lambda path: (status, headers)
    webhook = Webhook(url(hook))
    with pytest.raises(NotTaken, match=str(status)) as error:
        webhook.send(EVENT, None)
    assert error.value.after_s == after_s
    webhook.close()


def test_what_it_refuses_is_refused_and_who_is_not_there_is_away(hook):
    hook.answer = lambda path: (422, {})
    webhook = Webhook(url(hook, "/späce 100%?x=ü"))
    assert not webhook.send(EVENT, None)
    assert hook.posts[0][0] == "/sp%C3%A4ce%20100%?x=%C3%BC"
    webhook.close()
    for address in ("http://127.0.0.1:9/", f"http://{'a' * 70}.example/"):
        with pytest.raises(OSError) as error:  # noqa: PT011
            Webhook(address).send(EVENT, None)
        assert not isinstance(error.value, NotTaken)
