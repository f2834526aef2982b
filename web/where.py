"""Where this user's running pages are, so that a command on the same machine finds them without being told."""

from __future__ import annotations

import contextlib
import json
import os
import ssl
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from configs.errors import InputError
from configs.loopback import is_loopback
from run.run_folder import living_runs

_FILE = "page.json"


@dataclass(frozen=True, slots=True)
class Page:
    """A page that a command may ask. One that was found here is `ours`: its certificate is made for another name."""

    url: str
    token: str
    ours: bool = False

    def open(self, request: urllib.request.Request | str, timeout_s: float) -> Any:
        """As urlopen, but the token goes nowhere else: redirects are errors."""
        context = ssl.create_default_context()
        if self.ours:  # on this machine, at a port that the run holds
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        handlers: list[Any] = [_NoRedirect, urllib.request.HTTPSHandler(context=context)]
        if self.ours or is_loopback(urlsplit(self.url).hostname or ""):
            handlers.append(urllib.request.ProxyHandler({}))  # http_proxy would get the token
        return urllib.request.build_opener(*handlers).open(request, timeout=timeout_s)


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        return None


def write_where(folder: Path, url: str, token: str) -> None:
    """Note it down in the run's folder, which only this user can enter; it goes with the run."""
    file = os.open(folder / _FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(file, "w") as out:
        json.dump({"url": url, "token": token}, out)


def pages() -> list[Page]:
    """The pages of all of this user's runs."""
    found = []
    for folder in living_runs():
        with contextlib.suppress(OSError, ValueError, KeyError):
            page = json.loads((folder / _FILE).read_text())
            found.append(Page(str(page["url"]), str(page["token"]), ours=True))
    return found


def find_page() -> Page:
    """The only page that this user runs; raises InputError if there is none, or several."""
    found = pages()
    if len(found) == 1:
        return found[0]
    if not found:
        raise InputError("no run with --sink web here: start one, or give --url and --token")
    several = ", ".join(page.url for page in found)
    raise InputError(f"several runs have a page: give --url and --token of one of {several}")
