"""Varied views of photographs for a detector to learn from: other scales, windows, light, sharpness, masks drawn on.

Beside the photographs there may be crops that a face fills, and things that are no faces to be put in front.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import cv2
import numpy as np

from inference.boxes import area, intersection
from train.data.boxes import longest_sides, no_boxes
from train.data.photo_set import TrainingPhoto
from train.synthesis.augment import compress, relight
from train.synthesis.painted_masks import Worn, paint_mask
from train.synthesis.things import Thing, put_thing

COUNTED_PX = 8.0  # longest side of a face from which on it counts
SMALLEST_PX, LARGE_PX = 12.0, 56.0  # longest side of the smallest face that a view is drawn for, and of a large one
LARGEST_SHARE = 1.1  # of the shorter side of a tile that such a face takes up
LARGE = 0.55  # of the tiles are drawn for a large face: most small ones come along in tiles of others
TRIES = 3  # faces of which the largest is taken then: enlarged ones look otherwise
LARGEST_SCALE = 2.5  # more only makes blurred faces
TILES = ((1, 0.8), (2, 0.16), (3, 0.04))  # tiles along each side of a view, and how often
CLASS_SHARES = {"mask": 0.35, "no_mask": 0.45, "wrong_mask": 0.2}  # of the faces that views are drawn for
BACKGROUND = 0.1  # of the tiles show whatever part of the photograph comes
UNFILLED, LEAST_FILLED = 0.12, 0.4  # so many tiles are not filled by their photograph, but to this share of a side
CROPS, CROPS_UNFILLED = 0.12, 0.35  # of the tiles show a crop that a face fills, where there are some; not filled by it
MISTAKEN = 0.08  # of the tiles are drawn for a place that was mistaken for a face
THINGS, SMALLEST_THING, LARGEST_THING = 0.15, 0.12, 0.9  # of the tiles have one in them, of so much of a shorter side
HIDDEN = 0.5  # share of a face behind a thing from which on it may be missed
BORDERS = (0, 114, 128, 255)  # grey levels beside such a photograph, and beside a turned view
MOST_TURNED = 15.0  # degrees
VISIBLE = 0.5  # share of a face within the window from which on it counts; else it is `unsure`
PAINTED = 0.3  # of the bare faces that views are drawn for
WAYS_WORN: tuple[Worn, ...] = ("well", "under_nose", "on_chin", "off_one_ear", "above_mouth", "on_eyes")
CHANCES_WORN = (0.4, 0.3, 0.16, 0.05, 0.05, 0.04)


@dataclass(slots=True)
class View:
    """What the network sees: (S, S, 3) uint8 BGR, boxes (N, 4) and unsure ones (M, 4), float32 px."""

    image: np.ndarray
    boxes: np.ndarray
    unsure: np.ndarray


class Views:
    """Draws views of photographs; the faces they are drawn for come from the classes by CLASS_SHARES.

    `crops` are pictures that one face fills. `mistaken` are places, number of the photograph and box (4,) px, that were
    taken for faces and are none.
    """

    def __init__(
        self,
        photos: Sequence[TrainingPhoto],
        classes: Sequence[str],
        size: int,
        crops: Sequence[TrainingPhoto] = (),
        things: Sequence[Thing] = (),
    ) -> None:
        self.photos, self.size, self.crops, self.things = photos, size, crops, things
        self.mistaken: Sequence[tuple[int, np.ndarray]] = ()
        faces = [(place, number) for place, photo in enumerate(photos) for number in range(len(photo.boxes))]
        labels = np.concatenate([photo.labels for photo in photos])
        shares = np.array([CLASS_SHARES.get(name, 1 / len(classes)) for name in classes])
        chances = shares[labels] / np.bincount(labels, minlength=len(classes))[labels]
        self._faces, self._chances = np.array(faces), chances / chances.sum()

    def draw(self, rng: np.random.Generator) -> View:
        """One view: a window on a photograph, or a mosaic of such windows."""
        columns, rows = edges(self.size, rng)
        view = View(np.zeros((self.size, self.size, 3), np.uint8), no_boxes(), no_boxes())
        for left, right in pairwise(columns):
            for top, bottom in pairwise(rows):
                tile = self._tile(right - left, bottom - top, rng)
                if self.things and rng.random() < THINGS:
                    tile = with_thing(tile, self.things[int(rng.integers(len(self.things)))], rng)
                view.image[top:bottom, left:right] = tile.image
                moved = np.array([left, top, left, top], np.float32)
                view.boxes = np.concatenate([view.boxes, tile.boxes + moved])
                view.unsure = np.concatenate([view.unsure, tile.unsure + moved])
        return vary(view, rng)

    def _tile(self, width: int, height: int, rng: np.random.Generator) -> View:
        if self.crops and rng.random() < CROPS:
            photo = self.crops[int(rng.integers(len(self.crops)))]
            return window(photo, photo.boxes[0], LARGE_PX, width, height, rng, CROPS_UNFILLED)
        if self.mistaken and rng.random() < MISTAKEN:
            place, box = self.mistaken[int(rng.integers(len(self.mistaken)))]
            return window(self.photos[place], box, SMALLEST_PX, width, height, rng)
        large = rng.random() < LARGE
        drawn = self._faces[rng.choice(len(self._faces), TRIES if large else 1, p=self._chances)]
        place, number = max(drawn, key=lambda face: longest_sides(self.photos[face[0]].boxes[face[1] : face[1] + 1])[0])
        photo = self.photos[place]
        if number in photo.landmarks and rng.random() < PAINTED:
            photo = painted(photo, int(number), rng)
        face = None if rng.random() < BACKGROUND else photo.boxes[number]
        return window(photo, face, LARGE_PX if large else SMALLEST_PX, width, height, rng)


def edges(size: int, rng: np.random.Generator) -> list[list[int]]:
    """Where the columns and the rows of a mosaic begin, and where the last one ends."""
    tiles = int(rng.choice([count for count, _ in TILES], p=[chance for _, chance in TILES]))
    shifts = rng.uniform(-0.2, 0.2, (2, tiles - 1))
    return [[0, *((np.arange(1, tiles) + shift) * size / tiles).astype(int).tolist(), size] for shift in shifts]


def window(
    photo: TrainingPhoto,
    face: np.ndarray | None,
    least_px: float,
    width: int,
    height: int,
    rng: np.random.Generator,
    unfilled: float = UNFILLED,
) -> View:
    """A part of the photograph, scaled to width x height px, with the face (x1, y1, x2, y2) somewhere in it.

    The face is `least_px` and more, unless that takes too large a scale. `unfilled` is how often the photograph may
    leave a border.
    """
    rows, columns = photo.image.shape[:2]
    filled = max(width / columns, height / rows)
    if face is None:
        scale, middle = filled * rng.uniform(1, 2), rng.uniform((0, 0), (columns, rows))
    else:
        longest = float(longest_sides(face[None])[0])
        most_px = LARGEST_SHARE * min(width, height)
        wanted = np.exp(rng.uniform(np.log(min(least_px, most_px / 2)), np.log(most_px)))
        scale, middle = min(wanted / longest, LARGEST_SCALE), (face[:2] + face[2:]) / 2
    scale = max(scale, filled * (rng.uniform(LEAST_FILLED, 1) if rng.random() < unfilled else 1))
    scales = scale * np.exp(rng.uniform(-0.08, 0.08, 2))
    taken = np.array([width, height]) / scales
    start = middle - taken * rng.uniform(0.1, 0.9, 2)
    room = np.array([columns, rows]) - taken
    start = np.where(room > 0, start.clip(0, room.clip(0)), rng.uniform(0, 1, 2) * room)
    return cut(photo, start, scales, width, height, rng)


def cut(
    photo: TrainingPhoto, start: np.ndarray, scales: np.ndarray, width: int, height: int, rng: np.random.Generator
) -> View:
    """The window that begins at `start` px of the photograph, which may be outside it."""
    x0, y0 = np.floor(start.clip(0)).astype(int)
    end = start + np.array([width, height]) / scales
    x1, y1 = np.minimum(np.ceil(end).astype(int), photo.image.shape[1::-1])
    part = photo.image[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]
    size = np.maximum(np.round(np.array(part.shape[1::-1]) * scales), 1).astype(int)
    # linear skips pixels where it shrinks, as the pipeline does; area does not, as other people do
    how = cv2.INTER_AREA if scales[0] < 1 and rng.random() < 0.5 else cv2.INTER_LINEAR
    part = cv2.resize(part, size.tolist(), interpolation=how)
    image = np.full((height, width, 3), rng.choice(BORDERS), np.uint8)
    left, top = np.round((np.array([x0, y0]) - start) * scales).astype(int).clip(0)
    part = part[: height - top, : width - left]
    if part.shape[:2] != (height, width):  # rounding leaves a line; the rest is the border
        short = height - top - part.shape[0], width - left - part.shape[1]
        part = cv2.copyMakeBorder(
            part, 0, short[0] if short[0] <= 2 else 0, 0, short[1] if short[1] <= 2 else 0, cv2.BORDER_REPLICATE
        )
    image[top : top + part.shape[0], left : left + part.shape[1]] = part
    origin = np.array([x0, y0]) - np.array([left, top]) / scales

    def moved(boxes: np.ndarray) -> np.ndarray:
        return ((boxes - np.tile(origin, 2)) * np.tile(scales, 2)).astype(np.float32)

    return clipped(View(image, moved(photo.boxes), moved(photo.unsure)))


def clipped(view: View) -> View:
    """The same view with boxes cut at its edges; faces that are mostly outside, or too small, become `unsure`."""
    height, width = view.image.shape[:2]
    whole = np.array([[0, 0, width, height]], np.float32)
    visible = intersection(view.boxes, whole) / np.maximum(area(view.boxes), 1e-9)
    counts = (visible >= VISIBLE) & (longest_sides(view.boxes) >= COUNTED_PX)
    unsure = np.concatenate([view.unsure, view.boxes[~counts]])
    unsure = unsure[intersection(unsure, whole) > 0]
    limits = np.array([width, height, width, height], np.float32)
    return View(view.image, view.boxes[counts].clip(0, limits), unsure.clip(0, limits))


def with_thing(view: View, thing: Thing, rng: np.random.Generator) -> View:
    """The view with a thing somewhere in it. A face of which it hides half may be missed."""
    height, width = view.image.shape[:2]
    share = np.exp(rng.uniform(np.log(SMALLEST_THING), np.log(LARGEST_THING)))
    middle = (rng.uniform(0, width), rng.uniform(0, height))
    image, opaque = put_thing(view.image, thing, middle, share * min(width, height), rng)
    corners = view.boxes.clip(0, (width, height, width, height)).astype(int)
    parts = (opaque[y1 : max(y2, y1 + 1), x1 : max(x2, x1 + 1)] for x1, y1, x2, y2 in corners)
    hidden = np.array([part.size > 0 and float(part.mean()) / 255 > HIDDEN for part in parts], bool)
    return View(image, view.boxes[~hidden], np.concatenate([view.unsure, view.boxes[hidden]]))


def painted(photo: TrainingPhoto, number: int, rng: np.random.Generator) -> TrainingPhoto:
    """The photograph with a mask drawn on one of its bare faces."""
    x1, y1, x2, y2 = photo.boxes[number]
    reach = 0.5 * float(longest_sides(photo.boxes[number : number + 1])[0])
    left, top = int(max(x1 - reach, 0)), int(max(y1 - reach, 0))
    right, bottom = int(x2 + reach) + 1, int(y2 + reach) + 1
    worn = WAYS_WORN[rng.choice(len(WAYS_WORN), p=CHANCES_WORN)]
    image = photo.image.copy()
    points = photo.landmarks[number] - np.array([left, top], np.float32)
    image[top:bottom, left:right] = paint_mask(image[top:bottom, left:right], points, worn, rng)
    return TrainingPhoto(photo.name, image, photo.boxes, photo.labels, photo.unsure)


def vary(view: View, rng: np.random.Generator) -> View:
    """Mirrored, turned a little, in other light, less sharp, through JPEG: each of them sometimes."""
    size = view.image.shape[0]
    if rng.random() < 0.5:
        view = View(view.image[:, ::-1], mirrored(view.boxes, size), mirrored(view.unsure, size))
    if rng.random() < 0.25:
        view = turned(view, rng.uniform(-MOST_TURNED, MOST_TURNED), int(rng.choice(BORDERS)))
    image = relight(np.ascontiguousarray(view.image), rng)
    kind = rng.random()
    if kind < 0.15:
        image = cv2.GaussianBlur(image, (0, 0), rng.uniform(0.3, 1.6))
    elif kind < 0.25:  # moved while it was taken
        length = int(rng.integers(3, 8))
        image = cv2.blur(image, (length, 1) if rng.random() < 0.7 else (1, length))
    if rng.random() < 0.15:
        noise = rng.normal(0, rng.uniform(2, 14), image.shape[:2])[..., None]  # as light; each colour would cost more
        image = (image + noise).clip(0, 255).astype(np.uint8)
    if rng.random() < 0.3:
        image = compress(image, rng)
    return View(image, view.boxes, view.unsure)


def mirrored(boxes: np.ndarray, width: int) -> np.ndarray:
    return np.stack([width - boxes[:, 2], boxes[:, 1], width - boxes[:, 0], boxes[:, 3]], axis=1)


def turned(view: View, degrees: float, border: int) -> View:
    """The view turned around its middle; boxes keep their size, only their middles move."""
    size = view.image.shape[0]
    turn = cv2.getRotationMatrix2D((size / 2, size / 2), degrees, 1.0)
    image = cv2.warpAffine(view.image, turn, (size, size), flags=cv2.INTER_LINEAR, borderValue=(border,) * 3)

    def moved(boxes: np.ndarray) -> np.ndarray:
        half = (boxes[:, 2:] - boxes[:, :2]) / 2
        middle = (boxes[:, :2] + half) @ turn[:, :2].T + turn[:, 2]
        return np.concatenate([middle - half, middle + half], axis=1).astype(np.float32)

    return clipped(View(image, moved(view.boxes), moved(view.unsure)))
