"""Hides passwords, tokens and other secrets in anything that is printed, logged or written.

Two nets. What enters the process (options, flags, a stream added over HTTP) is taken apart once and remembered, so that
its secrets are found wherever a library repeats them, in whatever form. And any text that looks like an address is
taken apart where it is shown, whoever wrote it.
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, quote_plus, unquote

import msgspec

from configs.address import HIDDEN, NAMES, take_apart, written

_URL = re.compile(r"(?:webhook:)?[A-Za-z][A-Za-z0-9+.-]*://")
_PLACEHOLDER = re.compile(r"[\w+.-]+://(USER:PASSWORD@)?HOST(:PORT)?(?=/|$)")  # how our own messages say what to write
_SHORTEST = 3  # characters of a secret that is hidden outside its address
_ANYWHERE = 8  # and of one that is hidden also within a longer word
# Hidden in their address only: who takes one of these for a password would have our own words blotted out.
_OURS = """
    address camera capture classify clip demo detect device error events faces file folder host http https input live
    localhost mask mqtt mqtts name nats no_mask option overlay pass password path port postgres rtmp rtsp rtsps run sink
    source stream supervisor token udp unsure url user username video warning web webhook wrong_mask
"""
_WORDS = frozenset(_OURS.split())

_addresses: dict[str, str] = {}  # as it may occur in a text -> as it may be shown
_secrets: set[str] = set()
_hosts: set[str] = set()
_pattern: re.Pattern[str] | None = None


def learn(*texts: str) -> None:
    """Remember the secrets of addresses, for the rest of the process. Texts that are no address have none."""
    for text in texts:
        address = take_apart(text)
        if address is None or (shown := address.shown) == text:
            continue
        for form in (
            text,
            written(text),
            text.partition("webhook:")[2],
            text.replace("://", ":/", 1),
        ):  # last: a Path's
            _addresses.update(dict.fromkeys(_forms(form), shown))
        _hosts.update({address.hostname, *address.hostname.split(".")})
        learn_secret(*address.secrets)
        if ":" in address.login:
            login = unquote(address.login).encode(errors="surrogateescape")
            learn_secret(base64.b64encode(login).decode())  # as HTTP sends it


def learn_secret(*secrets: str) -> None:
    """Remember secrets that stand for themselves: a token, what a secret file holds."""
    global _pattern
    for secret in secrets:
        _secrets.update(form for part in (secret, *secret.splitlines()) for form in _forms(part))
    _pattern = None


def learn_options(options: Any) -> None:
    """Remember the secrets of all addresses in options, however deep, and those whose name ends in `token`."""
    if isinstance(options, msgspec.Struct):
        options = msgspec.to_builtins(options)
    if isinstance(options, dict):
        for name, value in options.items():
            if name.endswith("token") and isinstance(value, str):
                learn_secret(value)
            else:
                learn_options(value)
    elif isinstance(options, list | tuple):
        for value in options:
            learn_options(value)
    elif isinstance(options, str):
        learn(options)


def redact(text: str) -> str:
    """The text without the secrets that are known, and without user, password and query of any address in it.

    >>> redact("cannot open rtsp://admin:p@ss/word@door.local:554/ch0: 401")
    'cannot open rtsp://***@door.local:554/ch0: 401'
    >>> redact("http://door.local/video.cgi?user=admin&pwd=1234&size=2")
    'http://door.local/video.cgi?user=***&pwd=***&size=2'
    """
    if _secrets or _addresses:
        text = _known().sub(lambda found: _addresses.get(found[0], HIDDEN), text)
    return _strangers(text)


def _known() -> re.Pattern[str]:
    """What is remembered, as one pattern: longest first, so that an address is found before its password."""
    global _pattern
    if _pattern is None:
        plain = {secret: _alone(secret) for secret in _secrets if _hides_alone(secret)}
        forms = {address: re.escape(address) for address in _addresses}
        _pattern = re.compile(
            "|".join(v for _, v in sorted((plain | forms).items(), key=lambda kv: -len(kv[0]))) or "(?!)"
        )
    return _pattern


def _hides_alone(secret: str) -> bool:
    """Whether a secret is hidden outside its address, too: not if that would blot out ordinary text."""
    ordinary = secret.casefold() in _WORDS or secret in _hosts or secret == HIDDEN
    return len(secret) >= _SHORTEST and not ordinary and (any(map(str.isalnum, secret)) or len(set(secret)) > 3)


def _alone(secret: str) -> str:
    before = r"(?<!\w)" if len(secret) < _ANYWHERE and secret[0].isalnum() else ""
    after = r"(?!\w)" if len(secret) < _ANYWHERE and secret[-1].isalnum() else ""
    return before + re.escape(secret) + after


def _forms(text: str) -> Iterable[str]:
    """The ways in which libraries repeat a text."""
    coded = {text, unquote(text)}
    for plain in tuple(coded):
        coded |= {quote(plain, safe=safe, errors="surrogateescape") for safe in ("", "/", ":/@?&=#")}
        coded.add(quote_plus(plain, errors="surrogateescape"))
    quoted: set[str] = set()
    for one in coded:
        quoted |= {json.dumps(one)[1:-1], json.dumps(one, ensure_ascii=False)[1:-1], repr(one)[1:-1], html.escape(one)}
    return {form for form in coded | quoted if form}


def _strangers(text: str) -> str:
    """The text with each address in it shown without its secrets."""
    shown, end = [], 0
    for start, stop in _addresses_in(text):
        shown += [text[end:start], _shown(text[start:stop])]
        end = stop
    return _LOOSE_PAIR.sub(_pair_shown, "".join([*shown, text[end:]]))


# Of an address that lost its host: GET /video?pwd=1234
_LOOSE_PAIR = re.compile(r"(?<=[?&;/])([\w-]+)=(?!\*\*\*)[^&;\s\"']+")


def _pair_shown(found: re.Match[str]) -> str:
    return f"{found[1]}={HIDDEN}" if found[1].lower().replace("-", "_") in NAMES else found[0]


def _addresses_in(text: str) -> Iterable[tuple[int, int]]:
    """Where addresses begin and end in a text. One ends at a blank or a quote, unless its password has one in it."""
    starts = [found.span() for found in _URL.finditer(text)]
    end = 0
    for number, (start, behind) in enumerate(starts):
        if start < end:
            continue
        end = _END.search(text, behind).start()  # type: ignore[union-attr]  # it finds the end of the text, too
        following = next((other for other, _ in starts[number + 1 :] if other >= end), len(text))
        rest = text[end:following].partition("\n")[0]
        if "@" not in text[behind:end] and "@" in rest and _has_begun_a_login(text[behind:end], rest):
            end = _END.search(text, end + rest.rindex("@")).start()  # type: ignore[union-attr]
        while end > behind and text[end - 1] in _PUNCTUATION:
            end -= 1
        yield start, end


_END = re.compile(r"[\s\"]|$")
_PUNCTUATION = ".,:;!?)]}>'"


def _has_begun_a_login(address: str, rest: str) -> bool:
    """Whether what looks like a host is the begin of `user:pass word@host`, or of `a user:password@host`."""
    _, colon, port = re.split("[/?#]", address)[0].partition(":")
    return bool(colon and not port.isdecimal()) or (rest.startswith(" ") and ":" in rest[: rest.index("@")])


def _shown(text: str) -> str:
    address = take_apart(text)
    return text if address is None or _PLACEHOLDER.match(text) else address.shown
