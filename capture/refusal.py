"""Why a network source was refused, where FFmpeg's own word is not enough: asked once more, without a login.

FFmpeg says "401" for a wrong password and for a kind of login that it does not know, and "invalid data" for a web page.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import re
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from urllib.parse import SplitResult, unquote, urlsplit

from capture.ffmpeg_error import why

LONGEST_S = 3.0  # for the question
REMEMBERED_S = 60.0  # a camera that is tried again every two seconds is asked no more often than this
_HEAD_BYTES = 4096
_PAGE = re.compile(rb"\s*(<!--.*?-->\s*)*<(!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL)
FFMPEG_DIGESTS = ("", "MD5", "MD5-SESS")  # FFmpeg 8: libavformat/httpauth.c

_answers: dict[tuple[str, str], tuple[float, str]] = {}


def why_refused(address: str, error: Exception | None, timeout_s: float) -> str:
    """In words, without the address; `error` is FFmpeg's, None where it found no pictures in what came."""
    said = why(error) if error is not None else "it sends no video"
    key = (address, said)
    asked_s, reason = _answers.get(key, (0.0, ""))
    if not reason or time.monotonic() - asked_s > REMEMBERED_S:
        reason = _asked(address, error, min(timeout_s, LONGEST_S)) or said
        _answers[key] = time.monotonic(), reason
    return reason


def _asked(address: str, error: Exception | None, timeout_s: float) -> str:
    """What an own look finds out; empty: nothing."""
    import av

    with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
        url = urlsplit(address)
        if url.scheme not in ("rtsp", "http", "https") or not url.hostname:
            return ""
        if isinstance(error, av.error.HTTPUnauthorizedError):
            challenges = _rtsp_challenges(url, timeout_s) if url.scheme == "rtsp" else _http_challenges(url, timeout_s)
            return why_unauthorized(challenges, has_login=bool(url.username))
        if isinstance(error, ConnectionRefusedError | TimeoutError | av.error.HTTPError):
            return ""
        if trouble := why_unknown(url.hostname, url.path + url.query):
            return trouble
        if url.scheme == "rtsp":
            answer = _rtsp_answer(url, "OPTIONS", timeout_s)
            speaks_http = answer.startswith(b"HTTP/") or bool(_PAGE.match(answer))
            return "a web server answers here, no RTSP server: is the port right?" if speaks_http else ""
        return _what_comes(url, timeout_s)
    return ""


def why_unauthorized(challenges: Sequence[str], has_login: bool, known: Sequence[str] = FFMPEG_DIGESTS) -> str:
    """What a 401 means, told by the values of its `WWW-Authenticate` lines; empty: user or password is wrong.

    FFmpeg answers the last Digest of them, if it knows its kind.

    >>> why_unauthorized(['Digest realm="x", algorithm=SHA-256, nonce="1"'], True)
    '401 unauthorized: it asks for a SHA-256 Digest login, FFmpeg knows MD5 only: choose MD5 or Basic in its settings'
    """
    digests = [challenge for challenge in challenges if challenge.lower().startswith("digest")]
    if digests:
        found = re.search(r"\balgorithm\s*=\s*\"?([\w-]*)", digests[-1], re.IGNORECASE)
        algorithm = found[1].upper() if found else ""
        if algorithm not in known:
            wanted = f"it asks for a {algorithm} Digest login"
            knows = "FFmpeg knows MD5 only" if known is FFMPEG_DIGESTS else "which is not known here"
            return f"401 unauthorized: {wanted}, {knows}: choose MD5 or Basic in its settings"
    elif challenges and not any(challenge.lower().startswith("basic") for challenge in challenges):
        kinds = " or ".join(dict.fromkeys(challenge.split(" ")[0] for challenge in challenges))
        return f"401 unauthorized: it asks for a login by {kinds:.40}, only Basic and Digest are known here"
    if challenges and not has_login:
        return "401 unauthorized: it asks for a user and password: write them before the host, as USER:PASSWORD@HOST"
    return ""


def _rtsp_challenges(url: SplitResult, timeout_s: float) -> list[str]:
    answer = _rtsp_answer(url, "DESCRIBE", timeout_s).decode("latin-1")
    return [found.strip() for found in re.findall(r"(?im)^WWW-Authenticate:(.*)$", answer)]


def _rtsp_answer(url: SplitResult, method: str, timeout_s: float) -> bytes:
    """The head of what is answered to one request without a login."""
    host, until_s = str(url.hostname), time.monotonic() + timeout_s
    named = f"[{host}]" if ":" in host else host
    target = f"rtsp://{named}:{url.port or 554}{url.path}{'?' * bool(url.query)}{url.query}"
    answer = b""
    with socket.create_connection((host, url.port or 554), timeout_s) as link:
        link.sendall(f"{method} {target} RTSP/1.0\r\nCSeq: 1\r\nUser-Agent: maskstream\r\n\r\n".encode())
        while b"\r\n\r\n" not in answer and len(answer) < _HEAD_BYTES and time.monotonic() < until_s:
            part = link.recv(_HEAD_BYTES)
            if not part:
                break
            answer += part
    return answer


def _http_challenges(url: SplitResult, timeout_s: float) -> list[str]:
    try:
        _get(url, timeout_s, with_login=False).close()
    except urllib.error.HTTPError as error:
        with error:
            return error.headers.get_all("WWW-Authenticate") or []
    return []


def _what_comes(url: SplitResult, timeout_s: float) -> str:
    try:
        with _get(url, timeout_s, with_login=True) as answer:
            kind = answer.headers.get_content_type() if "Content-Type" in answer.headers else ""
            head = answer.read(512)
    except urllib.error.HTTPError as error:
        error.close()
        return ""
    return why_no_video(kind, head)


def why_no_video(kind: str, head: bytes) -> str:
    """What a body is, by its media type and how it begins, if it is text; empty: it is none."""
    if _PAGE.match(head) or kind in ("text/html", "application/xhtml+xml"):
        return "a web page comes, no video: is the path of the URL right?"
    return f"text comes ({kind}), no video: is the path of the URL right?" if kind in _TEXTS else ""


_TEXTS = ("text/plain", "application/json", "application/xml", "text/xml")


def _get(url: SplitResult, timeout_s: float, with_login: bool) -> http.client.HTTPResponse:
    """As FFmpeg asks: redirections are followed, certificates are not checked. No proxy comes in between."""
    request = urllib.request.Request(url._replace(netloc=url.netloc.rpartition("@")[2], fragment="").geturl())
    request.add_header("User-Agent", "maskstream")
    if with_login and url.username:
        login = f"{unquote(url.username)}:{unquote(url.password or '')}".encode()
        request.add_unredirected_header("Authorization", f"Basic {base64.b64encode(login).decode()}")
    trusting = ssl.create_default_context()
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    handlers = urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trusting)
    answer: http.client.HTTPResponse = urllib.request.build_opener(*handlers).open(request, timeout=timeout_s)
    return answer


def why_unknown(host: str, rest: str) -> str:
    """Why a host's name gives no address, `rest` follows it in the URL; empty: it gives one."""
    trouble = _trouble_with(host)
    if trouble and "@" in rest:  # what was taken for the host may be the user
        return f"the host's name {trouble}; in a user or password write / as %2F and ? as %3F"
    return f"the name {host} {trouble}" if trouble else ""


def _trouble_with(host: str) -> str:
    """Why a host's name gives no address; empty: it gives one."""
    try:
        socket.getaddrinfo(host, None)
    except socket.gaierror as error:
        return "cannot be looked up: no name server answers" if error.errno == socket.EAI_AGAIN else "is not known"
    except UnicodeError:  # a label that is empty or too long
        return "is not known"
    return ""
