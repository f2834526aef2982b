"""Where this user's running pages are, so that a command on the same machine finds them without being told."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from configs.errors import InputError
from transport.run_folder import living_runs

_FILE = "page.json"


def write_where(folder: Path, url: str, token: str) -> None:
    """Note it down in the run's folder, which only this user can enter; it goes with the run."""
    file = os.open(folder / _FILE, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(file, "w") as out:
        json.dump({"url": url, "token": token}, out)


def find_page() -> tuple[str, str]:
    """URL and token of the only page that this user runs; raises InputError if there is none, or several."""
    pages = []
    for folder in living_runs():
        with contextlib.suppress(OSError, ValueError, KeyError):
            page = json.loads((folder / _FILE).read_text())
            pages.append((str(page["url"]), str(page["token"])))
    if len(pages) == 1:
        return pages[0]
    if not pages:
        raise InputError("no run with --sink web here: start one, or give --url and --token")
    raise InputError(f"several runs have a page: give --url and --token of one of {', '.join(url for url, _ in pages)}")
