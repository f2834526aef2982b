"""A film with known faces: generated, or the user's own with a truth file beside it."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
from msgspec import Struct

from capture.demo import DemoScene, Person
from capture.film_truth import Seen, inside_share, linked, read_truth
from configs.errors import InputError
from inference.preprocess import CROP_MARGIN, crop_face
from transport.frame import Box

# Three persons, nearly always: one changes its mask twice, one stands between, one leaves and another comes.
CAST = (
    Person(0, 16, 112, 275, 1.05, "blue",
           ((0, "no mask"), (4, "over the nose"), (9, "under the nose"), (13, "over the nose"))),
    Person(0, 16, 320, 255, 1.2, "white", ((0, "over the nose"), (6.5, "no mask"), (12, "over the nose")),
           mirrored=True, suit_hue=100, phase=1.9),
    Person(0, 7, 528, 275, 1.05, "green", ((0, "under the nose"), (2, "over the nose")),
           suit_hue=60, phase=3.3, walk=((5, 528), (6.5, 790))),
    Person(8, 16, 528, 275, 1.1, "pink", ((8, "over the nose"), (11, "no mask")),
           mirrored=True, phase=0.4, walk=((8, 790), (9.5, 528))),
)  # fmt: skip
SECONDS = 16
BIT_RATE = 4_000_000  # of 640x480 at 30 frames/s: about what a good network camera sends


class Clip(Struct, frozen=True):
    """A film: its file, size (width, height) in px, rate, and the faces of each picture; None: not known."""

    path: Path
    size: tuple[int, int]
    fps: float
    pictures: int
    truth: tuple[tuple[Seen, ...], ...] | None


def generate(folder: Path, size: tuple[int, int], fps: float, camera_bit_rate: int = 0) -> Clip:
    """The scene as a film in the folder, H.264; with a bit rate as a camera sends it: see `write_film`."""
    scene = DemoScene(CAST, size, fps, SECONDS)
    path = folder / f"scene-{size[0]}x{size[1]}-{fps:g}.mp4"
    bit_rate = camera_bit_rate or round(BIT_RATE * size[0] * size[1] / (640 * 480) * fps / 30)
    pictures = (scene.picture(index) for index in range(len(scene)))
    write_film(path, pictures, size, fps, bit_rate, b_frames=not camera_bit_rate)
    truth = [scene.truth(index) for index in range(len(scene))]
    return Clip(path, size, fps, len(scene), linked(truth))


def write_film(
    path: Path, pictures: Iterable[np.ndarray], size: tuple[int, int], fps: float, bit_rate: int, b_frames: bool
) -> None:
    """Pictures (H, W, 3) uint8 BGR as H.264 with a key picture every 2 s; cameras send no B-frames, which come late."""
    import av

    options = {"preset": "veryfast", "g": str(round(2 * fps))} | ({} if b_frames else {"bf": "0"})
    with av.open(str(path), "w") as output:
        stream = output.add_stream("libx264", rate=Fraction(fps).limit_denominator(1001), options=options)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = bit_rate
        for picture in pictures:
            output.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        output.mux(stream.encode())


def open_clip(path: Path, truth_file: Path | None) -> Clip:
    """The user's film; its truth is FILE.json beside it unless another is given. Raises InputError."""
    film = cv2.VideoCapture(str(path)) if path.is_file() else None
    if film is None or not film.isOpened():
        raise InputError(f"--clip {path}: {'not a film that can be read' if path.exists() else 'no such file'}")
    pictures = 0
    while film.grab():
        pictures += 1
    size = (round(film.get(cv2.CAP_PROP_FRAME_WIDTH)), round(film.get(cv2.CAP_PROP_FRAME_HEIGHT)))
    fps = film.get(cv2.CAP_PROP_FPS) or 25.0
    beside = path.with_suffix(".json")
    if truth_file is None and not beside.is_file():
        return Clip(path, size, fps, pictures, None)
    source = truth_file or beside
    return Clip(path, size, fps, pictures, read_truth(source, pictures, path, "--truth "))


def face_crops(clip: Clip, count: int) -> list[np.ndarray]:
    """Crops (H, W, 3) uint8 BGR of about so many faces of the truth, from all over the film."""
    assert clip.truth is not None
    film, crops = cv2.VideoCapture(str(clip.path)), []
    step = max(1, 3 * clip.pictures // count)
    for index, faces in enumerate(clip.truth):
        if index % step:
            film.grab()
            continue
        good, picture = film.read()
        if not good:
            break
        crops += [crop_face(picture, seen.box, CROP_MARGIN) for seen in faces if wholly_inside(seen.box, clip.size)]
    return crops


def wholly_inside(box: Box, size: tuple[int, int]) -> bool:
    """Whether no part of it is cut off."""
    return inside_share(box, size) > 0.999
