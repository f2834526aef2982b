"""Which font of this machine has the letters of a text: the one that OpenCV draws with holds ASCII only."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

SUFFIXES = (".otf", ".ttc", ".ttf")
FIRST = ("dejavusans", "notosansregular", "notosanscjkregular", "liberationsansregular", "freesans")
LATE = (  # styles that read worse in small labels, or fonts that draw everything coarsely
    "black", "bold", "cond", "display", "emoji", "extra", "italic", "light", "math", "medium", "mono", "narrow",
    "oblique", "serif", "symbol", "thin", "unifont",
)  # fmt: skip
MOST_FONTS = 500  # one is looked into in a millisecond or less; TeX brings thousands
NO_LETTER = "\U0010ffff"  # no font has it: what is drawn for it is what is drawn for all that a font lacks
LOOK_PX = 16

SCRIPTS = {
    "Latin": "äßłőşğ",
    "Greek": "ΩΔ",
    "Cyrillic": "ЖЩ",
    "Arabic": "بقن",
    "Hebrew": "אש",
    "Devanagari": "अक",
    "Thai": "นก",
    "Chinese": "视中",
    "Japanese": "マス",
    "Korean": "한국",
}


class FontChoice(NamedTuple):
    """The font with the most of the letters, "" where none has any; and those of them that it lacks."""

    path: str
    missing: frozenset[str]


def font_for(text: str) -> FontChoice:
    """The font to draw a text with. Letters are looked up once; the same ones again cost a microsecond."""
    return _font_with(frozenset(letters_of(text)))


def letters_of(text: str) -> set[str]:
    """What a font must have beyond ASCII: no spaces, and no marks that are not seen (joiners, directions).

    >>> sorted(letters_of("Übung\\u200d 1"))
    ['Ü']
    """
    return {
        letter
        for letter in unicodedata.normalize("NFC", text)
        if not (
            letter.isascii() or letter.isspace() or unicodedata.category(letter) in ("Cc", "Cf") or is_variant(letter)
        )
    }


def is_variant(letter: str) -> bool:
    """Whether it only chooses among the shapes of the letter before it, as emoji have it."""
    return "\ufe00" <= letter <= "\ufe0f"


@lru_cache(maxsize=256)
def _font_with(letters: frozenset[str]) -> FontChoice:
    best = FontChoice("", letters)
    for path in fonts():
        missing = lacks(path, letters)
        if len(missing) < len(best.missing):
            best = FontChoice(path, missing)
        if not missing:
            break
    return best


def lacks(path: str, letters: frozenset[str]) -> frozenset[str]:
    """Those of the letters that a font does not have: they look like a letter that no font has."""
    from PIL import Image, ImageDraw, ImageFont

    def looks(letter: str) -> bytes:
        picture = Image.new("L", (3 * LOOK_PX, 2 * LOOK_PX))
        ImageDraw.Draw(picture).text((LOOK_PX // 2, LOOK_PX // 4), letter, fill=255, font=font)
        return picture.tobytes()

    try:
        font = ImageFont.truetype(path, LOOK_PX, layout_engine=ImageFont.Layout.BASIC)
        absent = looks(NO_LETTER)
        # a font without outlines, or of symbols only, has no ASCII: the rest of the text could not be drawn
        if looks("a") in (absent, looks(" ")):
            return letters
        return frozenset(letter for letter in letters if looks(letter) == absent)
    except OSError:  # bitmaps of one size, or damaged
        return letters


@lru_cache(maxsize=1)
def fonts() -> tuple[str, ...]:
    """The font files of this machine, upright sans first, and at most MOST_FONTS."""
    found = {
        os.path.join(place, name)
        for folder in font_folders()
        for place, _, names in os.walk(folder)
        for name in names
        if name.lower().endswith(SUFFIXES)
    }
    return tuple(sorted(found, key=rank)[:MOST_FONTS])


def font_folders() -> Iterator[Path]:
    """Where fonts lie on Linux, and the folder of those that matplotlib brings."""
    home = Path(os.environ.get("XDG_DATA_HOME") or os.path.expanduser("~/.local/share"))
    yield from (home / "fonts", Path(os.path.expanduser("~/.fonts")))
    for folder in (os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share").split(":"):
        yield Path(folder) / "fonts"
    plots = find_spec("matplotlib")
    if plots is not None and plots.origin:
        yield Path(plots.origin).parent / "mpl-data" / "fonts" / "ttf"


def rank(path: str) -> tuple[int, int, str]:
    """
    >>> sorted(["b/DejaVuSans-Bold.ttf", "a/Ubuntu.ttf", "c/DejaVuSans.ttf"], key=rank)
    ['c/DejaVuSans.ttf', 'a/Ubuntu.ttf', 'b/DejaVuSans-Bold.ttf']
    """
    name = Path(path).stem.lower().replace("-", "").replace("_", "")
    first = FIRST.index(name) if name in FIRST else len(FIRST)
    return first, sum(style in name for style in LATE), path


def joins_letters() -> bool:
    """Whether Arabic letters are joined and right-to-left text is ordered by its own rules: FriBidi does it."""
    from PIL import features

    return bool(features.check("raqm") and features.check("fribidi"))


def advice(missing: frozenset[str]) -> str:
    """What to install for letters that no font here has."""
    east_asian = any(unicodedata.east_asian_width(letter) in "WF" for letter in missing)
    packages = "fonts-noto-cjk" if east_asian else "fonts-dejavu-core fonts-noto-core"
    return f"apt-get install {packages}, or copy a font to ~/.fonts"
