"""Persons cut out of pictures, to be moved through scenes, and rooms without persons for them to move in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from capture.demo import FACE, LABELS, Person, dress, paint_room, read_asset
from train.data.photos import read_photos
from transport.frame import Box

LEAST_PX = 56  # of a face's shorter side in a photograph: in scenes it is drawn about as large
BESIDE, ABOVE, BELOW = 0.6, 0.3, 0.9  # of the face box, on each side: what is cut out around it
LEAST_INSIDE = 0.85  # of what is to be cut out must be in the photograph
BLURRED = 0.5  # of a face box, on each side, that is blurred with it where a photograph becomes a room


class Actor(NamedTuple):
    """One person: `picture` (H, W, 3) uint8 BGR, `alpha` (H, W) uint8, the face in it, px, and how its mask is worn."""

    name: str
    picture: np.ndarray
    alpha: np.ndarray
    face: Box
    label: str


_DRESSED = (  # how the portrait is worn: mask, cloth, mirrored, the suit's hue, gains of blue, green and red
    ("no mask", "blue", False, 0, (1.0, 1.0, 1.0)),
    ("over the nose", "blue", True, 100, (0.92, 0.9, 0.88)),
    ("no mask", "white", True, 60, (0.7, 0.74, 0.8)),
    ("over the nose", "pink", False, 140, (1.06, 1.02, 1.0)),
    ("under the nose", "white", False, 30, (0.84, 0.86, 0.92)),
    ("over the nose", "green", True, 80, (0.78, 0.8, 0.84)),
)


def portrait_actors() -> list[Actor]:
    """Six persons made of the demo's portrait: other masks, suits and skins, every other one in the mirror."""
    portrait = read_asset("demo_face.jpg", cv2.IMREAD_COLOR)
    alpha = read_asset("demo_face_alpha.png", cv2.IMREAD_GRAYSCALE)
    actors: list[Actor] = []
    for worn, cloth, mirrored, hue, gains in _DRESSED:
        person = Person(0, 1, 0, 0, 1, cloth, ((0, worn),), suit_hue=hue)
        toned = np.clip(dress(portrait, person, worn) * np.array(gains), 0, 255).astype(np.uint8)
        face, own_alpha = FACE, alpha
        if mirrored:
            toned, own_alpha = cv2.flip(toned, 1), cv2.flip(alpha, 1)
            face = Box(portrait.shape[1] - FACE.x - FACE.width, FACE.y, FACE.width, FACE.height)
        actors.append(Actor(f"portrait {len(actors)}", toned, own_alpha, face, LABELS[worn]))
    return actors


def photographed_actors(folder: Path) -> Iterator[Actor]:
    """The annotated persons of a COCO folder whose faces are large enough and alone, head and shoulders."""
    for photo in read_photos(folder):
        boxes = [box for box, _ in photo.faces]
        for place, (box, label) in enumerate(photo.faces):
            around = surroundings(box)
            alone = all(share_of(other, around) < 0.05 for other in boxes if other is not box)
            height, width = photo.image.shape[:2]
            inside = share_of(around, Box(0, 0, width, height)) >= LEAST_INSIDE
            if alone and inside and min(box.width, box.height) >= LEAST_PX:
                yield cut_out(f"{photo.name} {place}", photo.image, box, label)


def surroundings(face: Box) -> Box:
    """What is cut out with a face: hair, shoulders, and a little of what is beside them."""
    return Box(
        face.x - BESIDE * face.width,
        face.y - ABOVE * face.height,
        (1 + 2 * BESIDE) * face.width,
        (1 + ABOVE + BELOW) * face.height,
    )


def share_of(box: Box, other: Box) -> float:
    """The share of a box that lies in another one.

    >>> share_of(Box(0, 0, 10, 10), Box(5, 0, 10, 10))
    0.5
    """
    width = min(box.x + box.width, other.x + other.width) - max(box.x, other.x)
    height = min(box.y + box.height, other.y + other.height) - max(box.y, other.y)
    return max(width, 0) * max(height, 0) / (box.width * box.height)


def cut_out(name: str, image: np.ndarray, face: Box, label: str) -> Actor:
    """A person from a photograph (H, W, 3) uint8: an ellipse around the head, shoulders below it, with soft edges."""
    height, width = image.shape[:2]
    around = surroundings(face)
    x0, y0 = max(0, round(around.x)), max(0, round(around.y))
    x1, y1 = min(width, round(around.x + around.width)), min(height, round(around.y + around.height))
    picture = image[y0:y1, x0:x1].copy()
    inner = Box(face.x - x0, face.y - y0, face.width, face.height)
    middle, top = inner.x + inner.width / 2, inner.y + 0.42 * inner.height
    alpha = np.zeros(picture.shape[:2], np.uint8)
    axes = (round(0.64 * inner.width), round(0.68 * inner.height))
    cv2.ellipse(alpha, (round(middle), round(top)), axes, 0, 0, 360, 255, -1)
    neck, shoulder, chin = 0.36 * inner.width, 0.98 * inner.width, inner.y + inner.height
    body = [
        (middle - neck, chin - 0.15 * inner.height),
        (middle + neck, chin - 0.15 * inner.height),
        (middle + shoulder, chin + 0.4 * inner.height),
        (middle + shoulder, picture.shape[0]),
        (middle - shoulder, picture.shape[0]),
        (middle - shoulder, chin + 0.4 * inner.height),
    ]
    cv2.fillPoly(alpha, [np.round(body).astype(np.int32)], 255)
    return Actor(name, picture, cv2.GaussianBlur(alpha, (0, 0), 0.025 * inner.width), inner, label)


def rooms(folder: Path | None, size: tuple[int, int]) -> Iterator[np.ndarray]:
    """Backgrounds (H, W, 3) uint8 of that size (width, height): photographs with blurred faces, or the demo's room."""
    if folder is None:
        yield cv2.resize(paint_room(), size)
        return
    for photo in read_photos(folder):
        yield filled(without_faces(photo.image, [box for box, _ in photo.faces]), size)


def without_faces(image: np.ndarray, faces: Sequence[Box]) -> np.ndarray:
    """A picture whose faces are blurred away."""
    height, width = image.shape[:2]
    out = image.copy()
    for box in faces:
        x0, x1 = round(box.x - BLURRED * box.width), round(box.x + (1 + BLURRED) * box.width)
        y0, y1 = round(box.y - BLURRED * box.height), round(box.y + (1 + BLURRED) * box.height)
        part = out[max(0, y0) : min(height, y1), max(0, x0) : min(width, x1)]
        if part.size:
            few = cv2.resize(part, (2, 2), interpolation=cv2.INTER_AREA)
            part[:] = cv2.resize(few, part.shape[1::-1], interpolation=cv2.INTER_LINEAR)
    return out


def filled(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """The middle of a picture, as large as it fits into that size (width, height)."""
    height, width = image.shape[:2]
    scale = max(size[0] / width, size[1] / height)
    large = cv2.resize(image, (max(size[0], round(width * scale)), max(size[1], round(height * scale))))
    x, y = (large.shape[1] - size[0]) // 2, (large.shape[0] - size[1]) // 2
    return large[y : y + size[1], x : x + size[0]].copy()
