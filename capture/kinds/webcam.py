"""Pictures of a camera at this computer, by Video4Linux."""

from __future__ import annotations

import os
import time
from pathlib import Path

import cv2
import numpy as np

from capture.kind import Kind
from capture.picture import NotYet, Picture, Place, Room, Source, SourceLost
from capture.sieve import TICK_S, Sieve
from configs.errors import InputError
from configs.schema import SourceConfig

_LAST = 255  # minor numbers of Video4Linux devices
_USUAL_FPS = 30.0  # taken where a camera does not tell its rate
# One that sends so much more than was asked is sieved; one that obeys would lose pictures that tremble.
_DISOBEYS = 1.2


class WebcamKind(Kind):
    """A number, or a device file."""

    name, called, written = "webcam", "a webcam", "0, /dev/video0"
    options = ("width", "height", "fps", "still_fps", "wait")
    may_come_back = True
    mirrored = True

    def fits(self, text: str) -> bool:
        return text.isdecimal() or text.startswith(("/dev/video", "/dev/v4l/"))

    def title(self, text: str) -> str:
        return f"camera{text}" if text.isdecimal() else Path(text).name.replace("video", "camera")

    def check(self, config: SourceConfig) -> None:
        text = config.source
        if text.isdecimal() and int(text) > _LAST:
            raise InputError(f"no camera {text}: camera numbers are 0 to {_LAST}; for a file write ./{text}")
        if not config.wait:
            check_camera(text)

    def size(self, config: SourceConfig) -> tuple[int, int] | None:
        return (config.width, config.height) if config.width and config.height else None

    def open(self, config: SourceConfig, place: Place) -> Source:
        return Webcam(config)


class Webcam(Source):
    """A camera, opened with the size and rate asked for; it may choose others. Of a faster one pictures are skipped.

    Raises InputError if there is none, or if it gives no picture.
    """

    live = True

    def __init__(self, config: SourceConfig) -> None:
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # ten lines for a camera that is not there
        check_camera(config.source)
        self._camera = cv2.VideoCapture(str(device(config.source)), cv2.CAP_V4L2, _wishes(config))
        self._waiting = self._camera.isOpened() and self._camera.grab()  # one that is busy opens, and gives nothing
        if not self._waiting:
            self._camera.release()
            raise InputError(f"camera {config.source} gives no picture: is another program using it?")
        self.fps = self._camera.get(cv2.CAP_PROP_FPS) or _USUAL_FPS
        self._sieve = Sieve(config.fps if config.fps and self.fps > _DISOBEYS * config.fps else None)

    def read(self, room: Room) -> Picture:
        """The next picture. Raises SourceLost when the camera is unplugged or stops, NotYet while it is slow."""
        began_s = time.monotonic()
        while True:
            if not self._waiting and not self._camera.grab():
                raise SourceLost("the camera gives no more pictures")
            captured_ns = time.monotonic_ns()
            self._waiting = False
            if self._sieve.keeps(captured_ns / 1e9):
                image = self._decoded(room)
                if self.still is None or self.still.keeps_bgr(image, captured_ns / 1e9):
                    return Picture(image, captured_ns)
            if captured_ns / 1e9 - began_s > TICK_S:
                raise NotYet

    def _decoded(self, room: Room) -> np.ndarray:
        """The picture that was grabbed, in the room; one that is skipped leaves it to the next."""
        height, width = (int(self._camera.get(side)) for side in (cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_WIDTH))
        slot = room(height, width)
        decoded, image = self._camera.retrieve(slot)
        if not decoded:
            raise SourceLost("the camera sent a picture that cannot be decoded")
        if image is not slot:  # OpenCV writes elsewhere when the size is not what the camera had told
            slot = room(*image.shape[:2])
            np.copyto(slot, image)
        return slot

    def skipped(self) -> int:
        return self._sieve.taken()

    def close(self) -> None:
        self._camera.release()


def device(source: str) -> Path:
    """The device file of a camera number or path.

    >>> device("1")
    PosixPath('/dev/video1')
    """
    return Path(f"/dev/video{int(source)}" if source.isdecimal() else source)


def check_camera(source: str) -> None:
    """Raises InputError, with the cameras that there are, if this one does not exist or may not be used."""
    path = device(source)
    if not path.exists():
        found = ", ".join(sorted(str(other) for other in Path("/dev").glob("video*"))) or "none"
        raise InputError(f"no camera {source}: {path} does not exist; cameras found: {found}")
    if not os.access(path, os.R_OK | os.W_OK):
        raise InputError(f"camera {source}: no permission to use {path}; join its group (mostly `video`), log in again")


def _wishes(config: SourceConfig) -> list[int]:
    """Property, value, property, value, ... of what was asked for."""
    asked = {
        cv2.CAP_PROP_FRAME_WIDTH: config.width,
        cv2.CAP_PROP_FRAME_HEIGHT: config.height,
        cv2.CAP_PROP_FPS: config.fps,
    }
    return [number for key, value in asked.items() if value is not None for number in (key, round(value))]
