"""Opens what the user named: a webcam, a network camera, a video file, a folder of images or the demo."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import msgspec
from msgspec.structs import replace

from capture.demo import HEIGHT, WIDTH, DemoScene
from capture.folder import ImageFolder, images_of
from capture.network import open_camera
from capture.picture import NotYet, Picture, Room, Source, SourceLost, Undecodable
from capture.realtime import Realtime
from capture.video import VideoFile
from capture.webcam import Webcam, check_camera
from configs.address import check_address, take_apart, written
from configs.errors import InputError
from configs.redact import learn, redact
from configs.references import literal
from configs.schema import FILE_TICKETS, LIVE_TICKETS, SourceConfig

__all__ = [
    "Kind", "NotYet", "Picture", "Room", "Source", "SourceLost", "Undecodable",
    "admitted", "check_source", "free_name", "kind_of", "may_come_back", "open_source", "stream_name", "tickets_of",
]  # fmt: skip

Kind = Literal["webcam", "network", "http", "video", "folder", "demo"]

_CALLED = {
    "webcam": "a webcam", "network": "a network camera", "http": "an http URL", "video": "a video file",
    "folder": "a folder of images", "demo": "the demo",
}  # fmt: skip
_FITS = {  # which kinds of source an option is for; those not listed are for all
    "width": ("webcam",),
    "height": ("webcam",),
    "fps": ("webcam", "http"),
    "realtime": ("video", "http", "demo"),
    "loop": ("video", "http", "folder", "demo"),
    "wait": ("webcam", "network", "http"),
    "open_timeout_s": ("network", "http"),
    "read_timeout_s": ("network", "http"),
    "rtsp_transport": ("network",),
}
_SCHEMES = ("rtsp", "rtsps", "http", "https", "udp", "rtp", "tcp", "rtmp", "rtmps")  # what PyAV's wheel receives
_LAST_CAMERA = 255  # minor numbers of Video4Linux devices
_LONGEST_NAME = 64  # it becomes part of socket paths, which must stay below 108 bytes
_NAME = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9._-]{{0,{_LONGEST_NAME - 1}}}")


def open_source(config: SourceConfig, start: int = 0) -> Source:
    """The source, opened, after `start` pictures of it were read in an earlier life of this process.

    Files, folders and the demo go on exactly there; a camera has nothing to go back to. The caller closes it.
    Raises InputError if it cannot be opened.
    """
    check_source(config)
    kind = kind_of(config.source)
    if kind == "webcam":
        return Webcam(config)
    if kind == "network":
        return open_camera(replace(config, source=written(config.source)))
    if kind == "http":
        from capture.http_source import open_http  # brings aiohttp: 0.3 s and 11 MB that others do not need

        source = open_http(replace(config, source=written(config.source)), start)
    elif kind == "folder":
        return ImageFolder(Path(config.source), config.loop, start)
    else:
        source = Demo(config.loop, start) if kind == "demo" else VideoFile(Path(config.source), config.loop, start)
    return Realtime(source) if config.realtime else source


def check_source(config: SourceConfig) -> None:
    """Refuse what cannot work, without opening it. Raises InputError that names the source or the option."""
    kind, source = kind_of(config.source), config.source
    stream_name(config)
    usual = SourceConfig(source=source)
    for option, kinds in _FITS.items():
        if kind not in kinds and getattr(config, option) != getattr(usual, option):
            fitting = " or ".join(_CALLED[fit] for fit in kinds)
            raise InputError(f"{option} is for {fitting}; {redact(source)} is {_CALLED[kind]}")
    if kind == "webcam" and source.isdecimal() and int(source) > _LAST_CAMERA:
        raise InputError(f"no camera {source}: camera numbers are 0 to {_LAST_CAMERA}; for a file write ./{source}")
    if kind == "webcam" and not config.wait:
        check_camera(source)
    if kind == "network" and source.split("://")[0].lower() not in _SCHEMES:
        raise InputError(f"{redact(source)}: unknown kind of URL; known are {', '.join(_SCHEMES)}")
    if kind in ("network", "http"):
        check_address(source)
    if config.rtsp_transport != usual.rtsp_transport and not source.lower().startswith("rtsp"):
        raise InputError(f"rtsp_transport is for rtsp URLs; {redact(source)} is none")
    if kind in ("video", "folder"):
        _check_path(source)
    if kind == "folder":
        images_of(Path(source))


def kind_of(source: str) -> Kind:
    """What kind of source this is, told from its text and, for a folder, from the disk.

    >>> [kind_of(source) for source in ("0", "/dev/video2", "rtsp://door/ch0", "http://door/a.jpg", "walk.mp4", "demo")]
    ['webcam', 'webcam', 'network', 'http', 'video', 'demo']
    """
    if source == "demo":
        return "demo"
    if source.isdecimal() or source.startswith(("/dev/video", "/dev/v4l/")):
        return "webcam"
    if "://" in source:
        return "http" if source.lower().startswith(("http://", "https://")) else "network"
    return "folder" if os.path.isdir(source) else "video"  # Path.is_dir raises where a name is too long


def may_come_back(source: str) -> bool:
    """Whether one that is not there may be there later: a webcam, or what comes over a network."""
    return kind_of(source) in ("webcam", "network", "http")


def tickets_of(config: SourceConfig) -> int:
    """How many frames of the source may be under way at once."""
    of_file = kind_of(config.source) in ("video", "folder", "demo") and not config.realtime and config.mode != "latest"
    return config.tickets or (FILE_TICKETS if of_file else LIVE_TICKETS)


def stream_name(config: SourceConfig) -> str:
    """The name of the stream: the one given, else one made from the source that is safe in a file name.

    It holds nothing of a user, password or query. Two sources may give the same one. Raises InputError if the given
    name is not safe.

    >>> stream_name(SourceConfig(source="rtsp://me:secret@door.local:554/live/ch0?token=1"))
    'door.local-live-ch0'
    """
    if config.name and not _NAME.fullmatch(config.name):
        raise InputError(f"name {config.name!r}: letters, digits, . _ - only, 64 at most, the first a letter or digit")
    kind, source = kind_of(config.source), config.source
    address = take_apart(source)
    if address is not None:  # also where a scheme is missing: it will be refused, but under this name
        title = address.title
    elif kind == "webcam":
        title = f"camera{source}" if source.isdecimal() else Path(source).name.replace("video", "camera")
    else:
        title = Path(os.path.abspath(source)).name if kind == "folder" else Path(source).stem
    return config.name or re.sub(r"[^A-Za-z0-9._-]+", "-", title).strip("-.")[:_LONGEST_NAME] or kind


def admitted(given: bytes, taken: Sequence[str]) -> tuple[str, SourceConfig]:
    """Name and options of a source that is added while the run goes on; raises InputError if it cannot be used."""
    try:
        source = msgspec.json.decode(given, type=SourceConfig)
    except msgspec.ValidationError as error:
        raise InputError(str(error)) from None
    learn(source.source)
    source = replace(source, source=written(literal(source.source)), name=literal(source.name))
    waits = may_come_back(source.source)  # one that is not there yet is no reason to end a run
    source = replace(source, wait=source.wait or waits)
    check_source(source)
    name = stream_name(source)
    if source.name in taken:
        raise InputError(f"the name {source.name} is taken in this run, also if its stream was removed: give another")
    name = free_name(name, taken)
    return name, replace(source, name=name, tickets=tickets_of(source))


def free_name(name: str, taken: Sequence[str]) -> str:
    """The name, with a number behind it if another stream has it."""
    names = [name, *(f"{name}-{number}" for number in range(2, len(taken) + 3))]
    return next(candidate for candidate in names if candidate not in taken)


def _check_path(source: str) -> None:
    if not source:
        raise InputError("source is empty: give a camera number, URL, video file, folder of images, or demo")
    if not os.path.exists(source):
        raise InputError(f"{source}: no such file or folder")
    if not (os.path.isfile(source) or os.path.isdir(source)):
        raise InputError(f"{source}: neither a file nor a folder")
    if not os.access(source, os.R_OK):
        raise InputError(f"{source}: no permission to read it")


class Demo(Source):
    """The embedded scene as a film; with `loop` it begins again at its end, and `media_ms` goes on growing."""

    live = False

    def __init__(self, loop: bool = False, start: int = 0) -> None:
        self._scene = DemoScene()
        self._loop = loop
        self._next = start
        self.fps = self._scene.fps

    def read(self, room: Room) -> Picture | None:
        """The next picture, or None at the end."""
        index, self._next = self._next, self._next + 1
        if index >= len(self._scene) and not self._loop:
            return None
        slot = room(HEIGHT, WIDTH)
        self._scene.picture(index % len(self._scene), slot)
        return Picture(slot, time.monotonic_ns(), 1000 * index / self.fps)

    def close(self) -> None: ...
