"""The masks that persons of the demo wear, painted on the portrait: over the nose, under it, on the chin."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

FINER = 3  # painted at this multiple of the portrait's size, then averaged: edges and folds come out smooth
REACH = (140, 80, 260, 200)  # left, top, right, bottom of what a mask or its shadow can touch, px of the portrait
EARS = ((154, 110), (247, 114))  # where the loops go behind the ears
UPPER_X = (157, 168, 182, 193, 202, 211, 222, 234, 244)  # from one cheek over the nose to the other
LOWER_X = (163, 172, 183, 196, 210, 223, 236)  # along the jaw
LOOPS_AT = (0.1, 0.85)  # where the two loops leave the side of a mask, from its upper to its lower corner


@dataclass(frozen=True, slots=True)
class Cut:
    """How a mask sits: the height of its upper edge at each of UPPER_X, and of its lower edge at each of LOWER_X."""

    upper_y: tuple[float, ...]
    lower_y: tuple[float, ...]


CUTS = {
    "over the nose": Cut((112, 107, 104, 101, 99, 101, 105, 110, 116), (147, 160, 168, 172, 170, 163, 148)),
    "under the nose": Cut((124, 125, 125, 124, 124, 125, 127, 127, 126), (153, 166, 174, 178, 176, 169, 154)),
    "on the chin": Cut((136, 143, 148, 150, 150, 150, 148, 144, 137), (158, 170, 178, 181, 180, 173, 159)),
}

# Light ones with folds only: Haar finds those in every picture. A dark mask over the nose it never finds (0 of 64
# pictures, black, grey or navy), and a white one without folds in 18 of 64.
CLOTHS_BGR = {"blue": (222, 190, 142), "white": (226, 224, 220), "pink": (190, 170, 230), "green": (170, 200, 150)}
LOOPS_BGR, SHADOW_BGR = (235, 235, 235), (60, 60, 70)
PLEATS = (0.30, 0.50, 0.70)  # the folds across a mask, from 0 at its upper edge to 1 at its lower one


def paint_mask(portrait: np.ndarray, worn: str, cloth: str) -> np.ndarray:
    """The portrait, (H, W, 3) uint8 BGR, with a mask on. `worn` is a key of CUTS, `cloth` of CLOTHS_BGR."""
    left, top, right, bottom = REACH
    skin = portrait[top:bottom, left:right]
    fine = cv2.resize(skin, None, fx=FINER, fy=FINER, interpolation=cv2.INTER_CUBIC).astype(np.float32)
    upper = magnified(list(zip(UPPER_X, CUTS[worn].upper_y, strict=True)))
    lower = magnified(list(zip(LOWER_X, CUTS[worn].lower_y, strict=True)))
    covered = coverage(upper, lower)

    # the mask stands off the cheek: a soft shadow falls on the skin around it, more below than above
    shadow = cv2.GaussianBlur(np.roll(covered, 2 * FINER, axis=0), (0, 0), 2.0 * FINER)
    fine *= (1 - 0.35 * shadow)[..., None]
    draw_loops(fine, upper, lower)

    light = fabric_light(upper, lower) * face_light(skin)
    fabric = np.clip(light[..., None] * np.array(CLOTHS_BGR[cloth], np.float32), 0, 250)
    fine += covered[..., None] * (fabric - fine)

    painted = portrait.copy()
    small = cv2.resize(fine, (right - left, bottom - top), interpolation=cv2.INTER_AREA)
    painted[top:bottom, left:right] = np.clip(small, 0, 255)
    return painted


def magnified(points: Sequence[tuple[float, float]]) -> np.ndarray:
    """Points of the portrait as points of the magnified part that is painted, (N, 2) float32."""
    return FINER * (np.array(points, np.float32) - REACH[:2])


def canvas_shape() -> tuple[int, int]:
    """Rows and columns of the magnified part."""
    left, top, right, bottom = REACH
    return FINER * (bottom - top), FINER * (right - left)


def coverage(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """1 where the mask is, 0 where it isn't, float32, its corners rounded and its edge soft."""
    filled = np.zeros(canvas_shape(), np.float32)
    cv2.fillPoly(filled, [np.round(np.concatenate([upper, lower[::-1]])).astype(np.int32)], 1.0)
    rounded = cv2.GaussianBlur(filled, (0, 0), 1.5 * FINER)
    return np.clip((rounded - 0.5) * 4 + 0.5, 0, 1)


def draw_loops(canvas: np.ndarray, upper: np.ndarray, lower: np.ndarray) -> None:
    """Two thin loops from each side of the mask to the ear, with their shadow, drawn into the canvas."""
    down = np.array((0, FINER), np.float32)
    for side, ear in zip((0, -1), magnified(EARS), strict=True):
        for share in LOOPS_AT:
            start = upper[side] + share * (lower[side] - upper[side])
            loop = np.stack([start, (start + ear) / 2 + down, ear])
            for points, colour, width in ((loop + down, SHADOW_BGR, FINER // 2), (loop, LOOPS_BGR, FINER)):
                cv2.polylines(canvas, [np.round(points).astype(np.int32)], False, colour, width, cv2.LINE_AA)


def fabric_light(upper: np.ndarray, lower: np.ndarray) -> np.ndarray:
    """How bright the fabric is at each pixel, 1 where it faces the light: its round shape, folds, hem and creases."""
    height, width = canvas_shape()
    rows, columns = np.mgrid[:height, :width].astype(np.float32)
    upper_y = np.interp(columns[0], upper[:, 0], upper[:, 1])
    lower_y = np.interp(columns[0], lower[:, 0], lower[:, 1])
    down = (rows - upper_y) / (lower_y - upper_y)  # 0 at the upper edge, 1 at the lower one
    nose_x, half_width = upper[len(upper) // 2, 0], (upper[-1, 0] - upper[0, 0]) / 2
    aside = (columns - nose_x) / half_width  # -1 at the left cheek, 1 at the right one

    light = 1.0 - 0.22 * aside**2 - 0.5 * np.clip(down - 0.65, 0, None)  # turns away at the sides and below the chin
    light += 0.07 * bump(aside / 0.22) * np.clip(1 - down, 0, 1)  # ridge of the nose
    light -= 0.08 * bump((np.abs(aside) - 0.38) / 0.15) * np.clip(1 - 1.6 * down, 0, 1)  # hollows beside it
    for pleat in PLEATS:
        off = down - pleat - 0.05 * (aside**2 - 0.3)
        light += 0.05 * bump((off + 0.06) / 0.035) - 0.17 * bump(off / 0.022)
    for hem in (0.045, 0.955):
        light -= 0.09 * bump((down - hem) / 0.014)
    return light + 0.025 * creases((height, width))


def bump(distance: np.ndarray) -> np.ndarray:
    """1 at no distance, falling to 0 within about two."""
    return np.exp(-(distance**2))


def creases(shape: tuple[int, int]) -> np.ndarray:
    """Soft random waves of mean 0 and deviation 1, the same ones each time."""
    coarse = np.random.default_rng(7).normal(0, 1, (shape[0] // (10 * FINER), shape[1] // (10 * FINER)))
    waves = cv2.resize(coarse.astype(np.float32), shape[::-1], interpolation=cv2.INTER_CUBIC)
    return (waves - waves.mean()) / waves.std()


def face_light(skin: np.ndarray) -> np.ndarray:
    """The light on the face itself without its features, so that fabric and skin are lit from one side."""
    soft = cv2.GaussianBlur(cv2.cvtColor(skin, cv2.COLOR_BGR2GRAY).astype(np.float32), (0, 0), 14)
    return cv2.resize(np.clip(soft / np.median(soft), 0.8, 1.1), canvas_shape()[::-1])
