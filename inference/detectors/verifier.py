"""A verifier: a small network that says of each place where a detector sees something whether it is a face."""

from __future__ import annotations

from pathlib import Path

import cv2
import msgspec
import numpy as np
from msgspec import Struct

from configs.errors import InputError
from inference.backends.onnx_errors import session_errors
from inference.backends.session import METADATA_KEY, open_session

PRETRAINED = Path(__file__).parents[1] / "pretrained"
VERIFIER = PRETRAINED / "verifier.onnx"
WINDOW = 1.35  # side of a window, in sides of the square in which a cascade finds a face
LOWER = 0.09  # sides of that square by which the middle of the window lies below its middle: so does that of the face
LEAST = 1e-6  # of a score, and 1 less it the most
BOX_WIDTH, BOX_HEIGHT = 0.83, 0.96  # of a face in such a square, in its sides


class VerifierInfo(Struct, frozen=True):
    """What the file says of itself, as JSON in its metadata; below `score` it is surely no face."""

    kind: str
    name: str
    score: float


class Verifier:
    """An ONNX file that takes `windows` (N, side, side, 3) uint8 BGR and gives `scores` (N,), `moves` (N, 4) float32.

    Scores lie in 0..1. Moves tell the annotator's box in sides of the window: its centre's way from the middle to the
    right and down, and the logarithms of its width and height. Raises InputError for a file that is something else.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise InputError(f"{path}: no such file; install maskstream again")
        self._session, _ = open_session(path)
        text = self._session.get_modelmeta().custom_metadata_map.get(METADATA_KEY, "{}")
        unfit: tuple[type[Exception], ...] = (msgspec.MsgspecError, *session_errors())
        try:
            self.info = msgspec.json.decode(text, type=VerifierInfo)
            self.side_px = int(self._session.get_inputs()[0].shape[1])
            self._network(np.zeros((2, self.side_px, self.side_px, 3), np.uint8))
        except unfit as error:
            raise InputError(f"{path}: is no verifier of faces: {str(error).splitlines()[0]}") from error

    def look(
        self, image_bgr: np.ndarray, windows: np.ndarray, both_ways: bool = False
    ) -> tuple[np.ndarray, np.ndarray]:
        """Scores (N,) and boxes (N, 4), x, y, width, height, in windows (N, 3) of a picture (H, W, 3) uint8.

        `both_ways`: the means of what it says of each window and of its mirror image.
        """
        if not len(windows):
            return np.empty(0, np.float32), np.empty((0, 4), np.float32)
        pixels = cut(image_bgr, windows, self.side_px)
        scores, moves = self._network(np.concatenate([pixels, pixels[:, :, ::-1]]) if both_ways else pixels)
        if both_ways:
            scores = together(*np.split(scores, 2))
            plain, mirrored = np.split(moves, 2)
            moves = (plain + mirrored * (-1, 1, 1, 1)) / 2
        return scores, moved(windows, moves)

    def _network(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        scores, moves = self._session.run(["scores", "moves"], {"windows": pixels})
        return scores, moves


def together(*looks: np.ndarray) -> np.ndarray:
    """One score for those of several looks, each (N,): that of the mean of their logits.

    >>> together(np.array([0.9, 0.5]), np.array([0.9, 0.9])).round(2)
    array([0.9 , 0.75])
    """
    scores = np.clip(np.stack(looks), LEAST, 1 - LEAST)
    odds = (scores / (1 - scores)).prod(axis=0) ** (1 / len(looks))
    return np.asarray(odds / (1 + odds))


def windows_on(boxes: np.ndarray) -> np.ndarray:
    """The windows (N, 3) on annotators' boxes (N, 4) that have as much around them as those on a cascade's squares."""
    sides = WINDOW * (boxes[:, 2] / BOX_WIDTH + boxes[:, 3] / BOX_HEIGHT) / 2
    return np.concatenate([boxes[:, :2] + boxes[:, 2:] / 2, sides[:, None]], axis=1)


def moved(windows: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """The boxes (N, 4), x, y, width, height, that moves (N, 4) make of windows (N, 3)."""
    centres = windows[:, :2] + moves[:, :2] * windows[:, 2:]
    sizes = np.exp(moves[:, 2:]) * windows[:, 2:]
    return np.concatenate([centres - sizes / 2, sizes], axis=1)


def moves_to(windows: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """The moves (N, 4) float32 that make these boxes (N, 4) of windows (N, 3).

    >>> windows, box = np.array([[50.0, 50.0, 40.0]]), np.array([[40.0, 45.0, 20.0, 30.0]])
    >>> moved(windows, moves_to(windows, box)).round(3)
    array([[40., 45., 20., 30.]])
    """
    centres = boxes[:, :2] + boxes[:, 2:] / 2
    shifts = (centres - windows[:, :2]) / windows[:, 2:]
    return np.concatenate([shifts, np.log(boxes[:, 2:] / windows[:, 2:])], axis=1).astype(np.float32)


def cut(image_bgr: np.ndarray, windows: np.ndarray, side_px: int) -> np.ndarray:
    """The windows (N, 3) of a picture as pixels (N, side_px, side_px, 3) uint8; what lies outside is grey.

    Large ones are cut from a picture that was halved before: 4 us each, instead of 40 to 120 by averaging areas.
    """
    pixels = np.empty((len(windows), side_px, side_px, 3), np.uint8)
    halvings = np.log2(np.maximum(windows[:, 2] / side_px, 1)).astype(int)
    for level in range(halvings.max(initial=0) + 1):
        if level:
            height, width = image_bgr.shape[:2]
            half = (max(width // 2, 1), max(height // 2, 1))
            image_bgr = cv2.resize(image_bgr, half, interpolation=cv2.INTER_AREA)
        here = np.flatnonzero(halvings == level)
        cut_into(pixels, here, image_bgr, windows[here] / 2**level)
    return pixels


def cut_into(pixels: np.ndarray, places: np.ndarray, image_bgr: np.ndarray, windows: np.ndarray) -> None:
    """Fill those places of pixels (N, side_px, side_px, 3) with windows (M, 3) of a picture."""
    sides = np.maximum(windows[:, 2].round().astype(int), 1)
    corners = (windows[:, :2] - windows[:, 2:] / 2).round().astype(int)
    beyond = corners + sides[:, None] - image_bgr.shape[1::-1]
    margin = max(0, -int(corners.min(initial=0)), int(beyond.max(initial=0)))
    grey = (127, 127, 127)
    framed = cv2.copyMakeBorder(image_bgr, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=grey)
    size = pixels.shape[1:3]
    for place, (x, y), side in zip(places.tolist(), (corners + margin).tolist(), sides.tolist(), strict=True):
        cv2.resize(framed[y : y + side, x : x + side], size, dst=pixels[place], interpolation=cv2.INTER_LINEAR)
