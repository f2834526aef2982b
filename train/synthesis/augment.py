"""Variation of a training face that keeps its label: other framing, light, sharpness and compression."""

from __future__ import annotations

import cv2
import numpy as np

from inference.preprocess import resize_crop


def augment(crop: np.ndarray, size: int, rng: np.random.Generator) -> np.ndarray:
    """A random variation of a crop (H, W, 3) uint8 BGR as (size, size, 3) uint8 BGR.

    It is resized by the same rule as live faces are, then changed: no resize of another kind is ever seen.
    """
    picture = resize_crop(reframe(crop, rng), size)
    if rng.random() < 0.5:
        picture = picture[:, ::-1]
    picture = rotate(picture, rng)
    picture = relight(picture, rng)
    picture = degrade(picture, rng)
    return compress(picture, rng) if rng.random() < 0.4 else picture


def reframe(crop: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Another window on the crop, as a detector that is off by a tenth of the face would cut it."""
    height, width = crop.shape[:2]
    side_x, side_y = rng.uniform(0.75, 1.1) * np.array([width, height]) * rng.uniform(0.94, 1.06, 2)
    centre_x = width * (0.5 + rng.uniform(-0.09, 0.09))
    centre_y = height * (0.5 + rng.uniform(-0.09, 0.09))
    x0, x1 = np.clip([centre_x - side_x / 2, centre_x + side_x / 2], 0, width).round().astype(int)
    y0, y1 = np.clip([centre_y - side_y / 2, centre_y + side_y / 2], 0, height).round().astype(int)
    return crop[y0 : max(y1, y0 + 1), x0 : max(x1, x0 + 1)]


def rotate(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Up to 20 degrees, as in the original program."""
    if rng.random() < 0.3:
        return picture
    size = picture.shape[0]
    turn = cv2.getRotationMatrix2D((size / 2, size / 2), rng.uniform(-20, 20), 1.0)
    return cv2.warpAffine(picture, turn, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def relight(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Contrast, brightness, colour cast, gamma; sometimes no colour at all. One table per channel."""
    levels = np.arange(256) / 255
    gains = rng.uniform(0.7, 1.35) * rng.uniform(0.88, 1.12, 3)
    gamma = np.exp(rng.uniform(-0.4, 0.4))
    table = (levels[:, None] ** gamma - 0.5) * gains + 0.5 + rng.uniform(-0.15, 0.15)
    picture = cv2.LUT(picture, (table.clip(0, 1) * 255).astype(np.uint8)[None])
    if rng.random() < 0.08:
        picture = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    return picture


def degrade(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """What small, distant and moving faces look like: fewer pixels, blur, noise. Most stay as they are."""
    size = picture.shape[0]
    kind = rng.random()
    if kind < 0.2:
        few = max(2, int(rng.uniform(0.2, 0.65) * size))
        small = cv2.resize(picture, (few, few), interpolation=cv2.INTER_AREA)
        picture = cv2.resize(small, (size, size), interpolation=cv2.INTER_LINEAR)
    elif kind < 0.35:
        picture = cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.2, 0.2 + 0.015 * size))
    if rng.random() < 0.2:
        noise = rng.normal(0, rng.uniform(2, 14), picture.shape)
        picture = (picture + noise).clip(0, 255).astype(np.uint8)
    return picture


def compress(picture: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Through JPEG, as cameras and web pages do."""
    _, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, int(rng.uniform(25, 90))])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
