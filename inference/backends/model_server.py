"""An inference server as the options name it: where it is, under which path its model, and how it is spoken to."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from configs.address import written
from configs.errors import InputError
from configs.redact import redact
from configs.schema import ClassifyConfig

if TYPE_CHECKING:  # else where it is used: most runs have no server
    import ssl

FORM = "http://HOST:8000/MODEL"


@dataclass(frozen=True, slots=True)
class ModelServer:
    """`path` is that of the server (`/v2`), `model_path` that of its model (`/v2/models/mask`), both percent-encoded.

    `trusted` is there for https only; `headers` go with each request; `shown` holds no secret.
    """

    host: str
    port: int
    path: str
    model_path: str
    headers: dict[str, str]
    trusted: ssl.SSLContext | None
    shown: str


def model_server(config: ClassifyConfig) -> ModelServer:
    """The server of `classify.remote`. Raises InputError for an address, token or file that cannot be meant."""
    shown = redact(config.remote)
    try:
        parts = urlsplit(written(config.remote))
        port = parts.port
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and port != 0
    except ValueError:
        sound = False
    if not sound:
        raise InputError(f"classify.remote {shown}: is no address: write {FORM}")
    *folders, model = [unquote(segment) for segment in parts.path.strip("/").split("/")]
    if not model or parts.query or parts.fragment or "v2" in folders:
        raise InputError(f"classify.remote {shown}: write {FORM}; /v2/models/ is put before the model's name here")
    path = "/".join(["", *(quote(folder, safe="") for folder in folders), "v2"])
    return ModelServer(
        str(parts.hostname),
        port or (443 if parts.scheme == "https" else 80),
        path,
        f"{path}/models/{quote(model, safe='')}",
        _headers(config, parts.username, parts.password),
        _trusted(config, parts.scheme),
        shown,
    )


def check_remote(config: ClassifyConfig) -> None:
    """Refuse early what no server can be asked with; raises InputError."""
    if config.remote:
        model_server(config)
        return
    for option, given in (("remote_token", config.remote_token), ("remote_ca", config.remote_ca)):
        if given:
            raise InputError(f"classify.{option}: is for classify.remote, which is not given")


def _headers(config: ClassifyConfig, user: str | None, password: str | None) -> dict[str, str]:
    headers, token = {"User-Agent": "maskstream"}, config.remote_token
    if token and user:
        raise InputError("classify.remote_token: the address has a login already; give one of them")
    if token:
        if not (token.isascii() and token.isprintable() and " " not in token):
            raise InputError("classify.remote_token: has a blank or another sign that no token may have")
        headers["Authorization"] = f"Bearer {token}"
    elif user:
        login = f"{unquote(user)}:{unquote(password or '')}".encode()
        headers["Authorization"] = f"Basic {base64.b64encode(login).decode()}"
    return headers


def _trusted(config: ClassifyConfig, scheme: str) -> ssl.SSLContext | None:
    if scheme != "https":
        if config.remote_ca:
            raise InputError("classify.remote_ca: is for an address with https://")
        return None
    import ssl

    try:
        return ssl.create_default_context(cafile=config.remote_ca or None)
    except ssl.SSLError:  # before OSError, which it is, too
        raise InputError(f"classify.remote_ca: {config.remote_ca} holds no certificate, as PEM has it") from None
    except OSError as error:
        raise InputError(f"classify.remote_ca: cannot read {config.remote_ca}: {error.strerror}") from None
