"""`maskstream check`: opens each source of a configuration once, and says what it sends."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from msgspec import to_builtins
from msgspec.json import encode
from msgspec.structs import replace

from capture.camera_check import check_camera
from capture.sources import check_source, forms, free_name, stream_name
from configs.address import written
from configs.duration import milliseconds
from configs.errors import InputError
from configs.finding import Finding, show
from configs.load import load_config
from configs.redact import redact
from configs.schema import SourceConfig
from configs.whole_file import write_bytes

AT_ONCE = 8  # sources that are open at the same time


def check(
    config: Annotated[Path | None, typer.Argument(help="YAML file with sources, as --config of run has it")] = None,
    source: Annotated[list[str] | None, typer.Option(help=f"or {forms()}; repeatable")] = None,
    seconds: Annotated[str, typer.Option("--for", help="how long each camera is looked at, as 5s")] = "5s",
    pictures: Annotated[
        Path | None, typer.Option(help="write a picture of each into this folder", metavar="FOLDER")
    ] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="any option: section.key=value")] = None,
    json_: Annotated[bool, typer.Option("--json", help="one JSON object instead of lines")] = False,
) -> None:
    """Open each camera once: its size, rate, codec, how long it takes, and what could be better.

    Ends with 1 if one cannot be opened. The stream that is recorded (record:) is opened, too.

    Examples:
      maskstream check cameras.yaml
      maskstream check --source rtsp://user:pass@192.0.2.10/stream1 --pictures look/
    """
    options = load_config(config, settings or (), {"sources": (source or [], {})})
    if not options.sources:
        raise InputError(f"no source: give a YAML file with sources, or --source {forms()}")
    looked_s = milliseconds(seconds) / 1000
    named: list[tuple[str, SourceConfig]] = []
    for one in options.sources:
        one = replace(one, source=written(one.source), record=written(one.record))
        name = free_name(stream_name(one), [other for other, _ in named])
        named.append((name, one))
        if one.record:
            named.append((f"{name}, record", replace(one, source=one.record, record="", fps=None)))
    with ThreadPoolExecutor(AT_ONCE) as threads:
        told = list(threads.map(lambda given: _told(given[0], given[1], looked_s, pictures, not json_), named))
    if json_:
        typer.echo(encode({"sources": {name: about for (name, _), about in zip(named, told, strict=True)}}).decode())
    if any("error" in about for about in told):
        raise typer.Exit(1)


def _told(name: str, config: SourceConfig, seconds: float, pictures: Path | None, as_lines: bool) -> dict[str, object]:
    """What is to be told of one source; said at once as lines."""
    try:
        check_source(config)
        found = check_camera(config, seconds)
    except InputError as error:
        reason = redact(str(error))
        if as_lines:
            show(Finding("problem", name, reason, "is the address right, is it switched on, does ping reach it?"))
        return {"error": reason}
    advice = list(found.advice(config))
    if pictures is not None:
        write_picture(pictures / f"{name.replace(', ', '-')}.jpg", found.image)
    if as_lines:
        show(Finding("warning" if advice else "ok", name, found.words, "\n        ".join(advice)))
    about = {field: getattr(found, field) for field in found.__struct_fields__ if field != "image"}
    return to_builtins(about) | {"advice": advice}


def write_picture(path: Path, image: np.ndarray) -> None:
    """A JPEG of (H, W, 3) uint8 BGR."""
    import cv2

    _, encoded = cv2.imencode(".jpg", image)
    write_bytes(path, encoded.tobytes())
