"""Checks the page's options before its process is started."""

from __future__ import annotations

from collections.abc import Callable

from configs.schema import WebConfig
from web.address import public_addresses
from web.tls import check_tls
from web.token import with_token


def checked_page(page: WebConfig, show: Callable[[str], None]) -> WebConfig:
    """The page's options with its token; raises InputError for what it could not be served with."""
    public_addresses(page)
    check_tls(page)
    return with_token(page, show)
