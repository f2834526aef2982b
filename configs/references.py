"""References to secrets in options: `${NAME}` (a variable of the environment) and `file:/run/secrets/NAME`.

A secret then stands neither in the YAML file nor in the list of processes. References are looked up when the options
are used; `--print-config` shows them as they are.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import quote

from configs.address import HIDDEN, take_apart
from configs.errors import InputError
from configs.redact import learn_secret

LARGEST_BYTES = 65536  # of a secret file
_REFERENCE = re.compile(r"\$\$\{|\$\{([^{}]*)\}|\$\{")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def has_reference(text: str, is_sink: bool = False) -> bool:
    """Whether something must be looked up before the text can be used.

    >>> [has_reference(t) for t in ("rtsp://a:${PW}@h/", "a$${b", "file:/run/secrets/x", "rtsp://h/")]
    [True, False, True, False]
    """
    return is_file_reference(text, is_sink) or any(found[0] != "$${" for found in _REFERENCE.finditer(text))


def is_file_reference(text: str, is_sink: bool = False) -> bool:
    """Whether the whole text names a file that holds the value. A sink `file:` that ends in .mp4 is a recording."""
    return text.startswith("file:/") and not (is_sink and text.lower().endswith(".mp4"))


def references(text: str, is_sink: bool = False) -> list[str]:
    """What must be looked up before the text can be used: variables by name, files as `file:/PATH`.

    >>> references("rtsp://${LOGIN}@door/${file:/run/secrets/path}"), references("$${x}")
    (['LOGIN', 'file:/run/secrets/path'], [])
    """
    if is_file_reference(text, is_sink):
        return [text]
    return [found[1] for found in _REFERENCE.finditer(text) if found[1]]


def from_files(text: str, folder: str) -> str:
    """The text with each variable `${NAME}` read from a file of that name: for engines that know secrets as files only.

    >>> from_files("rtsp://${LOGIN}@door/$${x}", "/run/secrets")
    'rtsp://${file:/run/secrets/LOGIN}@door/$${x}'
    """

    def of_file(found: re.Match[str]) -> str:
        is_variable = found[1] is not None and _NAME.fullmatch(found[1]) is not None
        return f"${{file:{folder}/{found[1]}}}" if is_variable else found[0]

    return _REFERENCE.sub(of_file, text)


def resolve(text: str, is_sink: bool = False, environment: Mapping[str, str] = os.environ) -> str:
    """The text with what its references stand for; `$${` is a `${` that is none.

    In the login of an address, and as the value of a pair, what is put in is percent-encoded: a password may hold any
    sign. Raises InputError that names the variable or file that is missing.

    >>> resolve("rtsp://admin:${PW}@door/live", environment={"PW": "a@b#c"})
    'rtsp://admin:a%40b%23c@door/live'
    """
    if is_file_reference(text, is_sink):
        try:
            return _read(text.removeprefix("file:"))
        except InputError as error:
            recording = "; a recording ends in .mp4" if is_sink else ""
            raise InputError(f"{error}{recording}") from None
    template = _REFERENCE.sub(lambda found: "x" * len(found[0]), text)  # of the same length, without any sign
    return _REFERENCE.sub(lambda found: _value(found, template, environment), text)


def as_printed(text: str, is_secret: bool = False, is_sink: bool = False) -> str:
    """The text as it may be printed: with its references, without secrets; `is_secret` says that it is one itself.

    >>> as_printed("rtsp://admin:${PW}@door/live"), as_printed("rtsp://admin:pw@door/live")
    ('rtsp://admin:${PW}@door/live', 'rtsp://***@door/live')
    """
    if is_secret:
        whole = _REFERENCE.fullmatch(text)
        return text if not text or is_file_reference(text) or (whole and _is_sound(whole)) else HIDDEN
    references: list[str] = []

    def stand_in(found: re.Match[str]) -> str:
        if not _is_sound(found):
            return found[0]
        references.append(found[0])
        return f"\ue000{len(references) - 1}\ue001"

    address = None if is_file_reference(text, is_sink) else take_apart(_REFERENCE.sub(stand_in, text))
    if address is None:
        return text
    shown = address.show(lambda part: bool(_STAND_INS.fullmatch(part)))
    return _STAND_INS.sub(lambda found: "".join(references[int(n)] for n in re.findall(r"\d+", found[0])), shown)


_STAND_INS = re.compile("(?:\ue000\\d+\ue001)+")


def literal(text: str) -> str:
    """A text that may hold no reference, as it is meant. Raises InputError if there is one."""
    if has_reference(text):
        raise InputError("a reference (${NAME}, file:/...) is not looked up for requests over HTTP: give the value")
    return text.replace("$${", "${")


def escaped(text: str) -> str:
    """The opposite of `literal`: the text as an option that stands for it.

    >>> escaped("pa${ss}")
    'pa$${ss}'
    """
    return text.replace("${", "$${")


def _is_sound(found: re.Match[str]) -> bool:
    """Whether what was found names a variable or a file, so that it may be shown: a password may hold a `${`, too."""
    name = found[1]
    return name is not None and (name.startswith("file:/") or _NAME.fullmatch(name) is not None)


def _value(found: re.Match[str], template: str, environment: Mapping[str, str]) -> str:
    name = found[1]
    if name is None:
        if found[0] == "$${":
            return "${"
        raise InputError("a ${ without its }: write ${NAME}, or $${ for a ${ that is no reference")
    if name.startswith("file:/"):
        value = _read(name.removeprefix("file:"))
    elif not _NAME.fullmatch(name):
        raise InputError("between ${ and } must stand a variable's name or file:/PATH; write $${ for a plain ${")
    elif name not in environment:
        raise InputError(f"the variable {name} is not set")
    elif not environment[name]:
        raise InputError(f"the variable {name} is empty")
    else:
        value = environment[name]
    encode, is_secret = _place(template, found.start(), found.end())
    if is_secret:
        learn_secret(value)
    return encode(value)


def _place(template: str, start: int, end: int) -> tuple[Callable[[str], str], bool]:
    """How a value is written where its reference stands in an address, and whether it is a secret there."""
    scheme = template.find("://")
    if scheme < 0 or start < scheme:
        return str, False
    begin = scheme + 3
    stop = min((place for sign in "/?#" if (place := template.find(sign, begin)) >= 0), default=len(template))
    at = template.rfind("@", begin, stop)
    if start < at:
        is_whole_login = start == begin and end == at
        return (_login if is_whole_login else _quoted), True
    if start < stop:
        return str, False  # the host
    return (_quoted if template[start - 1] == "=" else str), True


def _quoted(value: str) -> str:
    return quote(value, safe="")


def _login(value: str) -> str:
    """`user:password` in one variable: the first colon parts them."""
    user, colon, password = value.partition(":")
    return _quoted(user) + colon + _quoted(password)


def _read(path: str) -> str:
    """What a secret file holds, without the line breaks at its end."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(LARGEST_BYTES + 1)
        value = data.decode()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    except ValueError:  # no UTF-8; a NUL in the path
        raise InputError(f"cannot read {path}: it holds no text") from None
    value = value.rstrip("\r\n")
    if len(data) > LARGEST_BYTES or "\0" in value:
        raise InputError(f"cannot read {path}: it holds no secret but {len(data):,} bytes or more")
    if not value:
        raise InputError(f"{path} is empty")
    if "://" not in value:
        learn_secret(value)
    return value
