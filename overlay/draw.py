"""Draws what is known about a frame: boxes and labels, the corner text, and the picture of an absent camera.

Colours are BGR. Nothing but `draw` changes the picture it is given.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import cv2
import numpy as np

from configs.lettering import drawable, mask
from transport.frame import UNSURE, Box, Face, Prediction

Colour = tuple[int, int, int]
Rectangle = tuple[int, int, int, int]  # left, top, right, bottom; right and bottom are not part of it

GREEN, RED, BLUE = (0, 200, 0), (0, 0, 230), (255, 80, 0)
GREY, DARK, BLACK, WHITE = (160, 160, 160), (32, 32, 32), (0, 0, 0), (255, 255, 255)

# The three classes under the names that data sets give them, reduced to their letters.
KNOWN_CLASSES: tuple[tuple[str, Colour, frozenset[str]], ...] = (
    ("Mask", GREEN, frozenset({"mask", "withmask", "masked", "maskon", "facemask", "wearingmask"})),
    ("No mask", RED, frozenset({"nomask", "withoutmask", "unmasked", "maskoff", "nofacemask", "notmasked"})),
    (
        "Wrong mask",
        BLUE,
        frozenset({"wrongmask", "maskwearedincorrect", "maskwornincorrectly", "incorrectmask", "maskincorrect"})
        | frozenset({"incorrectlymasked", "incorrectlywornmask", "impropermask", "incorrect", "badmask"}),
    ),
)
# For classes of other names: orange, purple, cyan, yellow, pink, brown.
OTHER_COLOURS: tuple[Colour, ...] = (
    (0, 140, 255),
    (200, 40, 130),
    (210, 200, 0),
    (0, 220, 240),
    (190, 120, 255),
    (40, 80, 140),
)

# Its letters have double strokes, easy to read one pixel wide: SIMPLEX two wide takes 124 us a label, this 27.
FONT = cv2.FONT_HERSHEY_DUPLEX
SMALLEST_SCALE = 0.35  # below it the letters of this font run together
SMALLEST_OTHER_SCALE = 0.42  # of other letters, drawn by Pillow: 12 px, below which Chinese cannot be read


def annotate(picture: np.ndarray, faces: tuple[Face, ...], corner: str = "") -> np.ndarray:
    """A copy of `picture`, (H, W, 3) uint8 BGR, with a box and a label for every face and `corner` in its upper left.

    >>> picture = annotate(np.zeros((120, 160, 3), np.uint8), (Face(Box(40, 40, 60, 60)),))
    >>> picture[70, 40].tolist() == list(GREY)
    True
    """
    return draw(picture.copy(), faces, corner)


def draw(drawn: np.ndarray, faces: tuple[Face, ...], corner: str = "") -> np.ndarray:
    """The same, on the picture that is given."""
    captions = [caption(face.prediction) for face in faces]
    outlines = [_draw_box(drawn, face.box, colour) for face, (_, colour) in zip(faces, captions, strict=True)]
    written: list[Rectangle] = []
    if corner:
        written.append(_write(drawn, _Text.fitting(corner, drawn), (0, 0), DARK))
    for (words, colour), outline in zip(captions, outlines, strict=True):
        text = _Text.fitting(words, drawn)
        written.append(_write(drawn, text, _place(text, outline, outlines, written, drawn), colour))
    return drawn


def caption(prediction: Prediction | None) -> tuple[str, Colour]:
    """The words and the colour of a prediction; a face not classified yet is a grey "?".

    >>> caption(Prediction("without_mask", 0.9731, {}))
    ('No mask - 97.3%', (0, 0, 230))
    """
    if prediction is None:
        return "?", GREY
    if prediction.label == UNSURE:
        return "Unsure", GREY
    percent = f"{100 * prediction.confidence:.1f}%"
    known = _known_class(prediction.label)
    if known:
        return f"{known[0]} - {percent}", known[1]
    # By its place among the model's other classes: distinct within a model, the same in every frame.
    others = sorted(name for name in {prediction.label, *prediction.probabilities} if not _known_class(name))
    colour = OTHER_COLOURS[others.index(prediction.label) % len(OTHER_COLOURS)]
    return f"{prediction.label} - {percent}", colour


def corner_text(stream: str, fps: float, age_ms: float) -> str:
    """What stands in the corner of a picture.

    >>> corner_text("door", 25.04, 1234)
    'door  25.0 fps  1.2 s'
    """
    age = f"{age_ms:.0f} ms" if age_ms < 1000 else f"{age_ms / 1000:.1f} s"
    return f"{stream}  {fps:.1f} fps  {age}"


def away_picture(stream: str, silent_s: float, width: int, height: int) -> np.ndarray:
    """What is shown while a camera is away: (height, width, 3) uint8 BGR."""
    return message_picture([f"{stream}: no picture for {silent_s:.0f} s"], width, height)


def message_picture(lines: list[str], width: int, height: int) -> np.ndarray:
    """Lines of text, plainly no camera's picture: (height, width, 3) uint8 BGR."""
    picture = np.full((height, width, 3), DARK, np.uint8)
    stripe, step = max(1, height // 120), max(8, height // 12)
    for x in range(-height, width, step):
        cv2.line(picture, (x, height), (x + height, 0), (44, 44, 44), stripe, cv2.LINE_AA)
    texts = [_Text.fitting(line, picture, size=1.8) for line in lines]
    top = (height - sum(text.height for text in texts)) // 2
    for text in texts:
        _write(picture, text, ((width - text.width) // 2, top), DARK)
        top += text.height
    return picture


def _known_class(name: str) -> tuple[str, Colour] | None:
    letters = re.sub("[^a-z]", "", name.lower())
    return next(((words, colour) for words, colour, names in KNOWN_CLASSES if letters in names), None)


def _draw_box(drawn: np.ndarray, box: Box, colour: Colour) -> Rectangle:
    """Draw the box's line just inside it; the answer is the rectangle it fills, at least as large as its line."""
    line = max(1, round(min(drawn.shape[:2]) / 240))
    left, top = round(box.x), round(box.y)
    right = max(round(box.x + box.width), left + 2 * line)
    bottom = max(round(box.y + box.height), top + 2 * line)
    before, after = line // 2, line - line // 2  # how far a line of this thickness reaches to either side
    cv2.rectangle(drawn, (left + before, top + before), (right - after, bottom - after), colour, line)
    return left, top, right, bottom


@dataclass(frozen=True, slots=True)
class _Text:
    """A line of text with the size it takes in the picture, its margin included, px.

    `letters` are the grey values of text beyond ASCII; None where OpenCV draws it.
    """

    words: str
    scale: float
    line: int
    margin: int
    width: int
    height: int
    letters: np.ndarray | None = None

    @classmethod
    def fitting(cls, words: str, picture: np.ndarray, size: float = 1.0) -> _Text:
        """As large as the picture's shorter side asks for, smaller where it would not fit into its width."""
        if not words.isascii():  # the fonts of OpenCV hold no more and print two question marks for another letter
            words = drawable(words)
        words = words or "?"
        smallest = SMALLEST_SCALE if words.isascii() else SMALLEST_OTHER_SCALE
        scale = size * max(smallest, min(picture.shape[:2]) / 1000)
        text = cls._sized(words, scale)
        if text.width > picture.shape[1]:
            text = cls._sized(words, scale * picture.shape[1] / text.width * 0.98)
        return text

    @classmethod
    def _sized(cls, words: str, scale: float) -> _Text:
        line = max(1, round(1.3 * scale))
        margin = max(2, round(7 * scale))
        if not words.isascii():
            letters = mask(words, round(scale, 3))
            height, width = letters.shape
            return cls(words, scale, line, margin, width + 2 * margin, height + 2 * margin, letters)
        (width, ascent), descent = cv2.getTextSize(words, FONT, scale, line)
        return cls(words, scale, line, margin, width + 2 * margin, ascent + descent + 2 * margin)


def _place(
    text: _Text, outline: Rectangle, faces: list[Rectangle], written: list[Rectangle], picture: np.ndarray
) -> tuple[int, int]:
    """Where the text goes: beside its box, inside the picture, on as little as possible of other labels and faces."""
    left, top, right, bottom = outline
    free_x, free_y = picture.shape[1] - text.width, picture.shape[0] - text.height
    candidates = (
        (left, top - text.height),
        (right - text.width, top - text.height),
        (left, bottom),
        (right - text.width, bottom),
        (right, top),
        (left - text.width, top),
        (left, top),
        (left, bottom - text.height),
    )
    best, least = (0, 0), float("inf")
    for x, y in candidates:
        x, y = max(0, min(x, free_x)), max(0, min(y, free_y))
        area = x, y, x + text.width, y + text.height
        # A covered label can no longer be read, a partly covered face is still seen.
        covered = sum(8 * _shared(area, other) for other in written) + sum(_shared(area, face) for face in faces)
        if covered < least:
            best, least = (x, y), covered
        if covered == 0:
            break
    return best


def _shared(one: Rectangle, other: Rectangle) -> int:
    """The area that two rectangles have in common, px."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return width * height if width > 0 and height > 0 else 0


def _write(drawn: np.ndarray, text: _Text, corner: tuple[int, int], background: Colour) -> Rectangle:
    """Write the text on a plain background, its upper left corner at `corner`; the answer is the area it takes."""
    x, y = corner
    area = x, y, x + text.width, y + text.height
    cv2.rectangle(drawn, (x, y), (area[2] - 1, area[3] - 1), background, cv2.FILLED)
    if text.letters is not None:
        _stamp(drawn, text.letters, (x + text.margin, y + text.margin), background)
        return area
    (_, ascent), _ = cv2.getTextSize(text.words, FONT, text.scale, text.line)
    start = x + text.margin, y + text.margin + ascent
    cv2.putText(drawn, text.words, start, FONT, text.scale, _ink(background), text.line, cv2.LINE_AA)
    return area


def _stamp(drawn: np.ndarray, letters: np.ndarray, corner: tuple[int, int], background: Colour) -> None:
    """Ink the letters, (H, W) uint8, into a plain background from `corner` on; what lies outside is cut off."""
    x, y = corner
    inside = letters[max(-y, 0) : max(drawn.shape[0] - y, 0), max(-x, 0) : max(drawn.shape[1] - x, 0)]
    shares = np.arange(256)[:, None] / 255
    shades = np.rint(shares * _ink(background) + (1 - shares) * background).astype(np.uint8)
    drawn[max(y, 0) :, max(x, 0) :][: inside.shape[0], : inside.shape[1]] = shades[inside]


def _ink(background: Colour) -> Colour:
    """Black or white, whichever reads better on the background (contrast ratio of WCAG 2)."""
    blue, green, red = ((value / 255) ** 2.2 for value in background)
    return BLACK if 0.0722 * blue + 0.7152 * green + 0.2126 * red > 0.18 else WHITE
