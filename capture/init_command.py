"""`maskstream init`: asks for cameras, looks at each, and writes them down as a configuration."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote

import typer
from msgspec import Struct

from capture.camera_check import check_camera
from capture.check_command import write_picture
from capture.sources import check_source, free_name, stream_name
from configs.address import take_apart, written
from configs.errors import InputError
from configs.finding import Finding, show
from configs.load import load_config
from configs.redact import learn, redact
from configs.schema import SourceConfig
from configs.whole_file import write_bytes

LOOK_S = 2.0
_HEAD = """\
# Cameras of maskstream, made by `maskstream init`. Every option, with its unit and reason:
#   maskstream run --config {file} --print-config
# Look at them again:  maskstream check {file}
sources:
"""
_TAIL = """\
overlay:
  sinks:
    - web                     # the page: http://127.0.0.1:8080
    # - record:rec/           # the cameras' own packets, a new file each minute
    # - clips:clips/          # a clip of each event
    # - sqlite:events.db      # the history of events
  # privacy: pixelate         # hides all faces that are found, everywhere
  # record_days: 7            # recordings that are older are deleted
run:
  keep_going: true            # one camera that cannot be used does not end the others
"""


class Camera(Struct, frozen=True):
    """A camera that was given: its name, its address as written down, what it sends, and its secret."""

    name: str
    shown: str
    sends: str
    variable: str = ""
    secret: str = ""


def init(
    file: Annotated[Path, typer.Argument(help="the YAML file to write")] = Path("cameras.yaml"),
    camera: Annotated[
        list[str] | None, typer.Option(help="a camera: its address, or NAME=ADDRESS; repeatable. Nothing is asked then")
    ] = None,
    pictures: Annotated[Path, typer.Option(help="where a picture of each is written", metavar="FOLDER")] = Path(
        "snapshots"
    ),
    force: Annotated[bool, typer.Option("--force", help="replace the file if it is there")] = False,
) -> None:
    """Write down your cameras: lists webcams, asks for addresses, looks at each, and writes a commented YAML file.

    Passwords go into a file of their own beside it (.env, for you alone); the YAML names them only.

    Examples:
      maskstream init
      maskstream init cameras.yaml --camera 0 --camera door=rtsp://user:pass@192.0.2.10/stream1
    """
    if file.exists() and not force:
        raise InputError(f"{file} is there already: give another name, or --force to replace it")
    if not camera and not sys.stdin.isatty():
        raise InputError("there is no terminal to ask at: give --camera ADDRESS")
    cameras: list[Camera] = []
    for given in camera or _asked():
        found = _looked_at(given, [one.name for one in cameras], pictures, keep=bool(camera))
        cameras += [found] if found else []
    if not cameras:
        raise InputError("no camera was given: nothing is written")
    secrets = file.with_suffix(".env")
    write_bytes(file, _yaml(cameras, file).encode())
    load_config(file, look_up=False)  # what was written can be read
    typer.echo(f"wrote {file}: {', '.join(one.name for one in cameras)}; pictures in {pictures}/")
    if any(one.secret for one in cameras):
        _write_secrets(secrets, cameras)
        typer.echo(f"passwords are in {secrets}, which only you can read; before a run: set -a; . ./{secrets}; set +a")
    typer.echo(f"next: maskstream run --config {file}")


def _asked() -> list[str]:
    """What somebody types, until nothing is typed."""
    webcams = [path.name.removeprefix("video") for path in sorted(Path("/dev").glob("video*"))]
    typer.echo(f"webcams here: {', '.join(webcams) or 'none'}")
    typer.echo("One camera a line: a webcam's number, or its address as rtsp://user:password@192.0.2.10/stream1.")
    typer.echo("A name may stand before it: door=rtsp://... An empty line ends.")
    found: list[str] = []
    while line := typer.prompt(f"camera {len(found) + 1}", default="", show_default=False).strip():
        found.append(line)
    return found


def _looked_at(given: str, taken: list[str], pictures: Path, keep: bool) -> Camera | None:
    """The camera, opened once. One that cannot be opened is written down where it was named (`keep`), or if wanted."""
    named = re.fullmatch(r"([A-Za-z0-9_][A-Za-z0-9._-]{0,63})=(.+)", given)
    name, address = (named[1], named[2]) if named and "://" not in named[1] else ("", given)
    learn(address)
    source = SourceConfig(source=written(address), name=name)
    check_source(source)
    name = free_name(stream_name(source), taken)
    try:
        found = check_camera(source, LOOK_S)
    except InputError as error:
        show(Finding("problem", name, redact(str(error)), "is the address right, is it switched on?"))
        if not keep and not typer.confirm("write it down all the same?", default=False):
            return None
        sends = "could not be opened when this was written"
    else:
        write_picture(pictures / f"{name}.jpg", found.image)
        advice = list(found.advice(source))
        show(Finding("warning" if advice else "ok", name, found.words, "\n        ".join(advice)))
        sends = found.words.partition(";")[0]
    return _without_secret(name, address, sends)


def _without_secret(name: str, address: str, sends: str) -> Camera:
    """The camera with its password as a variable; with its whole address, where other parts of it are secret, too.

    A variable is percent-encoded where it stands in an address, so its value is not.
    """
    parts = take_apart(address)
    if parts is None or not parts.secrets:
        return Camera(name, address.replace("${", "$${"), sends)
    variable = re.sub(r"[^A-Z0-9]", "_", name.upper())
    variable = f"_{variable}" if variable[0].isdigit() else variable
    user, colon, password = parts.login.partition(":")
    if colon and set(parts.secrets) <= {user, password}:
        shown = address.replace(f"{parts.login}@", f"{user}:${{{variable}_PASSWORD}}@", 1)
        return Camera(name, shown, sends, f"{variable}_PASSWORD", unquote(password))
    return Camera(name, f"${{{variable}_ADDRESS}}", sends, f"{variable}_ADDRESS", address)


def _yaml(cameras: list[Camera], file: Path) -> str:
    lines = [_HEAD.format(file=file)]
    for one in cameras:
        escaped = one.shown.replace("'", "''")
        lines.append(f"  - name: {one.name}  # {one.sends}\n    source: '{escaped}'\n")
        if not one.shown.isdecimal():
            lines.append("    wait: true              # also if it is away when the run starts\n")
            lines.append("    # record: rtsp://...    # its main stream, if `source` is a sub-stream\n")
    return "".join(lines) + _TAIL


def _write_secrets(path: Path, cameras: list[Camera]) -> None:
    """As a shell reads them, for this user alone."""
    lines = [f"{one.variable}='{one.secret.replace(chr(39), _QUOTE)}'\n" for one in cameras if one.secret]
    path.unlink(missing_ok=True)
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as file:
        file.writelines(lines)


_QUOTE = "'\\''"
