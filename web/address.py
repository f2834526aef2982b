"""The page's addresses: where it listens, and where a proxy in front of it shows it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, unquote, urlsplit

from configs.errors import InputError
from configs.schema import WebConfig

_DEFAULT_PORTS = {"http": 80, "https": 443}
_PATH = re.compile(r"(/[\w.~%+-]+)*/?", re.ASCII)


@dataclass(frozen=True, slots=True)
class PublicAddress:
    """One address of `web.url`, in its parts.

    `origin` is written as browsers send it (https://cams.example, without the port that goes without saying), `host`
    is its name, `prefix` the path without the last slash; empty at the root.
    """

    origin: str
    host: str
    prefix: str

    @property
    def url(self) -> str:
        """As one writes it."""
        return f"{self.origin}{self.prefix}/"


def public_addresses(config: WebConfig) -> tuple[PublicAddress, ...]:
    """What `web.url` names; raises InputError for what is no address of a page.

    >>> public_addresses(WebConfig(url="https://Cams.example:443/mask http://10.0.0.2:81/"))[0]
    PublicAddress(origin='https://cams.example', host='cams.example', prefix='/mask')
    """
    return tuple(map(_public_address, config.url.split()))


def _public_address(text: str) -> PublicAddress:
    parts = split(text)
    if (
        parts is None
        or parts.scheme not in _DEFAULT_PORTS
        or not parts.hostname
        or parts.username is not None
        or parts.query
        or parts.fragment
        or not _PATH.fullmatch(parts.path)
    ):
        raise InputError(f"web.url: {text} is no address of a page: write it as https://cams.example/mask/")
    try:
        host = parts.hostname.encode("idna").decode()  # as browsers ask for it
    except UnicodeError:
        raise InputError(f"web.url: {text}: {parts.hostname} is no name of a host") from None
    port = "" if parts.port in (None, _DEFAULT_PORTS[parts.scheme]) else f":{parts.port}"
    return PublicAddress(f"{parts.scheme}://{_in_url(host)}{port}", host, unquote(parts.path.rstrip("/")))


def split(address: str) -> SplitResult | None:
    """The parts of an address; None for what cannot be taken apart (`http://[`, a port of letters)."""
    try:
        parts = urlsplit(address)
        parts.port  # noqa: B018 - it is looked at only here
    except ValueError:
        return None
    return parts


def local_url(config: WebConfig) -> str:
    """Where the page is found from this machine."""
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.host, config.host)
    return f"{'https' if config.tls_cert else 'http'}://{_in_url(host)}:{config.port}"


def shown_url(config: WebConfig) -> str:
    """The address to give to somebody: the proxy's, else that of where the page listens."""
    addresses = public_addresses(config)
    return addresses[0].url if addresses else f"{local_url(config)}/"


def _in_url(host: str) -> str:
    return f"[{host}]" if ":" in host else host
