"""What a kind of source is: how users write it, which options it has, what is wrong with one, and how one is opened."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from capture.picture import Place, Source
from configs.address import take_apart
from configs.schema import SourceConfig


class Kind(ABC):
    """One kind of source; a row of the table in `capture/sources.py`. It keeps nothing: many sources may be of it.

    `name` stands in the run's JSON, `called` in what users are told, with its article, and `written` in --help.
    `options` are those of a `SourceConfig` that not every kind has and this one does.
    `may_come_back`: one that is not there may be there later, and what it showed meanwhile is gone: a camera.
    `has_packets`: they may be recorded as they come; a source of the kind that has none says so when it is opened.
    `mirrored`: shown as in a mirror if nobody says otherwise.
    `modules` are imported when one is opened: processes of many sources share what the first of them brought.
    """

    name: ClassVar[str]
    called: ClassVar[str]
    written: ClassVar[str]
    options: ClassVar[tuple[str, ...]] = ()
    may_come_back: ClassVar[bool] = False
    has_packets: ClassVar[bool] = False
    mirrored: ClassVar[bool] = False
    modules: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def fits(self, text: str) -> bool:
        """Whether the text means a source of this kind. Kinds are asked in the table's order."""

    @abstractmethod
    def open(self, config: SourceConfig, place: Place) -> Source:
        """The source, opened; one that can be read again goes on at its place. Raises InputError."""

    def check(self, config: SourceConfig) -> None:  # noqa: B027 - a kind that can refuse nothing has none
        """Refuse what cannot work, without opening it. Raises InputError that names the source."""

    def size(self, config: SourceConfig) -> tuple[int, int] | None:
        """Width and height of its largest picture, px; None for what is not to be asked. Raises InputError."""
        return None

    def title(self, text: str) -> str:
        """Words that name the source, without a user, password or query; the stream is called after them."""
        address = take_apart(text)  # also where a scheme is missing: it will be refused, but under this name
        return Path(text).stem if address is None else address.title
