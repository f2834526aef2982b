"""Where shown frames can go: the kinds of sinks, their checks, and how they are made from their text."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from fnmatch import fnmatch
from pathlib import Path

import cv2

from configs.address import check_address
from configs.duration import milliseconds
from configs.errors import InputError
from configs.redact import redact
from configs.schema import OverlayConfig
from events.deliver import RECEIVERS
from events.store import check_header
from overlay.display import has_display
from overlay.encoders import encoders_of
from overlay.sinks import publish
from overlay.sinks.beside import Beside
from overlay.sinks.claims import is_device, places
from overlay.sinks.clips import ClipsSink
from overlay.sinks.contact import ContactSink
from overlay.sinks.event_lines import EventLinesSink
from overlay.sinks.history import HistorySink
from overlay.sinks.images import ImagesSink
from overlay.sinks.jsonl import JsonlSink
from overlay.sinks.null import NullSink
from overlay.sinks.packets import PacketsSink
from overlay.sinks.publish import PublishSink
from overlay.sinks.segments import SegmentsSink
from overlay.sinks.sink import Sink
from overlay.sinks.video import VideoSink
from overlay.sinks.web import WebSink
from overlay.sinks.window import WindowSink
from overlay.sinks.window_feed import WindowFeed, feed_address
from overlay.target import Targets
from recordings.retention import Keep
from transport.stage import StageContext

# Kind -> how it is written on the command line, and how it is made of its path, the options and the stage's context.
# A sink that starts again finds what it wrote before: lines go on in the same file, a video in a new part.
Make = Callable[[str, OverlayConfig, StageContext], Sink]
SINKS: dict[str, tuple[str, Make]] = {
    "window": ("window", lambda path, config, context: _window(context)),
    "web": ("web", lambda path, config, context: _web(config, context)),
    "file": ("file:OUT.mp4", lambda path, config, context: _recording(path, config, context)),
    "record": ("record:FOLDER/", lambda path, config, context: _packets(path, config)),
    "clips": (
        "clips:FOLDER/",
        lambda path, config, context: _clips(path, config, context),
    ),
    "rtsp": ("rtsp://HOST/PATH", lambda path, config, context: PublishSink(f"rtsp:{path}", context.first)),
    "rtsps": ("rtsps://HOST/PATH", lambda path, config, context: PublishSink(f"rtsps:{path}", context.first)),
    "images": ("images:FOLDER/", lambda path, config, context: Beside(ImagesSink(path), context.recordings)),
    "jsonl": ("jsonl:OUT.jsonl", lambda path, config, context: _lines(path, context)),
    "contact": ("contact:OUT.png", lambda path, config, context: _contact(path, context)),
    "events": ("events:OUT.jsonl", lambda path, config, context: EventLinesSink(path, context.processes > 1)),
    "sqlite": (
        "sqlite:EVENTS.db",
        lambda path, config, context: _history(path, config, context),
    ),
    "webhook": ("webhook:URL", lambda path, config, context: NullSink()),  # a process beside delivers what is kept
    "mqtt": ("mqtt://HOST/TOPIC", lambda path, config, context: NullSink()),
    "mqtts": ("mqtts://HOST/TOPIC", lambda path, config, context: NullSink()),
    "nats": ("nats://HOST/SUBJECT", lambda path, config, context: NullSink()),
    "nats+tls": ("nats+tls://HOST/SUBJECT", lambda path, config, context: NullSink()),
    "postgres": ("postgres://USER@HOST/DATABASE", lambda path, config, context: NullSink()),
    "postgresql": ("postgresql://USER@HOST/DATABASE", lambda path, config, context: NullSink()),
    "null": ("null", lambda path, config, context: NullSink()),
}


_REMOTE = ("rtsp", "rtsps", *RECEIVERS)


def default_sinks() -> tuple[str, ...]:
    """Where pictures go if nothing is said: a window where there is a display, else a page."""
    return ("window",) if _why_no_window() is None else ("web",)


def _recording(path: str, config: OverlayConfig, context: StageContext) -> Sink:
    targets = Targets(path, context.first, context.began)
    encoders = _encoders(config, context)
    sink: Sink = VideoSink(targets, encoders)
    if config.segment:
        keep = Keep() if config.upload else _keep(config)  # what was uploaded, its process deletes
        sink = SegmentsSink(targets, milliseconds(config.segment) / 1000, keep, encoders)
    return Beside(sink, context.recordings)


def _clips(path: str, config: OverlayConfig, context: StageContext) -> Sink:
    before_s, after_s = config.clip_before_s, config.clip_after_s
    return Beside(ClipsSink(path, before_s, after_s, _keep(config), _encoders(config, context)), None)


def _encoders(config: OverlayConfig, context: StageContext) -> tuple[str, ...]:
    encoders = encoders_of(config.encoder)
    context.facts["encoder"] = encoders[0]
    return encoders


def _packets(path: str, config: OverlayConfig) -> Sink:
    return PacketsSink(path, config.record_clips, config.clip_before_s, config.clip_after_s, _keep(config))


def _history(path: str, config: OverlayConfig, context: StageContext) -> Sink:
    days, megabytes, pictures = config.events_days, config.events_mb, config.event_pictures
    return HistorySink(path, days, megabytes, pictures, context.counts, context.restarts > 0)


def _keep(config: OverlayConfig) -> Keep:
    return Keep(config.record_days, config.record_gb)


def _web(config: OverlayConfig, context: StageContext) -> Sink:
    if not context.feeds:
        raise InputError("sink web: nothing serves the page here; use it with `maskstream run`")
    return WebSink(f"{context.feeds}{context.process}", context.process, config.web_fps, config.web_width)


def _window(context: StageContext) -> Sink:
    """With several lanes a process beside them has the windows."""
    return WindowSink() if context.processes == 1 else WindowFeed(feed_address(context.feeds, context.process))


def _lines(path: str, context: StageContext) -> Sink:
    return JsonlSink(path, context.began, shared=context.processes > 1 and "{stream}" not in path)


def _contact(path: str, context: StageContext) -> Sink:
    return ContactSink(path, context.folder if context.processes > 1 else None, context.process)


def make_sinks(config: OverlayConfig, context: StageContext) -> list[Sink]:
    """The sinks of the configuration, else the default. Raises InputError as `check_sinks` does."""
    specs = config.sinks or default_sinks()
    check_sinks(specs)
    parted = [spec.partition(":") for spec in specs]
    return [SINKS[kind][1](path, config, context) for kind, _, path in parted]


def per_stream(sink: str) -> str:
    """With several streams each gets a video of its own: out.mp4 becomes out-{stream}.mp4, rtsp://host/a a/{stream}."""
    kind, _, path = sink.partition(":")
    if kind in ("rtsp", "rtsps") and "{stream}" not in path:
        return f"{sink.rstrip('/')}/{{stream}}"
    if kind != "file" or "{stream}" in path:
        return sink
    return f"file:{Path(path).with_suffix('')}-{{stream}}{Path(path).suffix}"


def check_sinks(specs: Iterable[str], sources: Iterable[str] = ()) -> None:
    """Refuse, without opening or creating anything, sinks that cannot work; no specs stand for the default.

    `sources` are what the pictures are read from: no sink may write over one of them.
    Raises InputError: unknown kind, missing or unwritable path, no display for a window.
    """
    specs, sources = tuple(specs) or default_sinks(), tuple(sources)
    for spec in specs:
        kind, _, path = spec.partition(":")
        if kind not in SINKS:
            raise InputError(f"unknown sink {redact(spec)!r}: use {', '.join(form for form, _ in SINKS.values())}")
        if kind == "window":
            _check_window()
        if kind in _REMOTE:
            check_address(spec)
        if kind in RECEIVERS:
            RECEIVERS[kind][0](spec)
        elif kind in ("rtsp", "rtsps"):
            publish.check_url(spec)
            if spec in sources:
                raise InputError(f"sink {redact(spec)!r} is a source: publish to another path")
        elif ":" in SINKS[kind][0]:
            _check_path(spec, kind, path, sources)
        elif ":" in spec:
            raise InputError(f"sink {spec!r}: {kind} takes no path, write {SINKS[kind][0]}")
    kinds = [spec.partition(":")[0] for spec in specs]
    if kinds.count("record") > 1:
        raise InputError("sink record: is given twice: remove one of them")
    for kind in RECEIVERS.keys() & set(kinds):
        if kinds.count("sqlite") != 1:
            raise InputError(f"sink {kind}: events wait on disk for it: add one --sink sqlite:EVENTS.db")
    paths = [spec for spec in specs if spec != "null"]
    for spec in paths:
        if paths.count(spec) > 1:
            raise InputError(f"sink {redact(spec)!r} is given twice: remove one of them")
    written: dict[str, str] = {}
    for spec in specs:
        for place in places(spec, Targets(spec.partition(":")[2]), "{stream}"):
            if is_device(place):
                continue
            other = written.setdefault(os.path.realpath(place), spec)
            if other != spec:
                raise InputError(f"sinks {other!r} and {spec!r} would both write {place}: remove one of them")


def _check_window() -> None:
    reason = _why_no_window()
    if reason:
        instead = "use --sink web, file:OUT.mp4, images:FOLDER/, jsonl:OUT.jsonl or null instead"
        raise InputError(f"sink window: {reason}; {instead}")


def _why_no_window() -> str | None:
    """What keeps a window from being shown; None: nothing."""
    if cv2.currentUIFramework() == "":
        return "this OpenCV (headless) cannot show windows"
    if not has_display():
        display = os.environ.get("DISPLAY")
        return f"DISPLAY={display} cannot be reached" if display else "no display here (DISPLAY is not set)"
    return None


def _check_path(spec: str, kind: str, text: str, sources: tuple[str, ...]) -> None:
    if not text:
        raise InputError(f"sink {spec!r} needs a path: write {SINKS[kind][0]}")
    path = Path(text)
    if kind == "file" and path.suffix.lower() != ".mp4":
        raise InputError(f"sink {spec!r}: videos are written as MP4, give a name that ends in .mp4")
    if kind == "contact" and not (path.suffix and cv2.haveImageWriter(path.name)):
        raise InputError(f"sink {spec!r}: give the name of a picture, one that ends in .png or .jpg")
    try:
        os.fsencode(text)
        _check_place(spec, kind, path)
    except (OSError, ValueError) as error:  # too long a name, a zero byte, what the file system's code cannot write
        raise InputError(f"sink {spec!r}: no file can have this name ({error})") from None
    pattern = os.path.realpath(path).replace("[", "[[]").replace("{stream}", "*")
    for source in sources:
        if os.path.exists(source) and fnmatch(os.path.realpath(source), pattern):
            raise InputError(f"sink {spec!r} would write over the source {source}: choose another place")


def _check_place(spec: str, kind: str, path: Path) -> None:
    if kind in ("images", "clips", "record") and path.exists() and not path.is_dir():
        raise InputError(f"sink {spec!r}: {path} is a file, give a folder")
    if kind not in ("images", "clips", "record") and path.is_dir():
        raise InputError(f"sink {spec!r}: {path} is a folder, give a file in it")
    if path.exists() and not os.access(path, os.W_OK):
        raise InputError(f"sink {spec!r}: {path} may not be written, choose another place")
    nearest = next(parent for parent in path.absolute().parents if parent.exists())
    if not path.exists() and not (nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)):
        raise InputError(f"sink {spec!r}: nothing can be created in {nearest}, choose another place")
    if kind == "sqlite" and path.exists():
        check_header(path)
