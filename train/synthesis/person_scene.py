"""A generated scene with truth: persons who walk, stand and are hidden by things and by each other."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import NamedTuple

import cv2
import numpy as np

from capture.film_truth import Seen
from train.synthesis.actors import Actor
from transport.frame import Box

SIZE = (640, 480)  # width, height, px
NOISE = 2.0  # standard deviation of a usual sensor, grey levels
STEPS_PER_S = 1.8  # of somebody who walks: so often the head goes up and down
BOB, SWAY = 0.03, 0.02  # of the face's height: up and down while walking; to and fro while standing
TILT_DEG, LEAN = 3.0, 0.03  # how far heads tilt, and how much larger they become while they lean in

Course = tuple[tuple[float, float], ...]
"""(second, x) of the way: before the first it is where it begins, after the last where it ends."""


class Role(NamedTuple):
    """An actor on its way. `y` is the middle of the face and `face_px` its height, px; who is nearer is drawn later."""

    actor: Actor
    course: Course
    y: float
    face_px: float
    depth: float
    phase: float

    def x(self, time_s: float) -> float:
        """The middle of the face, px."""
        return place_of(self.course, time_s)

    def matrix(self, time_s: float) -> np.ndarray:
        """The 2 x 3 matrix from the actor's picture to the scene's."""
        beat = time_s + self.phase
        walks = abs(self.x(time_s + 0.02) - self.x(time_s - 0.02)) > 0.2
        scale = self.face_px / self.actor.face.height * (1 + LEAN * math.sin(0.8 * beat))
        angle = math.radians(TILT_DEG) * math.sin(1.1 * beat)
        x = self.x(time_s) + SWAY * self.face_px * math.sin(1.7 * beat)
        y = self.y + (BOB * self.face_px * math.sin(2 * math.pi * STEPS_PER_S * beat) if walks else 0.0)
        turn = scale * np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
        face = self.actor.face
        middle = (face.x + face.width / 2, face.y + face.height / 2)
        return np.column_stack([turn, np.array([x, y]) - turn @ middle])

    def face_box(self, time_s: float) -> Box:
        """The face as an annotator would box it."""
        turn = self.matrix(time_s)
        face = self.actor.face
        x, y = turn @ (face.x + face.width / 2, face.y + face.height / 2, 1)
        half_width, half_height = np.hypot(*(turn[:, :2] * (face.width / 2, face.height / 2)).T)
        return Box(float(x - half_width), float(y - half_height), float(2 * half_width), float(2 * half_height))


class Thing(NamedTuple):
    """What hides persons: a pillar, or a board that is carried by. `picture` is (H, W, 3) uint8; `y` is its top, px."""

    picture: np.ndarray
    course: Course
    y: float
    depth: float

    def left(self, time_s: float) -> float:
        return place_of(self.course, time_s) - self.picture.shape[1] / 2


def place_of(course: Course, time_s: float) -> float:
    """Where somebody is on the way, x.

    >>> place_of(((0, 10), (2, 30)), 1.0)
    20.0
    """
    seconds, places = zip(*course, strict=True)
    return float(np.interp(time_s, np.array(seconds, float), np.array(places, float)))


class PersonScene:
    """Pictures of a scene, each with the faces in it. The same scene always gives the same pixels."""

    def __init__(
        self,
        name: str,
        room: np.ndarray,
        roles: tuple[Role, ...],
        things: tuple[Thing, ...],
        seconds: float,
        fps: float = 25.0,
        seed: int = 0,
    ) -> None:
        self.name, self.roles, self.seconds, self.fps = name, roles, seconds, fps
        self._room, self._things = room, things
        rng = np.random.default_rng(seed)
        height, width = room.shape[:2]
        self._noise = rng.normal(0, NOISE, (height + 64, width + 64, 3)).round().astype(np.int16)
        self._offsets = rng.integers(0, 64, (len(self), 2))
        self._light = rng.uniform(0, 2 * math.pi)

    def __len__(self) -> int:
        return round(self.seconds * self.fps)

    def play(self) -> Iterator[tuple[np.ndarray, tuple[Seen, ...]]]:
        """Each picture, (H, W, 3) uint8 BGR, and its faces with the share of each that can be seen."""
        for index in range(len(self)):
            yield self._at(index)

    def _at(self, index: int) -> tuple[np.ndarray, tuple[Seen, ...]]:
        time_s = index / self.fps
        picture = self._room.copy()
        whose = np.zeros(picture.shape[:2], np.uint8)  # 1 + the person whose face it is; 255: what is in front of faces
        parts: list[tuple[int, Role | Thing]] = [*enumerate(self.roles), *((-1, thing) for thing in self._things)]
        for number, part in sorted(parts, key=lambda one: one[1].depth):
            if isinstance(part, Thing):
                put(picture, whose, part, time_s)
            else:
                draw(picture, whose, part, number, time_s)
        faces = []
        for number, role in enumerate(self.roles):
            box = role.face_box(time_s)
            area = math.pi / 4 * box.width * box.height
            visible = min(1.0, float(np.count_nonzero(whose == number + 1)) / area)
            if visible > 0:
                faces.append(Seen(box, role.actor.label, number, round(visible, 3)))
        height, width = picture.shape[:2]
        y, x = self._offsets[index]
        light = 1 + 0.05 * math.sin(0.7 * time_s + self._light)
        lit = cv2.convertScaleAbs(picture, alpha=light).astype(np.int16) + self._noise[y : y + height, x : x + width]
        return np.clip(lit, 0, 255).astype(np.uint8), tuple(faces)


def put(picture: np.ndarray, whose: np.ndarray, thing: Thing, time_s: float) -> None:
    """Put a thing into a picture, and what it hides out of `whose` (H, W) uint8."""
    height, width = picture.shape[:2]
    left, top = round(thing.left(time_s)), round(thing.y)
    x0, x1 = max(0, left), min(width, left + thing.picture.shape[1])
    y0, y1 = max(0, top), min(height, top + thing.picture.shape[0])
    if x1 > x0 and y1 > y0:
        picture[y0:y1, x0:x1] = thing.picture[y0 - top : y1 - top, x0 - left : x1 - left]
        whose[y0:y1, x0:x1] = 255


def draw(picture: np.ndarray, whose: np.ndarray, role: Role, number: int, time_s: float) -> None:
    """Draw a person into a picture, and note the pixels of the face in `whose` (H, W) uint8."""
    actor, matrix = role.actor, role.matrix(time_s)
    height, width = actor.picture.shape[:2]
    corners = matrix @ np.array([(0, width, 0, width), (0, 0, height, height), (1, 1, 1, 1)])
    x0, y0 = np.maximum(np.floor(corners.min(axis=1)).astype(int), 0)
    x1, y1 = np.minimum(np.ceil(corners.max(axis=1)).astype(int), (picture.shape[1], picture.shape[0]))
    if x1 <= x0 or y1 <= y0:
        return  # out of the picture
    moved = matrix - ((0, 0, x0), (0, 0, y0))
    size = (int(x1 - x0), int(y1 - y0))
    body = cv2.warpAffine(actor.picture, moved, size, borderMode=cv2.BORDER_REPLICATE)
    alpha = cv2.warpAffine(actor.alpha, moved, size)
    here, share = picture[y0:y1, x0:x1], alpha[..., None].astype(np.float32) / 255
    here[:] = (here + share * (body.astype(np.float32) - here)).astype(np.uint8)
    part = whose[y0:y1, x0:x1]
    part[alpha > 127] = 255
    face = role.face_box(time_s)
    middle = (round(face.x + face.width / 2 - x0), round(face.y + face.height / 2 - y0))
    oval = np.zeros_like(part)
    cv2.ellipse(oval, middle, (round(face.width / 2), round(face.height / 2)), 0, 0, 360, 1, -1)
    part[(oval > 0)] = number + 1
