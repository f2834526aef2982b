"""What is on or near faces and is no mask: glasses, beards, scarves, hoods, turbans, hands and heads in front.

The label of the face stays the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from train.synthesis.landmarks import face_axes, fixed_point, to_px
from train.synthesis.painted_masks import stretch
from train.synthesis.things import Thing, put_thing


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
    return _clothed(crop, to_px(outline, landmarks), fabrics, rng)


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


def put_beard(crop: np.ndarray, landmarks: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A copy of the crop with a beard around the mouth, from stubble to one that covers the neck's upper end."""
    _, _, turned = face_axes(landmarks)
    top, whiskers = rng.uniform(0.45, 0.95), rng.uniform(0.7, 0.95)
    bottom = rng.uniform(1.7, 1.9) + max(0.0, rng.normal(0, 0.25))
    lip = rng.uniform(0.72, 0.84)
    half = [(1.02, top), (1.0, 1.25), (0.68, 1.62), (0.3, bottom)]
    inner = [(whiskers, top), (0.55 * whiskers, rng.uniform(0.85, 1.15)), (0.2, lip)]  # cheek, corner, moustache
    hair = _mirrored_shape(crop, landmarks, [*half, (0.0, bottom + 0.05)], inner, turned)
    mouth = to_px(np.array([(0.8 * turned, 1.0)]), landmarks)[0]
    across, down, _ = face_axes(landmarks)
    if rng.random() < 0.85:  # the lips are seen
        axes = (
            max(1, round(float(np.linalg.norm(across)) * rng.uniform(0.22, 0.34))),
            max(1, round(float(np.linalg.norm(down)) * rng.uniform(0.05, 0.13))),
        )
        tilt = float(np.degrees(np.arctan2(across[1], across[0])))
        cv2.ellipse(hair, mouth.round().astype(int).tolist(), axes, tilt, 0, 360, 0, -1, cv2.LINE_AA)
    soft = float(np.linalg.norm(across)) * rng.uniform(0.03, 0.1)
    hair = cv2.GaussianBlur(hair, (0, 0), soft + 0.3)
    grey = rng.random() < 0.25
    colour = np.full(3, rng.uniform(90, 210)) if grey else rng.uniform(8, 45) * np.array([0.8, 1.0, rng.uniform(1, 2)])
    noise = rng.normal(0, 1, crop.shape[:2]).astype(np.float32)
    strands = cv2.GaussianBlur(noise, (0, 0), 0.4 + soft * 0.15, sigmaY=0.6 + soft * 0.5)
    contrast = rng.uniform(0.1, 0.4) / max(float(strands.std()), 1e-6)
    texture = colour * (1 + contrast * strands[..., None])
    return cover(crop, texture.clip(0, 255), hair, rng.uniform(0.45, 0.95))


def put_scarf(
    crop: np.ndarray, landmarks: np.ndarray, fabrics: Sequence[np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    """A copy of the crop with a scarf or gaiter around the neck, up to the chin, below the mouth."""
    top = rng.uniform(1.4, 1.75)
    outline = [(1.3, top - rng.uniform(0.1, 0.5)), (0.8, top), (0.0, top + rng.uniform(0.0, 0.2))]
    points = [*outline, *((-x, y) for x, y in reversed(outline[:-1])), (-1.5, 4.0), (1.5, 4.0)]
    return _clothed(crop, to_px(np.array(points), landmarks), fabrics, rng)


def put_head_cloth(
    crop: np.ndarray, landmarks: np.ndarray, fabrics: Sequence[np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    """A copy of the crop with a turban or cap above the brows, or a hood or veil all around the face."""
    _, _, turned = face_axes(landmarks)
    brow, side = rng.uniform(-0.85, -0.45), rng.uniform(1.15, 1.4)
    middle = 0.5 * turned
    if rng.random() < 0.5:
        points = [(middle + 1.25, brow + 0.15), (middle, brow - 0.15), (middle - 1.25, brow + 0.15)]
        points += [(-1.9, -1.2), (-1.4, -3.0), (1.4, -3.0), (1.9, -1.2)]
        return _clothed(crop, to_px(np.array(points), landmarks), fabrics, rng)
    angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    low, high = rng.uniform(1.75, 2.1), brow
    opening = np.column_stack([
        middle + side * np.cos(angles) * rng.uniform(0.9, 1.0),
        (low + high) / 2 + (low - high) / 2 * np.sin(angles),
    ])  # fmt: skip
    cloth: np.ndarray = np.zeros(crop.shape[:2], np.uint8)
    around = np.array([(-2.2, -2.6), (2.2, -2.6), (2.6, 4.5), (-2.6, 4.5)])
    cv2.fillPoly(cloth, fixed_point(to_px(around, landmarks)), 255, cv2.LINE_AA, shift=4)
    cv2.fillPoly(cloth, fixed_point(to_px(opening, landmarks)), 0, cv2.LINE_AA, shift=4)
    return cover(crop, _cloth_colour(crop, to_px(around, landmarks), fabrics, rng), cloth, 1.0)


def put_thing_in_front(
    crop: np.ndarray, landmarks: np.ndarray, things: Sequence[Thing], rng: np.random.Generator
) -> np.ndarray:
    """A copy of the crop with a hand, a cup, a phone or food before mouth and chin, or beside them."""
    across, _, _ = face_axes(landmarks)
    middle = to_px(np.array([(rng.uniform(-1.2, 1.2), rng.uniform(0.9, 1.9))]), landmarks)[0]
    longest_px = float(np.linalg.norm(across)) * rng.uniform(0.9, 2.4)
    thing = things[int(rng.integers(len(things)))]
    return put_thing(crop, thing, (float(middle[0]), float(middle[1])), longest_px, rng)[0]


def _mirrored_shape(
    crop: np.ndarray,
    landmarks: np.ndarray,
    outer: Sequence[tuple[float, float]],
    inner: Sequence[tuple[float, float]],
    turned: float,
) -> np.ndarray:
    """(H, W) uint8, 255 between an outer and an inner line; both are of the half of a face, in face units."""
    middle = 0.8 * turned
    right, left = max(1 - 1.1 * turned, 0.2), max(1 + 1.1 * turned, 0.2)
    points = [(middle + right * x, y) for x, y in outer] + [(middle - left * x, y) for x, y in reversed(outer)]
    points += [(middle - left * x, y) for x, y in inner] + [(middle + right * x, y) for x, y in reversed(inner)]
    shape: np.ndarray = np.zeros(crop.shape[:2], np.uint8)
    cv2.fillPoly(shape, fixed_point(to_px(np.array(points), landmarks)), 255, cv2.LINE_AA, shift=4)
    return shape


def _clothed(
    crop: np.ndarray, points: np.ndarray, fabrics: Sequence[np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    cloth: np.ndarray = np.zeros(crop.shape[:2], np.uint8)
    cv2.fillPoly(cloth, fixed_point(points), 255, cv2.LINE_AA, shift=4)
    return cover(crop, _cloth_colour(crop, points, fabrics, rng), cloth, 1.0)


def _cloth_colour(
    crop: np.ndarray, points: np.ndarray, fabrics: Sequence[np.ndarray], rng: np.random.Generator
) -> np.ndarray:
    """(3,), or (H, W, 3) of real fabric."""
    if len(fabrics) and rng.random() < 0.6:
        return stretch(fabrics[int(rng.integers(len(fabrics)))], points, crop.shape, rng)
    return rng.uniform(10, 250, 3)


def cover(crop: np.ndarray, colour: np.ndarray, shape: np.ndarray, share: float) -> np.ndarray:
    """The crop under a colour (3,) or picture (H, W, 3) where the shape (H, W) uint8 is 255; `share` of it is seen."""
    weight = shape[..., None] * np.float32(share / 255)
    return (crop * (1 - weight) + colour * weight).astype(np.uint8)
