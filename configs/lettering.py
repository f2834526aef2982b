"""Text beyond ASCII, drawn with a font of this machine: as masks of grey values by Pillow, and in plots."""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from configs.fonts import advice, font_for, is_variant, joins_letters, letters_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from PIL import ImageFont

log = logging.getLogger("labels")

EM_PX = 29  # height of the letters' square where OpenCV's font has the scale 1: capitals are as high as its own
UNKNOWN = "?"
MOST_SAID = 10
RIGHT_TO_LEFT = "\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc"


def drawable(words: str) -> str:
    """The words with what no font here has replaced: by the ASCII letters in it (e for é), else by "?".

    What comes out is ASCII only, or has letters that `mask` can draw.
    """
    words = unicodedata.normalize("NFC", words)
    missing = font_for(words).missing
    if missing:
        words = "".join(in_ascii(letter) if letter in missing else letter for letter in words)
    words = "".join(letter for letter in words if not is_variant(letter) and unicodedata.category(letter) != "Cc")
    if not letters_of(words):  # what is left beyond ASCII is blanks and marks that are not seen
        words = "".join(" " if letter.isspace() else letter for letter in words if letter.isascii() or letter.isspace())
    return words.strip() or UNKNOWN


def say_undrawable(what: str, texts: Iterable[str]) -> None:
    """One line for texts that will be drawn with other letters, because no font here has theirs; else nothing."""
    missing = frozenset().union(*(font_for(text).missing for text in texts if not text.isascii()))
    if missing:
        letters = " ".join(sorted(missing)[:MOST_SAID])
        log.warning(
            'no font here can draw %s of %s: "%s" stands for them (%s)', letters, what, UNKNOWN, advice(missing)
        )


def in_ascii(letter: str) -> str:
    """
    >>> in_ascii("é"), in_ascii("視")
    ('e', '?')
    """
    return unicodedata.normalize("NFKD", letter).encode("ascii", "ignore").decode() or UNKNOWN


@lru_cache(maxsize=512)  # labels come again and again, with a hundred percentages or more
def mask(words: str, scale: float) -> np.ndarray:
    """Grey values (H, W) uint8 of the words, as high as their ink or a capital letter; read-only."""
    from PIL import Image, ImageDraw

    font = _font(font_for(words).path, max(1, round(EM_PX * scale)))
    if not joins_letters():
        words = ordered(words)
    left, top, right, bottom = font.getbbox(words, anchor="ls")
    left, top, bottom = min(left, 0), min(top, font.getbbox("H", anchor="ls")[1]), max(bottom, 0)
    picture = Image.new("L", (max(1, round(right - left)), max(1, round(bottom - top))))
    ImageDraw.Draw(picture).text((-left, -top), words, fill=255, font=font, anchor="ls")
    values = np.asarray(picture).copy()
    values.setflags(write=False)
    return values


@lru_cache(maxsize=32)
def _font(path: str, px: int) -> ImageFont.FreeTypeFont:
    from PIL import ImageFont

    return ImageFont.truetype(path, px)


def ordered(words: str) -> str:
    r"""Words in the order in which they are drawn from left to right, where no library knows the rules: runs of
    right-to-left letters are turned around.

    >>> ordered("\u05d0\u05d1\u05d2 - 97.3%")
    '\u05d2\u05d1\u05d0 - 97.3%'
    """
    return re.sub(f"[{RIGHT_TO_LEFT}]([{RIGHT_TO_LEFT} ]*[{RIGHT_TO_LEFT}])?", lambda run: run[0][::-1], words)


def letter_plot(figure: Figure) -> None:
    """Give each text of a plot that matplotlib's own font cannot draw another one of this machine beside it."""
    from matplotlib import font_manager
    from matplotlib.text import Text

    texts: set[Text] = set(figure.findobj(Text))
    for axes in figure.axes:
        texts |= {*axes.get_xticklabels(), *axes.get_yticklabels()}
    for text in texts:
        path = "" if text.get_text().isascii() else font_for(text.get_text()).path
        if path:
            font_manager.fontManager.addfont(path)
            family = font_manager.FontProperties(fname=path).get_name()
            text.set_fontfamily(["DejaVu Sans", family])
    say_undrawable("a plot", {text.get_text() for text in texts})
