"""What is on or near faces and is no mask: glasses, collars, hands and heads in front. The label stays the same."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from train.synthesis.landmarks import face_axes, fixed_point, to_px
from train.synthesis.painted_masks import stretch


def put_glasses(crop: np.ndarray, landmarks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A copy of the crop (H, W, 3) uint8 BGR with glasses of some colour, dark or clear, or with goggles."""
    _, _, turned = face_axes(landmarks)
    eyes = landmarks[:2]
    distance = float(np.linalg.norm(eyes[1] - eyes[0]))
    angle = float(np.degrees(np.arctan2(*(eyes[1] - eyes[0])[::-1])))
    colour = np.full(3, rng.uniform(0, 60)) if rng.random() < 0.6 else rng.uniform(0, 255, 3)
    glass: np.ndarray = np.zeros(crop.shape[:2], np.uint8)
    if rng.random() < 0.3:  # goggles, or a mask for the eyes
        right, left = 1.0 - 1.2 * turned, 1.0 + 1.2 * turned
        top, bottom = rng.uniform(-0.45, -0.25), rng.uniform(0.25, 0.45)
        half = [(0.0, top), (0.8, top), (1.0, 0.0), (0.7, bottom), (0.15, bottom * rng.uniform(0.3, 0.9))]
        outline = [(0.8 * turned + right * x, y) for x, y in half]
        outline += [(0.8 * turned - left * x, y) for x, y in reversed(half[1:])]
        cv2.fillPoly(glass, fixed_point(to_px(np.array(outline), landmarks)), 255, cv2.LINE_AA, shift=4)
        if rng.random() < 0.6:  # with holes
            for x, y in eyes:
                axes = (max(1, round(0.24 * distance)), max(1, round(0.14 * distance)))
                cv2.ellipse(glass, (round(float(x)), round(float(y))), axes, angle, 0, 360, 0, -1, cv2.LINE_AA)
    else:
        axes = (max(1, round(rng.uniform(0.3, 0.42) * distance)), max(1, round(rng.uniform(0.22, 0.38) * distance)))
        width = max(1, round(rng.uniform(0.03, 0.08) * distance))
        filling = -1 if rng.random() < 0.6 else width
        for x, y in eyes:
            middle = (round(float(x)), round(float(y) + 0.06 * distance))
            cv2.ellipse(glass, middle, axes, angle, 0, 360, 255, filling, cv2.LINE_AA)
        cv2.polylines(glass, fixed_point(eyes), False, 255, width, cv2.LINE_AA, shift=4)
    return cover(crop, colour, glass, rng.uniform(0.6, 1.0))


def put_collar(
    crop: np.ndarray, landmarks: np.ndarray, fabrics: Sequence[np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    """A copy of the crop with cloth from below the chin down."""
    top, dip = rng.uniform(1.85, 2.1), rng.uniform(0.0, 0.3)
    sides = rng.uniform(1.3, 1.9, 2)
    outline = np.array(
        [(-2.5, sides[0]), (-0.9, sides[0]), (0, top + dip), (0.9, sides[1]), (2.5, sides[1]), (2.5, 4), (-2.5, 4)]
    )
    points = to_px(outline, landmarks)
    cloth: np.ndarray = np.zeros(crop.shape[:2], np.uint8)
    cv2.fillPoly(cloth, fixed_point(points), 255, cv2.LINE_AA, shift=4)
    colour = rng.uniform(10, 250, 3)
    if len(fabrics) and rng.random() < 0.5:
        colour = stretch(fabrics[int(rng.integers(len(fabrics)))], points, crop.shape, rng)
    return cover(crop, colour, cloth, 1.0)


def put_in_front(crop: np.ndarray, other: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A copy of the crop with a piece of another picture over its lower part: a hand, a head, a cup, a microphone."""
    height, width = crop.shape[:2]
    size = rng.uniform(0.15, 0.5, 2) * (width, height)
    middle = rng.uniform((0.1, 0.62), (0.9, 1.05)) * (width, height)
    shape: np.ndarray = np.zeros((height, width), np.uint8)
    axes = tuple(np.maximum(size / 2, 1).round().astype(int).tolist())
    cv2.ellipse(shape, middle.round().astype(int).tolist(), axes, rng.uniform(0, 180), 0, 360, 255, -1, cv2.LINE_AA)
    zoom = rng.uniform(1.0, 3.0)
    across, down = (max(2, round(side / zoom)) for side in other.shape[1::-1])
    x, y = int(rng.integers(other.shape[1] - across + 1)), int(rng.integers(other.shape[0] - down + 1))
    piece = cv2.resize(other[y : y + down, x : x + across], (width, height), interpolation=cv2.INTER_LINEAR)
    return cover(crop, piece, shape, 1.0)


def cover(crop: np.ndarray, colour: np.ndarray, shape: np.ndarray, share: float) -> np.ndarray:
    """The crop under a colour (3,) or picture (H, W, 3) where the shape (H, W) uint8 is 255; `share` of it is seen."""
    weight = shape[..., None] * np.float32(share / 255)
    return (crop * (1 - weight) + colour * weight).astype(np.uint8)
