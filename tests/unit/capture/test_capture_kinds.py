"""The table of kinds: what a row brings is known wherever sources are; a new kind is a class and a line."""

import re
import time
from pathlib import Path

import pytest

from capture import sources
from capture.kind import Kind
from capture.picture import Picture, Place, Source
from capture.sources import KINDS, check_source, forms, kind_of, open_source, stream_name, tickets_of
from configs.errors import InputError
from configs.schema import SourceConfig

DOCS = Path(__file__).resolve().parents[3] / "docs"


class GreyKind(Kind):
    """`grey:N`: N grey pictures, for this test."""

    name, called, written = "grey", "grey pictures", "grey:5"
    options = ("loop",)

    def fits(self, text):
        return text.startswith("grey:")

    def title(self, text):
        return text.replace(":", " ")

    def check(self, config):
        if not config.source.removeprefix("grey:").isdecimal():
            raise InputError(f"{config.source}: how many? as grey:5")

    def open(self, config, place):
        return Grey(int(config.source.removeprefix("grey:")), place.pictures)


class Grey(Source):
    live, fps = False, 25.0

    def __init__(self, count, start):
        self.left = list(range(start, count))

    def read(self, room):
        if not self.left:
            return None
        image = room(48, 64)
        image[:] = self.left.pop(0)
        return Picture(image, time.monotonic_ns())

    def close(self): ...


@pytest.fixture
def grey(monkeypatch):
    monkeypatch.setattr(sources, "KINDS", (GreyKind(), *KINDS))


def test_a_new_kind_is_a_class_and_a_line(grey, room):
    config = SourceConfig(source="grey:3", loop=True)
    check_source(config)
    assert stream_name(config) == "grey-3"
    assert tickets_of(config) == tickets_of(SourceConfig(source="a.mp4"))
    with open_source(config, Place(1)) as source:
        assert [int(picture.image.max()) for picture in iter(lambda: source.read(room), None)] == [1, 2]
    assert forms().startswith("grey:5, 0, ")


def test_what_a_new_kind_refuses_is_refused_and_its_options_are_known_to_all(grey):
    with pytest.raises(InputError, match="grey:x: how many"):
        check_source(SourceConfig(source="grey:x"))
    with pytest.raises(InputError, match=r"realtime is for an http URL or .*; grey:3 is grey pictures"):
        check_source(SourceConfig(source="grey:3", realtime=True))
    with pytest.raises(InputError, match="loop is for grey pictures or "):
        check_source(SourceConfig(source="0", loop=True))


def test_every_kind_is_in_the_docs_and_its_name_is_its_own():
    table = (DOCS / "running.md").read_text().split("| `--sink`")[0]
    for kind in KINDS:
        for form in re.split(r", ", kind.written.removesuffix("...")):
            assert form in table, f"docs/running.md says nothing of {kind.called}"
    assert len({kind.name for kind in KINDS}) == len(KINDS)


@pytest.mark.parametrize(
    ("source", "may_come_back", "mirrored"),
    [("0", True, True), ("rtsp://door/live", True, False), ("http://door/x", True, False),
     ("walk.mp4", False, False), (".", False, False), ("demo", False, False)],
)  # fmt: skip
def test_cameras_may_come_back_and_webcams_are_mirrors(source, may_come_back, mirrored):
    kind = kind_of(source)
    assert (kind.may_come_back, kind.mirrored) == (may_come_back, mirrored)
