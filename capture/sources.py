"""The kinds of source, and what the user named: which kind it is, what is wrong with it, its name, and how it opens."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec
from msgspec.structs import replace

from capture.chips import check_decode
from capture.kind import Kind
from capture.kinds.demo import DemoKind
from capture.kinds.film import FilmKind
from capture.kinds.folder import FolderKind
from capture.kinds.http import HttpKind
from capture.kinds.network import NetworkKind
from capture.kinds.webcam import WebcamKind
from capture.picture import BEGINNING, Place, Source
from capture.realtime import Realtime
from capture.second_stream import check_record
from configs.address import written
from configs.errors import InputError
from configs.redact import learn, redact
from configs.references import literal
from configs.schema import FILE_TICKETS, LIVE_TICKETS, SourceConfig

KINDS: tuple[Kind, ...] = (  # the first that fits a text is meant by it
    WebcamKind(),
    HttpKind(),
    NetworkKind(),
    DemoKind(),
    FolderKind(),
    FilmKind(),
)
_LONGEST_NAME = 64  # it becomes part of socket paths, which must stay below 108 bytes
_NAME = re.compile(rf"[A-Za-z0-9_][A-Za-z0-9._-]{{0,{_LONGEST_NAME - 1}}}")


def kind_of(source: str) -> Kind:
    """What kind of source this is, told from its text and, for a folder, from the disk.

    >>> [kind_of(text).name for text in ("0", "/dev/video2", "rtsp://door/0", "http://door/a.jpg", "a.mp4", "demo")]
    ['webcam', 'webcam', 'network', 'http', 'video', 'demo']
    """
    return next(kind for kind in KINDS if kind.fits(source))


def forms() -> str:
    """How sources are written, for people: `0, /dev/video0, http://..., ... or a video file`."""
    *others, last = (kind.written for kind in KINDS)
    return f"{', '.join(others)}, or {last}"


def open_source(config: SourceConfig, place: Place = BEGINNING) -> Source:
    """The source, opened. The caller closes it.

    Files, folders and the demo go on exactly at their place; a camera has nothing to go back to.
    Raises InputError if it cannot be opened.
    """
    check_source(config)
    source = kind_of(config.source).open(config, place)
    return Realtime(source) if config.realtime else source


def check_source(config: SourceConfig) -> None:
    """Refuse what cannot work, without opening it. Raises InputError that names the source or the option."""
    stream_name(config)
    if not config.source:
        raise InputError(f"source is empty: give {forms()}")
    kind, usual = kind_of(config.source), SourceConfig(source=config.source)
    for option in dict.fromkeys(option for each in KINDS for option in each.options):
        if option not in kind.options and getattr(config, option) != getattr(usual, option):
            fitting = " or ".join(each.called for each in KINDS if option in each.options)
            raise InputError(f"{option} is for {fitting}; {redact(config.source)} is {kind.called}")
    kind.check(config)
    check_decode(config.decode)
    if config.record:
        check_record(config)


def size_of(config: SourceConfig) -> tuple[int, int] | None:
    """Width and height of its largest picture, px; None for a camera, and for what cannot be read: a run says so."""
    try:
        return kind_of(config.source).size(config)
    except InputError:
        return None


def tickets_of(config: SourceConfig) -> int:
    """How many frames of the source may be under way at once."""
    return config.tickets or (LIVE_TICKETS if is_live(config) else FILE_TICKETS)


def is_live(config: SourceConfig) -> bool:
    """Whether newer pictures replace older ones: a camera, and what is played as one."""
    return kind_of(config.source).may_come_back or config.realtime or config.mode == "latest"


def stream_name(config: SourceConfig) -> str:
    """The name of the stream: the one given, else one made from the source that is safe in a file name.

    It holds nothing of a user, password or query. Two sources may give the same one. Raises InputError if the given
    name is not safe.

    >>> stream_name(SourceConfig(source="rtsp://me:secret@door.local:554/live/ch0?token=1"))
    'door.local-live-ch0'
    """
    if config.name and not _NAME.fullmatch(config.name):
        raise InputError(f"name {config.name!r}: letters, digits, . _ - only, 64 at most, the first a letter or digit")
    kind = kind_of(config.source)
    title = re.sub(r"[^A-Za-z0-9._-]+", "-", kind.title(config.source)).strip("-.")
    return config.name or title[:_LONGEST_NAME] or kind.name


def admitted(given: bytes, taken: Sequence[str]) -> tuple[str, SourceConfig]:
    """Name and options of a source that is added while the run goes on; raises InputError if it cannot be used."""
    try:
        source = msgspec.json.decode(given, type=SourceConfig)
    except msgspec.DecodeError as error:
        raise InputError(str(error)) from None
    learn(source.source, source.record)
    address, record = written(literal(source.source)), written(literal(source.record))
    source = replace(source, source=address, record=record, name=literal(source.name))
    waits = kind_of(source.source).may_come_back  # one that is not there yet is no reason to end a run
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
