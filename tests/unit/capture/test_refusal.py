"""Why a network source is refused: by real answers of small servers on loopback."""

import contextlib
import re
import socket
import threading

import pytest

from capture import refusal
from capture.sources import open_source
from configs.errors import InputError
from configs.schema import SourceConfig

PAGE = b"<!DOCTYPE html>\n<html><head><title>Camera</title></head><body>" + b"<p>Log in</p>" * 400 + b"</body></html>"


class Server:
    """Gives one answer to every request; `asked` holds the requests."""

    def __init__(self, answer):
        self._answer, self.asked = answer, []
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._talk, args=(self._socket.accept()[0],), daemon=True).start()

    def _talk(self, link):
        with link, contextlib.suppress(OSError):
            while request := link.recv(65536):
                self.asked.append(request.decode("latin-1"))
                number = next((line for line in self.asked[-1].splitlines() if line.startswith("CSeq")), "")
                link.sendall(self._answer.replace(b"CSEQ", number.encode()))
                if not number:
                    return

    def close(self):
        self._socket.close()


@pytest.fixture
def serve(monkeypatch):
    monkeypatch.setattr(refusal, "_answers", {})
    servers = []

    def start(answer):
        servers.append(Server(answer))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


def rtsp(*challenges):
    lines = [b"RTSP/1.0 401 Unauthorized", b"CSEQ", *(b"WWW-Authenticate: " + c for c in challenges)]
    return b"\r\n".join([*lines, b"", b""])


def http(status, *headers, body=b""):
    length = b"Content-Length: %d" % len(body)
    return b"\r\n".join([b"HTTP/1.1 " + status, length, b"Connection: close", *headers, b"", body])


def refused(url, **options):
    with pytest.raises(InputError) as error:
        open_source(SourceConfig(source=url, open_timeout_s=3, **options)).close()
    assert "\n" not in str(error.value)
    assert "s3cret" not in str(error.value)
    return str(error.value).split(": ", 1)[1]


MD5 = b'Digest realm="cam", nonce="1", algorithm=MD5'
SHA = b'Digest realm="cam", nonce="1", algorithm=SHA-256'
WRONG = "401 unauthorized: user or password is wrong or missing"
NOT_KNOWN = "401 unauthorized: it asks for a SHA-256 Digest login, FFmpeg knows MD5 only: choose MD5 or Basic in its"


@pytest.mark.parametrize(
    ("challenges", "said"),
    [
        ([b'Digest realm="cam", nonce="1"'], WRONG),
        ([MD5], WRONG),
        ([b'Basic realm="cam"'], WRONG),
        ([SHA], NOT_KNOWN),
        ([b'digest realm="x", algorithm="sha-256", nonce="1"'], NOT_KNOWN),
        ([SHA, MD5], WRONG),  # FFmpeg takes the last one
        ([MD5, SHA], NOT_KNOWN),
        ([b'Basic realm="cam"', SHA], NOT_KNOWN),
        ([b"Negotiate", b"NTLM"], "401 unauthorized: it asks for a login by Negotiate or NTLM, only Basic and Digest"),
        ([], WRONG),
    ],
)
def test_a_login_that_ffmpeg_does_not_know_is_not_called_a_wrong_password(serve, challenges, said):
    server = serve(rtsp(*challenges))
    assert refused(f"rtsp://me:s3cret%20x@127.0.0.1:{server.port}/live").startswith(said)


@pytest.mark.parametrize(
    ("challenges", "said"),
    [
        ([b'Digest realm="cam", nonce="1"'], WRONG),
        ([SHA], WRONG),
        ([b'Basic realm="cam"', SHA], WRONG),
        ([b'Digest realm="x", algorithm="MD6", nonce="1"'], "401 unauthorized: it asks for a MD6 Digest login, which"),
        ([b"Negotiate", b"NTLM"], "401 unauthorized: it asks for a login by Negotiate or NTLM, only Basic and Digest"),
        ([], WRONG),
    ],
)
def test_over_http_more_logins_are_known_than_to_ffmpeg(serve, challenges, said):
    headers = [b"WWW-Authenticate: " + challenge for challenge in challenges]
    server = serve(http(b"401 Unauthorized", *headers))
    assert refused(f"http://me:s3cret%20x@127.0.0.1:{server.port}/live").startswith(said)


def test_a_missing_login_is_asked_for(serve):
    for server in (serve(rtsp(MD5)), serve(http(b"401 Unauthorized", b"WWW-Authenticate: Basic"))):
        scheme = "rtsp" if "rtsp" in str(server._answer).lower() else "http"
        said = refused(f"{scheme}://127.0.0.1:{server.port}/live")
        assert said.startswith("401 unauthorized: it asks for a user and password: write them before the host")


def test_a_camera_that_is_tried_again_is_not_asked_each_time(serve):
    server = serve(rtsp(SHA))
    url = f"rtsp://me:s3cret@127.0.0.1:{server.port}/live"
    assert refused(url) == refused(url) == refused(url)
    own = [request for request in server.asked if "User-Agent: maskstream" in request]
    assert len(own) == 1
    assert "Authorization" not in own[0]


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (http(b"200 OK", b"Content-Type: text/html", body=PAGE), "a web page comes, no video: is the path"),
        (http(b"200 OK", b"Content-Type: video/mp4", body=PAGE), "a web page comes, no video: is the path"),
        (http(b"200 OK", body=b"\n <html lang=en>" + PAGE), "a web page comes, no video: is the path"),
        (
            http(b"200 OK", b"Content-Type: application/json", body=b'{"error": 1}' * 99),
            "text comes (application/json)",
        ),
        (http(b"200 OK", body=b"\0\1\2" * 999), "what comes is no video that FFmpeg can read"),
        (http(b"404 Not Found"), "404 not found: the path of the URL is wrong"),
    ],
)
def test_a_web_page_is_called_one(serve, answer, said):
    assert refused(f"http://me:s3cret@127.0.0.1:{serve(answer).port}/cam.cgi?pwd=s3cret").startswith(said)


def test_a_web_server_is_no_rtsp_server(serve):
    server = serve(http(b"400 Bad Request", body=PAGE))
    assert refused(f"rtsp://me:s3cret@127.0.0.1:{server.port}/live").startswith("a web server answers here, no RTSP")


def test_a_name_that_is_not_known_is_named():
    trouble = "(is not known|cannot be looked up: no name server answers)"  # the second one where there is no network
    for scheme in ("rtsp", "http"):
        assert re.match(f"the name none.invalid {trouble}$", refused(f"{scheme}://me:s3cret@none.invalid/live"))
    said = refused("rtsp://admin:12/s3cret@door/live")
    assert re.match(f"the host's name {trouble}; in a user or password write / as %2F and \\? as %3F$", said)
    assert refused("rtsp://admin:s3#cret@door/live").endswith("write # as %23")
