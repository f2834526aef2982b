"""Pages are found by the commands of the same user, and the token goes to no other address."""

import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from configs.errors import InputError
from web.commands import _ask
from web.where import Page


def test_a_page_that_points_elsewhere_is_not_followed_with_the_token():
    asked = []

    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self):
            asked.append(self.path)
            self.send_response(302)
            self.send_header("Location", "/stolen")
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Elsewhere) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        page = Page(f"http://127.0.0.1:{server.server_port}/mask/", "a-token-of-the-test")
        with pytest.raises(InputError, match="the page is elsewhere: try --url /stolen"):
            _ask(page, "GET")
        server.shutdown()
    assert asked == ["/mask/api/streams"]
