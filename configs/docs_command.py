"""`maskstream docs`: the documentation, built on this machine and opened in a browser."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
import webbrowser
from pathlib import Path
from typing import Annotated

import typer

from configs.errors import Failure, InputError

ROOT = Path(__file__).resolve().parent.parent
CONFIG = ROOT / "configs" / "mkdocs.yml"


def docs(
    output: Annotated[
        Path, typer.Option("--output", "-o", help="the folder that it is built in", metavar="FOLDER")
    ] = Path("out/docs"),
    show: Annotated[bool, typer.Option("--open/--no-open", help="open it in a browser")] = True,
) -> None:
    """Build the documentation and open it. It can be searched, and asks nothing of other hosts.

    Examples:
      maskstream docs
      maskstream docs --no-open -o site/
    """
    if not (ROOT / "docs").is_dir():
        raise InputError("the documentation is not in this installation: it is in the repository, in docs/")
    build(output.absolute())
    page = output.absolute() / "index.html"
    typer.echo(str(page))
    if show and not webbrowser.open(page.as_uri()):
        typer.echo("no browser could be opened: open that file in one", err=True)


def build(output: Path, strict: bool = False) -> None:
    """Build it. Raises InputError where MkDocs is not installed, Failure where it says that something is wrong."""
    if importlib.util.find_spec("material") is None:
        raise InputError("MkDocs is not installed: pip install 'maskstream[docs]'")
    command = [sys.executable, "-m", "mkdocs", "build", "--quiet", "-f", str(CONFIG), "-d", str(output)]
    done = subprocess.run([*command, *(["--strict"] if strict else [])], capture_output=True, text=True, cwd=ROOT)
    if done.returncode:
        raise Failure(f"MkDocs: {' '.join(done.stderr.split())[-500:]}")
