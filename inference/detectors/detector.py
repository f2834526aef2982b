"""What finds faces: the picture it is given, what it answers, and its boxes made like an annotator's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import cv2
import numpy as np
from msgspec.structs import replace

from configs.schema import USUAL_WIDTH_PX, DetectConfig
from transport.frame import Box
from transport.pixels import Pixels

DEVICE_OPTION = "detect.device"
CLIPPED_SHARE, MOST_GAIN = 0.01, 2.0  # see `stretched`


class Shrunken(NamedTuple):
    """A picture as faces are searched and followed in it: (H, W, 3) uint8 BGR, (H, W) uint8 grey.

    `scale` is its size as a share of the frame's. The arrays are its own: the frame's slot may be written again.
    """

    bgr: np.ndarray
    grey: np.ndarray
    scale: float


class Detection(NamedTuple):
    """A face, as an annotator would frame it, in px of the picture; how sure the detector is, 0..1."""

    box: Box
    score: float


class BoxMapping(NamedTuple):
    """From a detector's rectangle to the annotator's, in widths and heights of the detector's.

    `x`, `y` is how far the centre moves to the right and down, `width` and `height` is the new size.
    """

    x: float
    y: float
    width: float
    height: float

    def apply(self, found: Box) -> Box:
        """
        >>> BoxMapping(x=0.0, y=0.1, width=1.0, height=1.2).apply(Box(100, 100, 50, 50))
        Box(x=100.0, y=100.0, width=50.0, height=60.0)
        """
        width, height = self.width * found.width, self.height * found.height
        centre_x = found.x + (0.5 + self.x) * found.width
        centre_y = found.y + (0.5 + self.y) * found.height
        return Box(centre_x - width / 2, centre_y - height / 2, width, height)


KNOWN_SHARE = 0.6
"""Of the score that makes a face of something new: so much is enough where a face is followed already.

Two thresholds as in ByteTrack (Zhang et al., 2022): with earlier verifiers .86 and .55 of the faces of pan_cc0_* had a
box instead of .82 and .47, with .36 and .15 false boxes a frame instead of .32 and .15.
"""


class Detector(ABC):
    """Finds faces in shrunken pictures. `name` says what it is, in the log and in the figures of a run.

    Each frames faces in its own way; `mapping` makes the boxes of annotators of that, forehead to chin. They may reach
    outside the picture. `score` is the least of a new face. `about` says in the help what it is; `ships` whether it
    needs no file of the user's; `unverified` is what `detect.verify: false` leaves of it; `on_cuda` whether it may run
    there. Used by one thread at a time.
    """

    about: str
    ships = True
    on_cuda = False
    unverified: type[Detector] | None = None
    name: str
    mapping: BoxMapping
    score = 1.0
    graded = True  # whether its scores tell more than yes
    widest_px = 1280  # of cameras' pictures, where the options leave it open
    least_face = 0.0  # share of the height of a picture 320 px wide, where the options leave it open

    def __init__(self, config: DetectConfig) -> None:
        self.config = config

    def smallest_px(self, picture: Shrunken) -> float:
        """Smaller faces are not searched for.

        `least_face` is meant for pictures 320 px wide: in a wider one faces of as many px are found as well.
        """
        height, width = picture.grey.shape
        if self.config.min_face is not None:
            return self.config.min_face * height
        return self.least_face * height * min(1.0, USUAL_WIDTH_PX / width)

    @property
    def is_as_measured(self) -> bool:
        """Whether what is known of it holds: it searches as it ships, at whatever width, and with no other file."""
        measured = DetectConfig(
            detector=self.config.detector,
            model="" if self.ships else self.config.model,
            width=self.config.width,
            motion=self.config.motion,
            every=self.config.every,
            candidates=self.config.candidates,
            device=self.config.device,
            threads=self.config.threads,
        )
        return self.config == measured

    @abstractmethod
    def scored(self, picture: Shrunken, least: float) -> list[tuple[Box, float]]:
        """What may be faces, as the detector frames them, in px of the picture, from left to right.

        Beside each how sure it is, `least` to 1; 1 where it only says yes.
        """

    def rectangles(self, picture: Shrunken) -> list[Box]:
        """The faces of a picture that nothing is known of, as the detector frames them."""
        return [box for box, _ in self.scored(picture, self.score)]

    def detect(self, picture: Shrunken, mirrored: bool = False) -> list[Detection]:
        """The faces of a picture, also those that are sure enough only where a face is followed already.

        `mirrored`: as seen in a mirror, where other faces are missed and boxes err to the other side.
        """
        searched = mirror_image(picture) if mirrored else picture
        scored = self.scored(searched, KNOWN_SHARE * self.score)
        found = [Detection(self.mapping.apply(rectangle), score) for rectangle, score in scored]
        if not mirrored:
            return found
        width = picture.grey.shape[1]
        return [Detection(replace(box, x=width - box.x - box.width), score) for box, score in reversed(found)]

    def sure(self, picture: Shrunken) -> list[Detection]:
        """The faces of a picture that nothing is known of."""
        return [found for found in self.detect(picture) if found.score >= self.score]

    def find(self, image_bgr: np.ndarray) -> tuple[Box, ...]:
        """Faces of a (H, W, 3) uint8 picture of any size, in its pixels."""
        picture = shrink(image_bgr, self.config.width_px)
        return tuple(scaled(box, 1 / picture.scale) for box, _ in self.sure(picture))

    def find_rectangles(self, image_bgr: np.ndarray) -> list[Box]:
        """What may be faces, as the detector frames them, in px of a picture (H, W, 3) uint8 of any size."""
        picture = shrink(image_bgr, self.config.width_px)
        return [scaled(found, 1 / picture.scale) for found in self.rectangles(picture)]

    def of_allowed_size(self, found: np.ndarray, scores: np.ndarray, picture: Shrunken) -> list[tuple[Box, float]]:
        """Of rectangles (N, 4), x, y, width, height, those as large as the options want them, from left to right."""
        height = picture.grey.shape[0]
        smallest, largest = self.smallest_px(picture), self.config.max_face * height
        boxes = ((Box(*row), float(score)) for row, score in zip(found.tolist(), scores, strict=True))
        fitting = [one for one in boxes if smallest <= max(one[0].width, one[0].height) <= largest]
        return sorted(fitting, key=lambda one: (one[0].x, one[0].y))


def shrink(image_bgr: np.ndarray, most_px: int) -> Shrunken:
    """The picture (H, W, 3) uint8, at most so many px wide."""
    height, width = image_bgr.shape[:2]
    scale = min(1.0, most_px / width)
    if scale < 1.0:
        # linear: area interpolation costs 2 ms on a 1080p picture, and the cascade sees no difference; shrunk before it
        # is grey, which takes .13 / .17 / .18 ms at 480p / 720p / 1080p instead of .14 / .45 / .90 and finds as much
        size = (most_px, max(1, round(height * scale)))
        image_bgr = cv2.resize(image_bgr, size, interpolation=cv2.INTER_LINEAR)
    else:
        image_bgr = image_bgr.copy()
    return Shrunken(image_bgr, cv2.cvtColor(image_bgr, cv2.COLOR_BGR2GRAY), scale)


def shrink_pixels(pixels: Pixels, most_px: int) -> Shrunken:
    """The same of pixels as they lie in a slot: planes are made smaller before they are BGR."""
    if pixels.colours is None or pixels.width <= most_px:
        return shrink(pixels.bgr, most_px)
    scale = most_px / pixels.width
    bgr = pixels.resized(most_px, max(1, round(pixels.height * scale)))
    return Shrunken(bgr, cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), scale)


def stretched(picture: Shrunken) -> Shrunken:
    """The same picture with its greys spread over the whole range, where haze or a weak light left them close together.

    A hundredth of the pixels may end up as plain black or white at each end. Contrast grows to twice what it was at
    most: then there is noise.
    """
    counts = np.cumsum(cv2.calcHist([picture.grey], [0], None, [256], [0, 256]))
    darkest, brightest = np.searchsorted(counts, np.array([CLIPPED_SHARE, 1 - CLIPPED_SHARE]) * counts[-1])
    gain = min(255 / max(brightest - darkest, 1), MOST_GAIN)
    table = (np.arange(256) - (darkest + brightest) / 2) * gain + 127.5
    table = table.clip(0, 255).round().astype(np.uint8)
    return Shrunken(cv2.LUT(picture.bgr, table), cv2.LUT(picture.grey, table), picture.scale)


def mirror_image(picture: Shrunken) -> Shrunken:
    """The same picture with left and right exchanged."""
    return Shrunken(cv2.flip(picture.bgr, 1), cv2.flip(picture.grey, 1), picture.scale)


def scaled(box: Box, factor: float) -> Box:
    """The same box in a picture of another size."""
    return Box(box.x * factor, box.y * factor, box.width * factor, box.height * factor)
