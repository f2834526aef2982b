"""The embedded demo: persons who put masks on and take them off, drawn from one portrait, with the truth.

The portrait (`demo_face.jpg`, its outline in `demo_face_alpha.png`) shows the astronaut Eileen Collins.
It is a NASA photograph (NASA Great Images, https://flic.kr/p/r9qvLn), in the public domain with no known
copyright restrictions, cut out from the copy that scikit-image ships as `data/astronaut.png`.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from capture.demo_masks import paint_mask
from transport.frame import Box

WIDTH, HEIGHT, FPS, SECONDS = 640, 480, 25.0, 20

# In the portrait, from the fringe that hides the forehead to the chin, from cheek to cheek. Two detectors that learnt
# from annotated faces, YuNet (its boxes mapped) and maskface, agree on it within 4 %.
FACE = Box(154, 70, 92, 100)
CENTRE = (200.0, 114.5)  # of the head, in the portrait: what stands where a person is, and what it turns about
LABELS = {
    "no mask": "no_mask",
    "over the nose": "mask",
    "under the nose": "wrong_mask",
    "on the chin": "wrong_mask",
}


class Person(NamedTuple):
    """One actor: when it is in the picture, where it stands and sways, and how it wears its mask from when on."""

    from_s: float
    until_s: float
    x: float  # centre of the head, px of the picture
    y: float
    size: float  # 1: as large as in the portrait, a face of 92 x 100 px
    cloth: str
    worn: tuple[tuple[float, str], ...]  # (from second, how)
    mirrored: bool = False
    suit_hue: int = 0  # turns the orange of the suit, in OpenCV's half degrees
    phase: float = 0.0  # so that they don't sway in step
    walk: tuple[tuple[float, float], ...] = ()  # (second, x): where it walks, instead of standing at x


CAST = (
    # one, near
    Person(0, 6, 320, 215, 1.55, "blue", ((0, "no mask"), (2, "over the nose"), (4, "under the nose"))),
    # two
    Person(6, 13, 185, 240, 1.30, "white", ((6, "over the nose"), (9.5, "no mask")), phase=1.0),
    Person(6, 13, 455, 248, 1.25, "blue", ((6, "no mask"), (8, "under the nose"), (11, "over the nose")),
           mirrored=True, suit_hue=100, phase=2.6),
    # three
    Person(13, 20, 112, 281, 1.09, "pink", ((13, "over the nose"), (16.5, "under the nose")),
           mirrored=True, suit_hue=60, phase=0.4),
    Person(13, 20, 528, 281, 1.09, "blue", ((13, "no mask"), (15, "over the nose"), (18, "on the chin")),
           mirrored=True, suit_hue=100, phase=3.3),
    Person(13, 20, 322, 257, 1.21, "green", ((13, "under the nose"), (16, "no mask"), (18.5, "over the nose")),
           phase=1.9),
)  # fmt: skip


class DemoScene:
    """The demo as a film: any picture of it, in any order, and what is to be seen there.

    The same index always gives the same pixels. Another cast plays another film; its places are those of a picture of
    640 x 480, whatever the size (width, height) in px.

    >>> scene = DemoScene()
    >>> len(scene), scene.fps, scene.picture(0).shape
    (500, 25.0, (480, 640, 3))
    >>> [label for _, label in scene.truth(0)]
    ['no_mask']
    """

    def __init__(
        self,
        cast: tuple[Person, ...] = CAST,
        size: tuple[int, int] = (WIDTH, HEIGHT),
        fps: float = FPS,
        seconds: float = SECONDS,
    ) -> None:
        self.cast, self.size, self.fps, self.seconds = cast, size, fps, seconds
        self._portrait = read_asset("demo_face.jpg", cv2.IMREAD_COLOR)
        alpha = read_asset("demo_face_alpha.png", cv2.IMREAD_GRAYSCALE)
        self._empty_room = paint_room() if size == (WIDTH, HEIGHT) else cv2.resize(paint_room(), size)
        self._clear, self._opaque = cv2.merge([255 - alpha] * 3), cv2.merge([alpha] * 3)
        self._looks: dict[tuple[Person, str], np.ndarray] = {}
        appearances = sorted(
            (max(from_s, person.from_s), person, worn) for person in cast for from_s, worn in person.worn
        )
        self._to_come = [(person, worn) for _, person, worn in reversed(appearances)]

    def __len__(self) -> int:
        return round(self.seconds * self.fps)

    def picture(self, index: int, out: np.ndarray | None = None) -> np.ndarray:
        """Frame `index` as (height, width, 3) uint8 BGR, drawn into `out` if given. Raises IndexError past the end."""
        picture = np.empty_like(self._empty_room) if out is None else out
        np.copyto(picture, self._empty_room)
        time_s = self._time_s(index)
        for person, worn in on_stage(self.cast, time_s):
            self._draw(picture, self._look(person, worn), self._placed(person, time_s))
        cv2.convertScaleAbs(picture, picture, alpha=daylight(time_s))
        if (
            self._to_come
        ):  # one with each picture, 20 ms: all at once the first picture waited 0.3 s, or one of a change
            self._look(*self._to_come.pop())
        return picture

    def _look(self, person: Person, worn: str) -> np.ndarray:
        """The portrait as the person, cut out; it is made once."""
        if (person, worn) not in self._looks:
            dressed = dress(self._portrait, person, worn)
            self._looks[person, worn] = cv2.multiply(dressed, self._opaque, scale=1 / 255)
        return self._looks[person, worn]

    def truth(self, index: int) -> tuple[tuple[Box, str], ...]:
        """The faces of frame `index` as an annotator would box them, with `mask`, `no_mask` or `wrong_mask`."""
        time_s = self._time_s(index)
        present = on_stage(self.cast, time_s)
        return tuple((face_box(self._placed(person, time_s)), LABELS[worn]) for person, worn in present)

    def _time_s(self, index: int) -> float:
        if not 0 <= index < len(self):
            raise IndexError(f"the film has frames 0 to {len(self) - 1}, not {index}")
        return index / self.fps

    def _placed(self, person: Person, time_s: float) -> np.ndarray:
        """As `placed`, in a picture of this size: wider places, faces as large as the height allows."""
        zoom = self.size[1] / HEIGHT
        matrix = zoom * placed(person, time_s)
        matrix[0, 2] += (self.size[0] / WIDTH / zoom - 1) * (matrix[0] @ (*CENTRE, 1))
        return matrix

    def _draw(self, picture: np.ndarray, look: np.ndarray, matrix: np.ndarray) -> None:
        """Blend a person in. Only the part of the picture that it can touch is worked on."""
        height, width = look.shape[:2]
        corners = matrix @ np.array([(0, width, 0, width), (0, 0, height, height), (1, 1, 1, 1)])
        x0, y0 = np.maximum(np.floor(corners.min(axis=1)).astype(int), 0)
        x1, y1 = np.minimum(np.ceil(corners.max(axis=1)).astype(int), self.size)
        if x1 <= x0 or y1 <= y0:
            return  # it is out of the picture
        here = picture[y0:y1, x0:x1]
        size = (int(x1 - x0), int(y1 - y0))
        moved = matrix - ((0, 0, x0), (0, 0, y0))
        body = cv2.warpAffine(look, moved, size)
        clear = cv2.warpAffine(self._clear, moved, size, borderValue=(255, 255, 255))
        cv2.multiply(here, clear, here, scale=1 / 255)
        cv2.add(here, body, here)


def read_asset(name: str, flags: int) -> np.ndarray:
    """A picture that lies beside this file."""
    image = cv2.imread(str(Path(__file__).parent / name), flags)
    assert image is not None, f"{name} is not installed beside {__file__}"
    return image


def paint_room() -> np.ndarray:
    """An empty room, out of focus: a wall, a window, a picture, a shelf with books."""
    room = np.empty((HEIGHT, WIDTH, 3), np.float32)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    fall_off = 1.0 - 0.25 * (columns / WIDTH) - 0.2 * (rows / HEIGHT)
    room[:] = fall_off[..., None] * np.array((172, 186, 190), np.float32)
    cv2.rectangle(room, (40, 30), (200, 190), (225, 222, 214), -1)  # window
    cv2.rectangle(room, (48, 38), (192, 182), (246, 226, 200), -1)
    cv2.line(room, (120, 38), (120, 182), (225, 222, 214), 6)
    cv2.rectangle(room, (430, 60), (520, 130), (70, 88, 104), -1)  # picture on the wall
    cv2.rectangle(room, (438, 68), (512, 122), (150, 148, 120), -1)
    cv2.rectangle(room, (0, 330), (WIDTH, HEIGHT), (96, 110, 124), -1)  # sideboard
    for number, x in enumerate(range(560, 632, 12)):
        colour = ((90, 110, 150), (120, 130, 90), (140, 120, 110))[number % 3]
        cv2.rectangle(room, (x, 258 + 6 * (number % 3)), (x + 10, 330), colour, -1)
    return cv2.GaussianBlur(np.clip(room, 0, 255).astype(np.uint8), (0, 0), 4)


def dress(portrait: np.ndarray, person: Person, worn: str) -> np.ndarray:
    """The portrait in the person's suit and with its mask on as `worn`."""
    dressed = portrait if worn == "no mask" else paint_mask(portrait, worn, person.cloth)
    hue, saturation, value = cv2.split(cv2.cvtColor(dressed, cv2.COLOR_BGR2HSV))
    suit = (hue < 18) & (saturation > 120) & (value > 60)
    suit[:189] = False  # of the rows above: lips and skin are orange too
    hue = np.where(suit, (hue + person.suit_hue) % 180, hue).astype(np.uint8)
    return cv2.cvtColor(cv2.merge([hue, saturation, value]), cv2.COLOR_HSV2BGR)


def on_stage(cast: tuple[Person, ...], time_s: float) -> list[tuple[Person, str]]:
    """Who is in the picture, and how each wears its mask."""
    present = [person for person in cast if person.from_s <= time_s < person.until_s]
    return [(person, [worn for from_s, worn in person.worn if from_s <= time_s][-1]) for person in present]


def placed(person: Person, time_s: float) -> np.ndarray:
    """The 2 x 3 matrix from the portrait to the picture: swaying about, leaning in and back, tilting the head."""
    beat = time_s + person.phase
    size = person.size * (1 + 0.06 * math.sin(0.9 * beat))
    angle = math.radians(3) * math.sin(1.3 * beat)
    x = person.x + 16 * math.sin(0.7 * beat)
    if person.walk:
        seconds, places = zip(*person.walk, strict=True)
        x += float(np.interp(time_s, seconds, places)) - person.x
    y = person.y + 8 * math.sin(1.1 * beat)
    cos, sin = size * math.cos(angle), size * math.sin(angle)
    turn = np.array([[-cos, -sin], [-sin, cos]] if person.mirrored else [[cos, -sin], [sin, cos]])
    return np.column_stack([turn, np.array([x, y]) - turn @ CENTRE])


def face_box(matrix: np.ndarray) -> Box:
    """The box around the face, taken as an ellipse, after the matrix has moved it."""
    turn = matrix[:, :2]
    x, y = turn @ (FACE.x + FACE.width / 2, FACE.y + FACE.height / 2) + matrix[:, 2]
    half_width, half_height = np.hypot(*(turn * (FACE.width / 2, FACE.height / 2)).T)
    return Box(float(x - half_width), float(y - half_height), float(2 * half_width), float(2 * half_height))


def daylight(time_s: float) -> float:
    """How bright the picture is: clouds pass."""
    return 0.85 + 0.2 * math.sin(0.8 * time_s)
