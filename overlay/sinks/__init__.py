"""Where shown frames can go: the kinds of sinks, their checks, and how they are made from their text."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from fnmatch import fnmatch
from pathlib import Path

import cv2

from configs.errors import InputError
from configs.schema import OverlayConfig
from overlay.display import has_display
from overlay.sinks.contact import ContactSink
from overlay.sinks.images import ImagesSink
from overlay.sinks.jsonl import JsonlSink
from overlay.sinks.null import NullSink
from overlay.sinks.sink import Sink
from overlay.sinks.video import VideoSink
from overlay.sinks.window import WindowSink
from transport.stage import StageContext

DEFAULT: tuple[str, ...] = ("window",)

# Kind -> how it is written on the command line, and how it is made of (path, whether it goes on after a restart).
SINKS: dict[str, tuple[str, Callable[[str, bool], Sink]]] = {
    "window": ("window", lambda path, goes_on: WindowSink()),
    "file": ("file:OUT.mp4", VideoSink),
    "images": ("images:FOLDER/", lambda path, goes_on: ImagesSink(path)),
    "jsonl": ("jsonl:OUT.jsonl", JsonlSink),
    "contact": ("contact:OUT.png", lambda path, goes_on: ContactSink(path)),
    "null": ("null", lambda path, goes_on: NullSink()),
}


def make_sinks(config: OverlayConfig, context: StageContext) -> list[Sink]:
    """The sinks of the configuration; without any, a window. Raises InputError as `check_sinks` does."""
    specs = config.sinks or DEFAULT
    check_sinks(specs)
    parted = [spec.partition(":") for spec in specs]
    return [SINKS[kind][1](path, context.restarts > 0) for kind, _, path in parted]


def check_sinks(specs: Iterable[str], sources: Iterable[str] = ()) -> None:
    """Refuse, without opening or creating anything, sinks that cannot work; no specs stand for the default.

    `sources` are what the pictures are read from: no sink may write over one of them.
    Raises InputError: unknown kind, missing or unwritable path, no display for a window.
    """
    specs, sources = tuple(specs) or DEFAULT, tuple(sources)
    for spec in specs:
        kind, _, path = spec.partition(":")
        if kind not in SINKS:
            raise InputError(f"unknown sink {spec!r}: use {', '.join(form for form, _ in SINKS.values())}")
        if kind == "window":
            _check_window()
        if ":" in SINKS[kind][0]:
            _check_path(spec, kind, path, sources)
        elif ":" in spec:
            raise InputError(f"sink {spec!r}: {kind} takes no path, write {SINKS[kind][0]}")
    paths = [spec for spec in specs if spec != "null"]
    for spec in paths:
        if paths.count(spec) > 1:
            raise InputError(f"sink {spec!r} is given twice: remove one of them")


def _check_window() -> None:
    instead = "use --sink file:OUT.mp4, images:FOLDER/, jsonl:OUT.jsonl or null instead"
    if cv2.currentUIFramework() == "":
        raise InputError(f"sink window: this OpenCV (headless) cannot show windows; {instead}")
    if not has_display():
        display = os.environ.get("DISPLAY")
        reason = f"DISPLAY={display} cannot be reached" if display else "no display here (DISPLAY is not set)"
        raise InputError(f"sink window: {reason}; {instead}")


def _check_path(spec: str, kind: str, text: str, sources: tuple[str, ...]) -> None:
    if not text:
        raise InputError(f"sink {spec!r} needs a path: write {SINKS[kind][0]}")
    path = Path(text)
    if kind == "file" and path.suffix.lower() != ".mp4":
        raise InputError(f"sink {spec!r}: videos are written as MP4, give a name that ends in .mp4")
    if kind == "contact" and not (path.suffix and cv2.haveImageWriter(path.name)):
        raise InputError(f"sink {spec!r}: give the name of a picture, one that ends in .png or .jpg")
    if kind == "images" and path.exists() and not path.is_dir():
        raise InputError(f"sink {spec!r}: {path} is a file, give a folder")
    if kind != "images" and path.is_dir():
        raise InputError(f"sink {spec!r}: {path} is a folder, give a file in it")
    if path.exists() and not os.access(path, os.W_OK):
        raise InputError(f"sink {spec!r}: {path} may not be written, choose another place")
    nearest = next(parent for parent in path.absolute().parents if parent.exists())
    if not path.exists() and not (nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)):
        raise InputError(f"sink {spec!r}: nothing can be created in {nearest}, choose another place")
    pattern = str(path.resolve()).replace("[", "[[]").replace("{stream}", "*")
    for source in sources:
        if os.path.exists(source) and fnmatch(str(Path(source).resolve()), pattern):
            raise InputError(f"sink {spec!r} would write over the source {source}: choose another place")
