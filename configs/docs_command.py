"""`maskstream docs`: the documentation, built on this machine and shown in a browser."""

from __future__ import annotations

import functools
import http.server
import importlib.util
import os
import subprocess
import sys
import tempfile
import webbrowser
from pathlib import Path
from typing import Annotated, Any

import typer

from configs.errors import Failure, InputError

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / "configs" / "mkdocs.yml"


def docs(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="only build it, into this folder", metavar="FOLDER")
    ] = None,
    port: Annotated[int, typer.Option(help="where it is served on this machine; 0: any that is free")] = 0,
) -> None:
    """Build the documentation and show it in a browser, until Ctrl-C. It can be searched, and asks no other host.

    Examples:
      maskstream docs
      maskstream docs -o site/
    """
    if not (ROOT / "docs").is_dir():
        raise InputError("the documentation is not in this installation: it is in the repository, in docs/")
    if output is not None:
        build(output.absolute())
        typer.echo(str(output / "index.html"))
        return
    with tempfile.TemporaryDirectory(prefix="maskstream-docs-") as folder:
        build(Path(folder))
        try:
            server = http.server.ThreadingHTTPServer(("127.0.0.1", port), functools.partial(_Files, directory=folder))
        except OSError as error:
            raise InputError(f"--port {port}: cannot be listened on ({error.strerror}): choose another one") from None
        with server:
            url = f"http://127.0.0.1:{server.server_address[1]}/"
            typer.echo(f"{url} (Ctrl-C ends it)")
            webbrowser.open(url)
            server.serve_forever()


def build(output: Path, strict: bool = False) -> None:
    """Build it. Raises InputError where MkDocs is not installed, Failure where it says that something is wrong."""
    if importlib.util.find_spec("material") is None:
        raise InputError("MkDocs is not installed: pip install -e '.[docs]'")
    command = [sys.executable, "-m", "mkdocs", "build", "-f", str(CONFIG), "-d", str(output)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    command += ["--strict"] if strict else ["--quiet"]  # with both it hears no warning, and fails at none
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment)
    if done.returncode:
        raise Failure(f"MkDocs: {' '.join(done.stderr.split())[-500:]}")


class _Files(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        """Nothing: who reads is at this machine."""
