"""maskstream for scripts and notebooks: the stages of a run, one after the other in this process.

    import maskstream

    for frame in maskstream.open("0"):
        print(frame.seq, [(face.label, face.confidence) for face in frame.faces])

A run (`maskstream run`) is what to leave alone with cameras: it has processes that are watched, sinks and an account.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from msgspec.structs import replace

import configs.environment  # noqa: F401 - before a library reads it
from capture.recording import captured
from capture.sources import is_live
from capture.stage import capture
from configs.errors import InputError
from configs.load import given, load_config
from configs.schema import PipelineConfig
from inference.classify import classify
from inference.detect import detect
from overlay.draw import annotate
from pipeline import LOOK_AHEAD, checked
from transport.frame import Face as FoundFace
from transport.frame import Frame as SeenFrame
from transport.local_tickets import LocalTickets
from transport.stage import StageContext
from transport.tickets import Stopping

__all__ = ["Face", "Frame", "InputError", "Stream", "open"]


@dataclass(frozen=True)
class Face:
    """A face. `box` is x, y, width, height in px of the picture, and may reach outside it.

    `label` is `mask`, `no_mask`, `wrong_mask` (or what the model calls its classes), `unsure`, or None until a face of
    a camera was first classified. `confidence` is the calibrated probability of the label, `probabilities` has all.
    `track` is the number of a person: the same in all frames in which the face is followed, and when it is back after
    it was hidden for up to 2 s. None: it was not followed.
    """

    box: tuple[float, float, float, float]
    label: str | None
    confidence: float
    probabilities: dict[str, float]
    track: int | None


def _face(found: FoundFace) -> Face:
    box, said = found.box, found.prediction
    where = (box.x, box.y, box.width, box.height)
    if said is None:
        return Face(where, None, 0.0, {}, found.track)
    return Face(where, said.label, said.confidence, said.probabilities, found.track)


class Frame:
    """A picture and the faces in it.

    `seq` counts the pictures of the source from 0, `media_ms` is the place in a film, `name` the file in a folder.
    `age_ms` is how long ago the picture was captured.
    """

    def __init__(self, seen: SeenFrame) -> None:
        self._seen = seen
        self.seq, self.media_ms, self.name = seen.seq, seen.media_ms, seen.name
        self.faces = tuple(map(_face, seen.faces))

    @property
    def image(self) -> np.ndarray:
        """The picture, (H, W, 3) uint8 BGR, read-only."""
        return self._seen.image

    def drawn(self) -> np.ndarray:
        """A copy of the picture, (H, W, 3) uint8 BGR, with a box and a label for each face."""
        return annotate(self._seen.image, self._seen.faces)

    @property
    def age_ms(self) -> float:
        return (time.monotonic_ns() - self._seen.captured_ns) / 1e6

    def __repr__(self) -> str:
        return f"Frame({self.seq}, {self._seen.width}x{self._seen.height}, {len(self.faces)} faces)"


class Stream:
    """The frames of one source, in order; a context manager that lets go of the source at its end.

    Of a camera the newest picture is taken each time, of a film or folder each one. `dropped` counts pictures of
    which no frame came, by reason. A camera that goes away is waited for.
    """

    def __init__(self, options: PipelineConfig) -> None:
        self._options = options
        source = options.sources[0]
        self._tickets = LocalTickets(source.name)
        self.dropped = self._tickets.dropped
        self._frames = self._classified()

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        try:
            return Frame(next(self._frames))
        except Stopping:
            raise StopIteration from None

    def close(self) -> None:
        """Let go of the source. Frames that were taken stay."""
        self._tickets.stop()
        self._frames.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: type | None, __: BaseException | None, ___: TracebackType | None) -> None:
        self.close()

    def _classified(self) -> Generator[SeenFrame]:
        options, source = self._options, self._options.sources[0]
        context = StageContext(stopping=self._tickets.stopping, wake=self._tickets.wake)
        frames = capture(captured(source, options.overlay), self._tickets, context)
        together = 1 if is_live(source) else LOOK_AHEAD
        batches = iter(lambda: list(islice(frames, together)), [])
        found = ([frame] for frame in detect(options.detect, batches, StageContext()) if isinstance(frame, SeenFrame))
        yield from classify(options.classify, found, StageContext())


def open(
    source: str | int | Path,
    *,
    model: str | Path | None = None,
    classes: Sequence[str] | None = None,
    device: str | None = None,
    detector: str | None = None,
    every_frame: bool = False,
    realtime: bool = False,
    loop: bool = False,
    mirror: bool | None = None,
    fps: float | None = None,
    config: str | Path | None = None,
    settings: Sequence[str] = (),
) -> Stream:
    """The frames of a webcam (its number), a network camera, a film, a folder of pictures, or of `demo`.

    The options are those of `maskstream run`: `config` is a YAML file, `settings` are as `--set` has them
    ("detect.width=640"). Raises InputError, in one line, for what cannot be used.

    >>> with open("demo") as stream:
    ...     frame = next(stream)
    >>> frame.seq, frame.image.shape, frame.drawn().dtype
    (0, (480, 640, 3), dtype('uint8'))
    """
    flags: dict[str, Any] = {
        "sources": (
            [str(source)],
            given(realtime=realtime or None, loop=loop or None, mirror=mirror, fps=fps),
        ),
        "detect": given(detector=detector, every=1 if every_frame else None),
        "classify": given(
            model=str(model) if model else None, classes=list(classes) if classes else None, device=device
        ),
    }
    options = load_config(Path(config) if config else None, settings, flags)
    if options.overlay.privacy != "none":
        raise InputError("overlay.privacy: these are the pictures themselves; hidden faces are for maskstream run")
    options, _ = checked(replace(options, overlay=replace(options.overlay, sinks=("null",))))
    return Stream(options)
