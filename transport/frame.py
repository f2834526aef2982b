"""The one thing that walks through the pipeline: a picture of one stream, and what is known about it."""

from __future__ import annotations

import numpy as np
from msgspec import Struct
from msgspec.structs import force_setattr

from transport.pixels import Pixels

UNSURE = "unsure"  # the label of a followed face of which no class is likely enough


class Box(Struct, frozen=True, array_like=True):
    """A rectangle in pixels of the frame. x, y is its upper left corner; it may reach outside the frame."""

    x: float
    y: float
    width: float
    height: float


def iou(one: Box, other: Box) -> float:
    """Intersection over union of two rectangles.

    >>> iou(Box(0, 0, 2, 2), Box(1, 0, 2, 2))
    0.3333333333333333
    """
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    if width <= 0 or height <= 0:
        return 0.0
    both = width * height
    return both / (one.width * one.height + other.width * other.height - both)


class Prediction(Struct, frozen=True):
    """What the classifier says of one face. Confidence is the calibrated probability of `label`.

    Of a face that is followed it is what all answers say together; then `label` is `unsure` where no class is
    likely enough. `age_ms` is how old the newest of these answers is.
    """

    label: str
    confidence: float
    probabilities: dict[str, float]
    age_ms: float = 0.0


class Face(Struct, frozen=True):
    """A face that was found. `box` bounds the face as an annotator would draw it: forehead to chin.

    `track` is the number of a person: the same in all frames of a stream in which the face is followed, and when it is
    back after it was hidden for up to 2 s. None: it was not followed.
    """

    box: Box
    prediction: Prediction | None = None
    track: int | None = None


class Recorded(Struct, frozen=True, array_like=True):
    """Where a picture is in the recording of its source's packets: the file's name, and ms from its first picture.

    `file` is empty for a picture that is in no file; `why` says why nothing can be recorded now.
    """

    file: str = ""
    ms: float = 0.0
    why: str = ""


class Frame(Struct, frozen=True, eq=False):
    """One captured picture and what the stages have attached to it.

    A struct as the others: each stage makes one or two of each frame, and a dataclass took 10 us for one.

    `pixels` are the picture as it was captured; an array (H, W, 3) uint8 BGR is taken, too.
    `captured_ns` is `time.monotonic_ns()` at the moment the picture left the source.
    `media_ms` is the position in a video file, None for cameras and pictures.
    `name` is the file name of a picture from a folder, else empty.
    `live` says that newer pictures replace older ones: nothing may wait for long. Of a file each frame counts.
    `corrupt` says that the decoder marks the picture as damaged: it is shown, and nothing is decided by it.
    `candidates` are places that may be faces, found only where faces are to be hidden; they are not counted.
    `recorded` is where it is in the recording of its source's packets, None where these are not recorded.
    `slot` is where the pixels lie in the stream's shared memory, None where a stage is used without a run.

    >>> Frame("door", 7, 0, np.zeros((480, 640, 3), np.uint8))
    Frame(door #7, 640x480, 0 faces)
    """

    stream: str
    seq: int
    captured_ns: int
    pixels: Pixels
    faces: tuple[Face, ...] = ()
    media_ms: float | None = None
    name: str = ""
    live: bool = False
    corrupt: bool = False
    candidates: tuple[Face, ...] = ()
    recorded: Recorded | None = None
    slot: int | None = None

    def __post_init__(self) -> None:
        if isinstance(self.pixels, np.ndarray):
            force_setattr(self, "pixels", Pixels(self.pixels))

    @property
    def image(self) -> np.ndarray:
        """The picture, (H, W, 3) uint8, BGR as OpenCV reads it, and read-only: draw on a copy (`pixels.copy`)."""
        return self.pixels.bgr

    @property
    def width(self) -> int:
        """Of the picture, px."""
        return self.pixels.width

    @property
    def height(self) -> int:
        return self.pixels.height

    def __repr__(self) -> str:
        return f"Frame({self.stream} #{self.seq}, {self.width}x{self.height}, {len(self.faces)} faces)"


def time_ms(frame: Frame) -> float:
    """The time of a picture: its place in a film, else when it was captured."""
    return frame.captured_ns / 1e6 if frame.live or frame.media_ms is None else frame.media_ms


class Held(Struct, frozen=True):
    """A frame that a stage keeps for now: its ticket is free, its pixels stay. The stage yields it once more later."""

    frame: Frame


class Ended(Struct, frozen=True):
    """A frame whose way ends here: `outcome` is `shown`, or the reason why it was dropped (transport/header.py).

    `age_ns` is its age when it was drawn; where it is None, its age when its ticket goes back.
    """

    frame: Frame
    outcome: str
    age_ns: int | None = None
