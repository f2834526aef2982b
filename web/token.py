"""Sees to the page's secret before its process is started."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable

from msgspec.structs import replace

from configs.errors import InputError
from configs.redact import learn_secret
from configs.schema import WebConfig
from web.address import is_loopback, shown_url

SHORTEST = 8  # characters of a token that somebody thought of


def with_token(config: WebConfig, show: Callable[[str], None]) -> WebConfig:
    """The options with a token: the one given, that of the environment, or one made now, which is shown this once."""
    token = config.token or os.environ.get("MASKSTREAM_TOKEN", "")
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
