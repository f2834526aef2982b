"""The known faces of a film, picture by picture: what a truth file beside it says, and who is who in it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta, Struct

from configs.errors import InputError
from transport.frame import Box, iou

LINKED_IOU = 0.3  # of a face with one of the picture before: the same person, where the file does not say who it is


class Seen(Struct, frozen=True):
    """A face of the truth: where it is, how its mask is worn, who it is, and which share of it can be seen."""

    box: Box
    label: str
    person: int
    visible: float = 1.0


class TruthFace(Struct):
    label: str
    bbox: tuple[float, float, float, float]
    person: int | None = None
    visible: Annotated[float, Meta(ge=0, le=1)] = 1.0


class TruthFile(Struct):
    """What a truth file holds: for each picture its faces, {label, bbox: [x, y, width, height] in px}.

    Each may say which `person` it is of, a number, and which share of it is `visible`, 0 to 1.
    """

    frames: list[list[TruthFace]]


def read_truth(path: Path, pictures: int, film: Path, named: str = "") -> tuple[tuple[Seen, ...], ...]:
    """The faces of a film of so many pictures. Raises InputError; `named` is the option that gave the file."""
    try:
        found = msgspec.json.decode(path.read_bytes(), type=TruthFile)
    except OSError as error:
        raise InputError(f"{named}{path}: {error.strerror}") from None
    except msgspec.MsgspecError as error:
        raise InputError(f"{named}{path}: {error}") from None
    if len(found.frames) != pictures:
        raise InputError(f"{path}: has faces of {len(found.frames)} pictures, {film} has {pictures}")
    faces = [face for picture in found.frames for face in picture]
    if faces and all(face.person is not None for face in faces):
        return tuple(
            tuple(Seen(Box(*face.bbox), face.label, face.person or 0, face.visible) for face in picture)
            for picture in found.frames
        )
    return linked([[(Box(*face.bbox), face.label) for face in picture] for picture in found.frames])


def linked(truth: Sequence[Sequence[tuple[Box, str]]]) -> tuple[tuple[Seen, ...], ...]:
    """The truth with persons: a face that overlaps one of the picture before is the same person."""
    persons, before, out = 0, list[Seen](), []
    for faces in truth:
        now, free = [], list(before)
        for box, label in faces:
            known = max(free, key=lambda seen: iou(seen.box, box), default=None)
            if known is not None and iou(known.box, box) > LINKED_IOU:
                free.remove(known)
                now.append(Seen(box, label, known.person))
            else:
                now.append(Seen(box, label, persons))
                persons += 1
        out.append(tuple(now))
        before = now
    return tuple(out)


def inside_share(box: Box, size: tuple[int, int]) -> float:
    """The share of a box that is in a picture of that size (width, height)."""
    width = min(box.x + box.width, size[0]) - max(box.x, 0)
    height = min(box.y + box.height, size[1]) - max(box.y, 0)
    return max(width, 0) * max(height, 0) / (box.width * box.height)
