"""A film with known faces: generated, or the user's own with a truth file beside it."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import cv2
import msgspec
import numpy as np
from msgspec import Struct

from capture.demo import DemoScene, Person
from configs.errors import InputError
from inference.preprocess import CROP_MARGIN, crop_face
from transport.frame import Box, iou

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


class Seen(Struct, frozen=True):
    """A face of the truth: where it is, how its mask is worn, and who it is, where that is known."""

    box: Box
    label: str
    person: int


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


class TruthFace(Struct):
    label: str
    bbox: tuple[float, float, float, float]


class TruthFile(Struct):
    """What a truth file holds: for each picture its faces, {label, bbox: [x, y, width, height] in px}."""

    frames: list[list[TruthFace]]


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
    try:
        found = msgspec.json.decode(source.read_bytes(), type=TruthFile)
    except OSError as error:
        raise InputError(f"--truth {source}: {error.strerror}") from None
    except msgspec.MsgspecError as error:
        raise InputError(f"--truth {source}: {error}") from None
    if len(found.frames) != pictures:
        raise InputError(f"{source}: has faces of {len(found.frames)} pictures, {path} has {pictures}")
    truth = [[(Box(*face.bbox), face.label) for face in faces] for faces in found.frames]
    return Clip(path, size, fps, pictures, linked(truth))


def linked(truth: list[tuple[tuple[Box, str], ...]] | list[list[tuple[Box, str]]]) -> tuple[tuple[Seen, ...], ...]:
    """The truth with persons: a face that overlaps one of the picture before is the same person."""
    persons, before, out = 0, [], []  # type: ignore[var-annotated]
    for faces in truth:
        now, free = [], list(before)
        for box, label in faces:
            known = max(free, key=lambda seen: iou(seen.box, box), default=None)
            if known is not None and iou(known.box, box) > 0.3:
                free.remove(known)
                now.append(Seen(box, label, known.person))
            else:
                now.append(Seen(box, label, persons))
                persons += 1
        out.append(tuple(now))
        before = now
    return tuple(out)


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


def inside_share(box: Box, size: tuple[int, int]) -> float:
    """The share of a box that is in a picture of that size (width, height)."""
    width = min(box.x + box.width, size[0]) - max(box.x, 0)
    height = min(box.y + box.height, size[1]) - max(box.y, 0)
    return max(width, 0) * max(height, 0) / (box.width * box.height)


def wholly_inside(box: Box, size: tuple[int, int]) -> bool:
    """Whether no part of it is cut off."""
    return inside_share(box, size) > 0.999
