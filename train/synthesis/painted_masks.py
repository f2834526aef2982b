"""Masks drawn on bare faces, worn well or badly: more examples of the rare class `wrong_mask`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import cv2
import numpy as np

from train.synthesis.landmarks import face_axes, fixed_point, to_px

Worn = Literal["well", "under_nose", "on_chin", "off_one_ear", "above_mouth", "on_eyes"]

FABRICS_BGR = ((230, 205, 160), (245, 240, 235), (35, 32, 30), (120, 120, 125), (150, 110, 60), (90, 60, 160))


def cut_fabric(crop: np.ndarray, landmarks: np.ndarray) -> np.ndarray:
    """A piece (48, 64, 3) uint8 BGR of the mask that a masked face wears: real cloth, folds and light."""
    corners = to_px(np.array([(-0.6, 0.6), (0.6, 0.6), (-0.6, 1.35)]), landmarks).astype(np.float32)
    place = np.array([(0, 0), (64, 0), (0, 48)], np.float32)
    return cv2.warpAffine(crop, cv2.getAffineTransform(corners, place), (64, 48), borderMode=cv2.BORDER_REPLICATE)


def paint_mask(
    crop: np.ndarray,
    landmarks: np.ndarray,
    worn: Worn,
    rng: np.random.Generator,
    fabrics: Sequence[np.ndarray] = (),
) -> np.ndarray:
    """A copy of the crop (H, W, 3) uint8 BGR with a mask of random cut, fabric and folds on the face.

    Every other mask is made of one of the `fabrics` (cut_fabric), if there are any.
    """
    across, _, _ = face_axes(landmarks)
    outline, *strings = (to_px(points, landmarks) for points in mask_shape(landmarks, worn, rng))
    colour = np.array(FABRICS_BGR[rng.integers(len(FABRICS_BGR))]) if rng.random() < 0.6 else rng.uniform(20, 250, 3)
    colour = (colour * rng.uniform(0.75, 1.1)).clip(0, 255)
    thickness = max(1, round(float(np.linalg.norm(across)) * rng.uniform(0.02, 0.05)))
    if len(fabrics) and rng.random() < 0.5:
        fabric = stretch(fabrics[int(rng.integers(len(fabrics)))], outline, crop.shape, rng)
        colour = fabric.reshape(-1, 3).mean(axis=0)
    else:
        fabric = shade(crop, colour, rng)
        if rng.random() < 0.25:
            pattern(fabric, outline, rng)
        if rng.random() < 0.5:
            fold(fabric, outline, colour * 0.8, thickness, rng)

    painted: np.ndarray = crop.copy()
    if rng.random() < 0.6:
        for string in strings:
            cv2.polylines(painted, fixed_point(string), False, colour.tolist(), thickness, cv2.LINE_AA, shift=4)
    cover: np.ndarray = np.zeros(crop.shape[:2], np.uint8)
    cv2.fillPoly(cover, fixed_point(outline), 255, cv2.LINE_AA, shift=4)
    if rng.random() < 0.5:  # a shadow below the edge, and an edge as soft as that of a photograph
        soft = cv2.GaussianBlur(cover, (0, 0), 0.6 * thickness + 0.3)
        painted = (painted * (1 - rng.uniform(0, 0.5) * (soft[..., None] / np.float32(255)))).astype(np.uint8)
        cover = cv2.GaussianBlur(cover, (0, 0), 0.25 * thickness + 0.2)
    weight = cover[..., None].astype(np.float32) / 255
    return (painted * (1 - weight) + fabric * weight).astype(np.uint8)


def mask_shape(landmarks: np.ndarray, worn: Worn, rng: np.random.Generator) -> list[np.ndarray]:
    """The outline, then the strings, in face units: x in eye distances from the middle, y from eyes to mouth.

    The tip of the nose is near y = 0.6, the chin near 1.65, the cheeks end near x = 1.1.
    """
    _, down, sideways = face_axes(landmarks)
    nose = float((landmarks[2] - landmarks[:2].mean(axis=0)) @ down / max(down @ down, 1.0))
    top, side, bottom = {
        "well": (rng.uniform(0.1, max(nose - 0.2, 0.11)), rng.uniform(0.35, 0.6), rng.uniform(1.55, 1.8)),
        "under_nose": (rng.uniform(min(nose + 0.12, 0.85), 0.88), rng.uniform(0.6, 0.95), rng.uniform(1.55, 1.85)),
        "on_chin": (rng.uniform(1.08, 1.45), rng.uniform(1.05, 1.4), rng.uniform(1.75, 2.1)),
        "off_one_ear": (rng.uniform(0.2, 0.4), rng.uniform(0.35, 0.6), rng.uniform(1.5, 1.7)),
        "above_mouth": (rng.uniform(0.05, 0.35), rng.uniform(0.3, 0.5), rng.uniform(0.7, 0.88)),
        "on_eyes": (rng.uniform(-0.7, -0.3), rng.uniform(-0.4, -0.1), rng.uniform(0.35, 0.7)),
    }[worn]
    if worn in ("well", "under_nose", "on_chin") and rng.random() < 0.12:
        bottom += rng.uniform(0.2, 0.5)  # a scarf or a gaiter, down to the neck
    left, right = 1.05 + 1.2 * sideways, 1.05 - 1.2 * sideways  # the half that turns away is narrower
    width = rng.uniform(0.8, 1.05)
    middle = 0.8 * sideways
    jaw = (side + bottom) / 2
    brow, hem = top + rng.uniform(0, 0.08), bottom - rng.uniform(0.02, 0.12)
    half_outline = [(0.35, brow), (1.0, side), (0.92, jaw), (0.5, hem)]
    points = [(middle, top), *((middle + width * right * x, y) for x, y in half_outline), (middle, bottom)]
    points += [(middle - width * left * x, y) for x, y in reversed(half_outline)]
    ears = rng.uniform(0.0, 0.5)
    strings = [
        np.array([(middle + reach * width, y), (middle + reach * 1.15, ears)])
        for reach in (right, -left)
        for y in (side, jaw)
    ]
    outline = np.array(points) + rng.normal(0, 0.015, (len(points), 2))
    if worn == "off_one_ear":
        return [hang(outline, np.array([middle + rng.choice([right, -left]) * 1.1, 0.5]), rng)]
    return [outline, *strings]


def hang(outline: np.ndarray, ear: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The mask turned down around the one ear that it still hangs on."""
    angle = rng.uniform(0.6, 1.3) * np.sign(ear[0])  # clockwise in the picture on the right: the free end sinks
    cos, sin = np.cos(angle), np.sin(angle)
    turned = (outline - ear) * (1, 0.9) @ np.array([[cos, -sin], [sin, cos]])
    return ear + turned * (rng.uniform(0.6, 0.9), rng.uniform(0.7, 0.9))


def shade(crop: np.ndarray, colour: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A sheet of fabric (H, W, 3) float32 over the whole crop: flat, or lit a little as the face below is."""
    fabric = np.broadcast_to(colour.astype(np.float32), crop.shape).copy()
    if rng.random() < 0.4:
        return fabric
    light = cv2.GaussianBlur(crop.mean(axis=2).astype(np.float32), (0, 0), 0.06 * max(crop.shape[:2]) + 0.5)
    light = 1 + rng.uniform(0.2, 0.7) * (light / max(float(light.mean()), 1.0) - 1)
    fabric *= light[..., None]
    fabric += rng.normal(0, rng.uniform(0, 6), crop.shape)
    return fabric.clip(0, 255)


def stretch(piece: np.ndarray, outline: np.ndarray, shape: Sequence[int], rng: np.random.Generator) -> np.ndarray:
    """A piece of real fabric (H, W, 3) float32 over the outline (px), a little lighter or darker than it was."""
    low, high = outline.min(axis=0), outline.max(axis=0)
    corners = np.array([low, (high[0], low[1]), (low[0], high[1])], np.float32)
    height, width = piece.shape[:2]
    source = np.array([(0, 0), (width, 0), (0, height)], np.float32)
    if rng.random() < 0.5:
        piece = piece[:, ::-1]
    matrix = cv2.getAffineTransform(source, corners)
    sheet = cv2.warpAffine(piece, matrix, (shape[1], shape[0]), borderMode=cv2.BORDER_REPLICATE)
    return (sheet * np.float32(rng.uniform(0.8, 1.2)) + np.float32(rng.uniform(-12, 12))).clip(0, 255)


def pattern(fabric: np.ndarray, outline: np.ndarray, rng: np.random.Generator) -> None:
    """Stripes, dots or a print in another colour."""
    low, high = outline.min(axis=0), outline.max(axis=0)
    colour = rng.uniform(10, 250, 3).tolist()
    span = float((high - low).max())
    kind = rng.integers(3)
    if kind == 0:
        turn = rng.uniform(0, np.pi)
        along, beside = np.array([np.cos(turn), np.sin(turn)]), np.array([-np.sin(turn), np.cos(turn)])
        step = span * rng.uniform(0.08, 0.25)
        for number in np.arange(-span, span, step):
            middle = (low + high) / 2 + beside * number
            ends = np.array([middle - along * span, middle + along * span])
            cv2.polylines(fabric, fixed_point(ends), False, colour, max(1, round(step * 0.4)), cv2.LINE_AA, shift=4)
    else:
        for spot in rng.uniform(low, high, (int(rng.integers(1, 4) if kind == 1 else rng.integers(10, 40)), 2)):
            radius = span * (rng.uniform(0.06, 0.2) if kind == 1 else rng.uniform(0.015, 0.04))
            cv2.circle(fabric, spot.round().astype(int).tolist(), max(1, round(radius)), colour, -1, cv2.LINE_AA)


def fold(fabric: np.ndarray, outline: np.ndarray, colour: np.ndarray, thickness: int, rng: np.random.Generator) -> None:
    """Two or three pleats across the fabric, from one side of the outline (px) to the other."""
    for height in np.linspace(0.25, 0.75, int(rng.integers(2, 4))):
        ends = outline[[2, -2]] * (1 - height) + outline[[3, -3]] * height
        cv2.polylines(fabric, fixed_point(ends), False, colour.tolist(), thickness, cv2.LINE_AA, shift=4)
