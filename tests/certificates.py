"""Certificates for tests, made by OpenSSL's command."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def certificate(folder: Path, name: str = "cams", days: int = 2, also: str = "") -> tuple[Path, Path]:
    """A certificate of cams.example that vouches for itself, and its key; `days=-1`: it has expired.

    `also` is another name of it, as `,IP:127.0.0.1`.
    """
    if shutil.which("openssl") is None:
        pytest.skip("making certificates needs Debian's openssl: apt-get install openssl")
    cert, key, request = (folder / f"{name}{suffix}" for suffix in (".pem", ".key", ".csr"))
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    names = folder / f"{name}.names"
    names.write_text(f"subjectAltName=DNS:cams.example{also}")
    openssl("req", "-new", *curve, "-keyout", key, "-out", request, "-subj", "/CN=cams.example")
    openssl("x509", "-req", "-in", request, "-signkey", key, "-days", days, "-out", cert, "-extfile", names)
    return cert, key


def openssl(*arguments: object) -> None:
    """Run OpenSSL's command."""
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)
