"""Logins, redirects, and what an http URL must not be: refused in one line."""

import base64
import hashlib
import re
import time

import pytest
from conftest import send
from http_answers import jpeg, multipart, opened
from reading import read

from capture.sources import open_source
from configs.errors import InputError
from configs.schema import SourceConfig


def challenged(challenge, accepts):
    def answer(request):
        if accepts(request.headers.get("Authorization", "")):
            send(request, jpeg(40), Content_Type="image/jpeg")
        else:
            send(request, b"", 401, WWW_Authenticate=challenge)

    return answer


def digest(algorithm, user, password):
    """Whether an Authorization header is the right answer to nonce `n` of realm `cam`, for GET /snap.jpg."""

    def accepts(header):
        said = dict(re.findall(r'(\w+)="?([^",]+)"?', header))

        def of(text):
            return hashlib.new(algorithm, text.encode()).hexdigest()

        secret, asked = of(f"{user}:cam:{password}"), of(f"GET:{said.get('uri')}")
        middle = f"n:{said.get('nc')}:{said.get('cnonce')}:auth"
        return said.get("response") == of(f"{secret}:{middle}:{asked}")

    return accepts


@pytest.mark.parametrize(
    ("challenge", "accepts"),
    [
        ('Basic realm="cam"', lambda said: said == "Basic " + base64.b64encode(b"me:pa ss@1").decode()),
        ('Digest realm="cam", nonce="n", qop="auth"', digest("md5", "me", "pa ss@1")),
        ('Digest realm="cam", nonce="n", qop="auth", algorithm=SHA-256', digest("sha256", "me", "pa ss@1")),
    ],
)
def test_user_and_password_are_given_when_they_are_asked_for(http_server, room, challenge, accepts):
    server = http_server(challenged(challenge, accepts))
    with opened(f"{server.url.replace('//', '//me:pa%20ss%401@')}/snap.jpg") as camera:
        assert read(camera, room).image.shape == (48, 64, 3)
    assert "Authorization" not in server.asked[0][1]
    with pytest.raises(InputError, match=r"//\*\*\*@.*: 401 unauthorized") as refusal:
        opened(f"{server.url.replace('//', '//me:wr0ng@')}/snap.jpg")
    assert (refusal.value.status, refusal.value.challenges) == (401, [challenge])


def redirects(to):
    def answer(request):
        request.send_response(302)
        request.send_header("Location", to)
        request.end_headers()

    return answer


def test_redirects_are_followed_and_the_password_is_not_given_to_another_server(http_server, room):
    other = http_server(challenged('Basic realm="x"', lambda said: said != ""))
    server = http_server(redirects(f"{other.url.replace('127.0.0.1', 'localhost')}/snap.jpg"))
    with pytest.raises(InputError, match="401"):
        opened(server.url.replace("//", "//me:s3cret@"))
    assert all("Authorization" not in headers for _, headers in other.asked)


def empty(request):
    send(request, b"")


def silent(request):
    request.send_response(200)
    request.end_headers()
    time.sleep(10)


def closes(request):
    request.close_connection = True


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (empty, "the answer is empty"),
        (silent, "it answers, but sends nothing"),
        (closes, "the server ends the connection without an answer"),
        (redirects("/x"), "it redirects again and again"),
        (redirects("rtsp://127.0.0.1/x"), "it redirects to what is no http URL"),
        (lambda request: send(request, b"", 404), "404 not found: the path of the URL is wrong"),
        (lambda request: send(request, b"", 403), "403 forbidden: this user may not see it"),
        (lambda request: send(request, b"", 503), "the server says 503 Service Unavailable"),
        (lambda request: send(request, b"<svg/>", Content_Type="image/svg+xml"), "image/svg+xml is no image"),
        (lambda request: send(request, b'<?xml version="1.0"?><MPD>', Content_Type="text/xml"), "a DASH playlist"),
        (lambda request: send(request, b"<html>login", Content_Type="text/html"), ""),
        (lambda request: send(request, b'{"error": 1}' * 99, Content_Type="application/json"), ""),
        (lambda request: send(request, bytes(100_000)), ""),
    ],
)
def test_what_is_no_picture_is_refused_in_one_line(http_server, capfd, answer, said):
    server = http_server(answer)
    began_s = time.monotonic()
    with pytest.raises(InputError) as refusal:
        open_source(SourceConfig(source=server.url.replace("//", "//me:s3cret@") + "/x", open_timeout_s=0.5))
    assert str(refusal.value).startswith(f"{server.url.replace('//', '//***@')}/x: {said}")
    assert "\n" not in str(refusal.value)
    assert time.monotonic() - began_s < 5
    assert "".join(capfd.readouterr()) == ""


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"realtime": True}, "realtime is for films"),
        ({"loop": True}, "loop is for films"),
        ({"decode": "cuda"}, "it sends single pictures, which the CPU decodes: without decode: cuda"),
    ],
)
def test_options_that_do_not_fit_what_is_sent_are_refused(http_server, options, said, monkeypatch):
    monkeypatch.setattr("capture.chips.refusal", lambda name: "")  # as where the chip is there
    part = b"--frame\r\nContent-Type: image/jpeg\r\n\r\n" + jpeg(1) + b"\r\n"
    with pytest.raises(InputError, match=said):
        opened(http_server(multipart(part)).url, **options)
