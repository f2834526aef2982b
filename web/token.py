"""Sees to the page's secret before its process is started."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable

from msgspec.structs import replace

from configs.errors import InputError
from configs.loopback import is_loopback
from configs.redact import learn_secret
from configs.references import is_file_reference, resolve
from configs.schema import WebConfig
from web.address import shown_url

SHORTEST = 8  # characters of a token that somebody thought of


def token_of_environment() -> str:
    """What the variable MASKSTREAM_TOKEN holds, or the file that it names: file:/run/secrets/NAME; empty if unset."""
    token = os.environ.get("MASKSTREAM_TOKEN", "")
    if not is_file_reference(token):
        return token
    try:
        return resolve(token)
    except InputError as error:
        raise InputError(f"MASKSTREAM_TOKEN: {error}") from None


def with_token(config: WebConfig, show: Callable[[str], None]) -> WebConfig:
    """The options with a token: the one given, that of the environment, or one made now, which is shown this once."""
    token = config.token or token_of_environment()
    if token and (len(token) < SHORTEST or not token.isascii() or not token.isprintable() or " " in token):
        raise InputError(f"the page's token must be {SHORTEST} or more letters, digits and signs without spaces")
    learn_secret(token)
    if not token:
        token = secrets.token_urlsafe(18)
        if is_loopback(config.host) and not config.url:
            show(f"token for changes at the page, made for this run: {token}")
        else:
            show(f"the page asks for a token, made for this run: {shown_url(config)}?token={token}")
    return replace(config, token=token)
