"""Takes an address (URL of a source, sink or receiver) apart: what may be shown of it, and what are its secrets.

More lenient than RFC 3986, because people write passwords with `@`, `/`, `#` and blanks in them without escaping.
Where two readings are possible, more is taken for secret: everything up to the last `@`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import quote, unquote

from configs.errors import InputError

HIDDEN = "***"
MAX_PORT = 65535

# Pairs of a query that may be shown: what cameras are asked for besides a login. The values of all others are hidden.
_SHOWN = """
    action audio bitrate cam camera cameraid ch chan channel channelid codec compression encoding format fps height id
    live media mode nocache profile profiletoken proto quality rate res resolution size stream streamid
    streamtype subtype timeout transport type unicast video videocodec width
"""
HARMLESS = frozenset(_SHOWN.split())
_HARMLESS_VALUE = re.compile(r"[A-Za-z0-9._x-]{0,12}")
OURS = frozenset({"table", "sslmode"})  # of a postgres: sink; a table's name may be longer, and stands in its errors
_OUR_VALUE = re.compile(r"[A-Za-z0-9._-]{0,128}")
# Names that are shown though their value is not, so that one sees what was given.
_NAMED = """
    access_token api_key apikey auth authorization code hash jwt key login loginpas loginuse nonce pass passwd password
    pw pwd secret session sessionid sid sig sign signature ticket token usr user username
"""
NAMES = frozenset(_NAMED.split())
_BETWEEN = re.compile(r"([&;,?]|/(?=[A-Za-z]\w*=))")
_XM = re.compile(r"_(?=[A-Za-z]\w*=)")  # pairs of XM's cameras: /user=admin_password=x_channel=1_stream=0.sdp
_SCHEMELESS = re.compile(
    r"(?:webhook:|file:)?(?:rtsps?|rtmps?|https?|mqtts?|nats(?:\+tls)?|postgres(?:ql)?|udp|tcp|rtp|webhook):?/{0,2}",
    re.I,
)
_TOKEN = re.compile(
    r"(?=.*\d)[\w:.~+-]{12,}|[\w:.~+-]{20,}"
)  # a segment of a path that is made to be guessed by nobody
_ESCAPED = {"/": "%2F", "?": "%3F", "#": "%23", "@": "%40"}


@dataclass(frozen=True, slots=True)
class Address:
    """The parts of an address, as written.

    `prefix` is the scheme, `head` the segments of the path up to the first that holds pairs, `tail` all that follows:
    pairs of the path and of the query, with what separates them.
    """

    prefix: str
    login: str
    host: str
    head: tuple[str, ...]
    tail: str
    fragment: str

    @property
    def hostname(self) -> str:
        """Without port and brackets."""
        return re.sub(r":\d*$", "", self.host).strip("[]")

    @property
    def is_webhook(self) -> bool:
        """Whether to know the path is to be let in, as Slack, Discord and Home Assistant have it."""
        return self.prefix.lower().startswith("webhook:")

    @property
    def shown(self) -> str:
        """The address without its secrets."""
        return self.show(lambda part: False)

    def show(self, keep: Callable[[str], bool]) -> str:
        """The address without its secrets but those to keep; a user is kept together with the password."""
        secrets = self.secrets
        named = (
            2 if self.is_webhook else len(self.head)
        )  # of https://HOST/services/T01/B02/SECRET no more than /services
        head = "/".join(
            HIDDEN if segment and (number >= named or _tells(segment, secrets)) and not keep(segment) else segment
            for number, segment in enumerate(self.head)
        )
        fragment = f"#{HIDDEN}" if self.fragment.strip("#") else self.fragment
        user, colon, password = self.login.partition(":")
        login = (
            f"{self.login if keep(password if colon else user) else HIDDEN}{'@' * bool(self.host)}"
            if self.login
            else ""
        )
        return f"{self.prefix}{login}{self.host}{head}{_pairs(self.tail, keep)[0]}{fragment}"

    @property
    def title(self) -> str:
        """Words that may name it: of host and path, without any that contains a secret; empty if all do."""
        secrets = self.secrets
        segments = [segment for segment in self.head if not _tells(segment, secrets)]
        path = [piece.partition("=")[::2] for _, piece in _pieces(self.tail.partition("?")[0])]
        pairs = [f"{key}-{value}" for key, value in path if _is_harmless(key, value)]  # none of the query
        words = [word for text in (self.hostname, *segments, *pairs) for word in re.split(r"[^A-Za-z0-9._-]+", text)]
        title = "-".join(word for word in words if word and not _tells(word, secrets))
        return "" if _tells(title, secrets) else title

    @property
    def secrets(self) -> tuple[str, ...]:
        """User, password, values of the query and what else is not shown, as written; no empty ones."""
        user, _, password = self.login.partition(":")
        found = [user, password, *_pairs(self.tail)[1], self.fragment.lstrip("#")]
        if self.is_webhook:
            found += [segment for segment in self.head if _TOKEN.fullmatch(segment)]
        if any(character in self.login for character in "/?#"):  # which of two readings is meant is not known
            found += [self.login, *re.split(r"[/?#@:]", self.login)]
        return tuple(dict.fromkeys(part for part in found if part))


def take_apart(text: str) -> Address | None:
    """The parts of an address; None where the text is none: a file, a device, a word.

    >>> take_apart("rtsp://admin:open sesame@door:554/live?token=x").shown
    'rtsp://***@door:554/live?token=***'
    >>> take_apart("clip@2.mp4") is None
    True
    """
    prefix, separator, rest = text.partition("://")
    if separator and not re.search(r"[@?\s]", prefix):
        prefix += separator
    else:
        # A scheme was forgotten or mistyped: admin:pw@192.0.2.1/live, rtsp:/admin:pw@..., cam/video.cgi?user=a&pwd=b
        last, query = text.rfind("@"), text.find("?")
        if not (":" in text[: max(0, last)] or (query >= 0 and "=" in text[query:])) or os.path.lexists(text[:4096]):
            return None
        found = _SCHEMELESS.match(text)
        prefix = found[0] if found else ""
        rest = text[len(prefix) :]
    login, at, host, rest = _login_and_host(rest)
    if at and not login:
        prefix += "@"  # udp://@239.0.0.1:1234 has no user
    rest, sharp, fragment = rest.partition("#")
    path = rest.partition("?")[0]
    cut = len(path)
    if secret := re.search(r"/[^/=:@]*[=:@]", path):  # a pair, or USER:PASSWORD: from here on all is taken for secret
        named = re.match(r"/[^=:@&;,]*(?=[&;,])", path[secret.start() :])  # but for a name before: /video.cgi;user=a
        cut = secret.start() + (named.end() if named else 0)
    return Address(prefix, login, host, tuple(path[:cut].split("/")), rest[cut:], sharp + fragment)


def _login_and_host(rest: str) -> tuple[str, str, str, str]:
    """Of what follows a scheme: the login, the @ behind it, host with port, and all that follows.

    Where an @ stands behind what RFC 3986 takes for the host, somebody wrote a password with `/`, `?` or `#` in it, or
    the @ is one of the path or query. Which it is, is told by what looks like a host; if nothing tells it, all of it is
    taken for a login.
    """
    end = min((place for place in map(rest.find, "/?#") if place >= 0), default=len(rest))
    login, at, host = rest[:end].rpartition("@")
    name, port = _host_and_port(host)
    sound = name is not None and (port is None or port.isdecimal())
    last = rest.rfind("@")
    if last < end:
        return (login, at, host, rest[end:]) if sound else (rest[:end], "@", "", rest[end:])  # rtsp://USER:PASSWORD
    is_dotted = port is None and _DOTTED.fullmatch(host) and "#" not in rest[:last]
    if sound and (is_dotted or _SURE_HOST.fullmatch(name or "")):
        return login, at, host, rest[end:]
    has_pair = re.search(r"[/?&;][\w-]+[=:]", rest[end:last]) is not None  # or USER:PASSWORD in the path
    sound = sound and (has_pair or "#" not in rest[:last])  # an @ in a fragment is never meant
    after = rest[last + 1 :]
    end = min((place for place in map(after.find, "/?#") if place >= 0), default=len(after))
    likely = _LIKELY_HOST if sound else _ANY_HOST
    if likely.fullmatch(after[:end]) and not (sound and has_pair):
        return rest[:last], "@", after[:end], after[end:]
    return rest, "@", "", ""


_DOTTED = re.compile(r"[\w-]+(\.[\w-]+)+", re.ASCII)
_SURE_HOST = re.compile(r"\d+\.\d+\.\d+\.\d+|\[.*\]|localhost")
_LIKELY_HOST = re.compile(r"(\d+\.\d+\.\d+\.\d+|\[[\w:.%]+\]|localhost|[\w-]+(\.[\w-]+)+)(:\d+)?|[\w-]+:\d+")
_ANY_HOST = re.compile(r"(\[[\w:.%]+\]|[\w.-]+)(:\d+)?")


def _pairs(text: str, keep: Callable[[str], bool] = lambda part: False) -> tuple[str, list[str]]:
    """Pairs of a path or query as they may be shown, and what is hidden of them."""
    shown, hidden = [], []
    for between, piece in _pieces(text):
        key, equals, value = piece.partition("=")
        shown.append(between)
        harmless = _is_harmless(key, value) if equals else piece == "real_stream"  # what else stands alone may be a key
        if not piece or harmless or keep(value if equals else piece):
            shown.append(piece)
        elif equals and _plain(key) in NAMES:
            shown.append(f"{key}={HIDDEN}")
            hidden.append(value)
        else:
            shown.append("/" * piece.startswith("/") + HIDDEN)
            user, _, password = piece.lstrip("/").partition("/")[0].partition(":")
            hidden += [piece.strip("/"), value, *([user, password] if password else [])]
    return "".join(shown), [part for part in hidden if part]


def _pieces(text: str) -> list[tuple[str, str]]:
    """Each pair, with what stands between it and the one before."""
    parts = _BETWEEN.split(text)
    pairs = [("", parts[0]), *zip(parts[1::2], parts[2::2], strict=True)]
    found = []
    for between, pair in pairs:
        first, *more = _XM.split(pair) if "=" in pair.partition("_")[0] else [pair]
        found += [(between, first), *(("_", piece) for piece in more)]
    return found


def _is_harmless(key: str, value: str) -> bool:
    if _plain(key) in OURS and _OUR_VALUE.fullmatch(value):
        return True
    return _plain(key) in HARMLESS and bool(_HARMLESS_VALUE.fullmatch(value))


def _plain(key: str) -> str:
    return unquote(key).lower().replace("-", "_")


def _tells(text: str, secrets: tuple[str, ...]) -> bool:
    return any(_within(secret, text) for secret in secrets)


def _within(secret: str, text: str) -> bool:
    """Whether a text shows a secret; one of two characters is taken for chance, unless it is all."""
    secret, text = unquote(secret).casefold(), unquote(text).casefold()
    plain = re.sub(r"[^\w.-]+", "-", secret).strip("-.")
    return secret == text or (len(secret) > 2 and secret in text) or (len(plain) > 2 and plain in text)


def check_address(text: str) -> None:
    """Refuse an address whose host or port cannot be meant, in particular where a sign in a password ends the host.

    Raises InputError that says how to write it.

    >>> check_address("rtsp://admin:pa#ss@door/live")
    Traceback (most recent call last):
    configs.errors.InputError: rtsp://***@door/live: in a user or password write # as %23
    """
    address = take_apart(text)
    prefix, separator, rest = text.partition("://")
    if address is None or not separator or "@" in prefix:
        return
    end = min((place for place in map(rest.find, "/?#") if place >= 0), default=len(rest))
    host, port = _host_and_port(rest[:end].rpartition("@")[2])
    sound = host is not None and (port is None or (port.isdecimal() and 0 < int(port) <= MAX_PORT))
    # Without a host it is not known what is meant: it may be right, or nothing answers by that name
    if any(sign in address.login for sign in "/?#") and (not sound or address.host or "#" in address.login):
        wrong = [f"{sign} as {_ESCAPED[sign]}" for sign in "#/?" if sign in address.login]
        raise InputError(f"{address.shown}: in a user or password write {' and '.join(wrong)}")
    if host is not None and port and not sound:
        raise InputError(f"{address.shown}: the port must be a number from 1 to {MAX_PORT}")
    if host == "" and prefix.lower().startswith(("rtsp", "http", "rtmp", "webhook")):
        raise InputError(f"{address.shown}: names no host: write it as {prefix}://HOST/PATH")


def _host_and_port(text: str) -> tuple[str | None, str | None]:
    """Host and port of `host:port`; the host is None where it can be none, the port where none is given."""
    found = re.fullmatch(r"(\[[0-9A-Fa-f:.%\w]+\]|[^\s:\[\]\"'<>\\^`{|}]*)(?::(.*))?", text, re.DOTALL)
    return (found[1], found[2]) if found else (None, text.rpartition(":")[2] if ":" in text else None)


def written(text: str) -> str:
    """The address as libraries read it: what is not allowed in it percent-encoded, what is encoded left as it is.

    >>> written("rtsp://admin:open sesame@door/live view")
    'rtsp://admin:open%20sesame@door/live%20view'
    >>> written("rtsp://a:50%@door"), written("rtsp://a:50%25@door"), written("clip 1.mp4")
    ('rtsp://a:50%25@door', 'rtsp://a:50%25@door', 'clip 1.mp4')
    """
    prefix, separator, rest = text.partition("://")
    if not separator or "@" in prefix:
        return text
    end = min((place for place in map(rest.find, "/?#") if place >= 0), default=len(rest))
    login, at, host = rest[:end].rpartition("@")
    user, colon, password = login.partition(":")
    if prefix.lower().startswith("rtmp"):  # FFmpeg decodes no login of RTMP
        return f"{prefix}://{login}{at}{host}{_encoded(rest[end:], _IN_PATH)}"
    login = _encoded(user, _IN_LOGIN) + colon + _encoded(password, _IN_LOGIN)
    return f"{prefix}://{login}{at}{host}{_encoded(rest[end:], _IN_PATH)}"


_IN_LOGIN = "%!$&'()*+,;=-._~{}"
_IN_PATH = "%!$&'()*+,;=-._~{}:@/?#[]|"


def _encoded(text: str, safe: str) -> str:
    return quote(re.sub("%(?![0-9A-Fa-f]{2})", "%25", text), safe=safe, errors="surrogateescape")
