"""Writes what a report of a fault needs into one archive, without secrets."""

from __future__ import annotations

import contextlib
import io
import json
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.request import Request

from msgspec import to_builtins

from configs.errors import InputError
from configs.finding import Finding
from configs.printed import as_yaml
from configs.redact import redact
from configs.schema import PipelineConfig
from configs.version import version_lines
from configs.whole_file import write_bytes
from web.where import pages

LOG_BYTES = 1_000_000  # of the end of a log
_ANSWER_S = 3.0


def write_bundle(path: Path, findings: Sequence[Finding], options: PipelineConfig, log: Path | None) -> None:
    """Write the archive (tar.gz). Raises InputError where it, or the log, cannot be used."""
    files = {
        "versions.txt": "\n".join(version_lines()) + "\n",
        "findings.json": _json({"findings": to_builtins(findings)}),
        "options.yaml": as_yaml(options),
        "runs.json": _json(_runs()),
    }
    if log is not None:
        files["log.txt"] = _end_of(log)
    held = io.BytesIO()
    with tarfile.open(fileobj=held, mode="w:gz") as archive:
        for name, text in files.items():
            content = redact(text).encode()
            entry = tarfile.TarInfo(f"maskstream/{name}")
            entry.size, entry.mtime, entry.mode = len(content), round(time.time()), 0o600
            archive.addfile(entry, io.BytesIO(content))
    write_bytes(path, held.getvalue())


def _runs() -> list[Any]:
    """How this user's runs that have a page stand now: processes, ledgers, what limits them."""
    found: list[Any] = []
    for page in pages():
        request = Request(f"{page.url}/api/status", headers={"Authorization": f"Bearer {page.token}"})
        try:
            with contextlib.closing(page.open(request, _ANSWER_S)) as answer:
                found.append(json.load(answer))
        except (OSError, ValueError) as error:
            found.append({"page": page.url, "error": str(error)})
    return found


def _end_of(log: Path) -> str:
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, 2) - LOG_BYTES))
            return file.read().decode(errors="replace")
    except OSError as error:
        raise InputError(f"{log}: cannot be read ({error.strerror})") from None


def _json(value: Any) -> str:
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"
