"""Saves each shown frame as a picture in a folder."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from overlay.sinks.sink import Sink
from overlay.target import target, write_whole, writing
from transport.frame import Frame


class ImagesSink(Sink):
    """A picture from a folder keeps its name; other frames become `{stream}-{seq:08d}.jpg`."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def place(self, stream: str) -> str:
        return str(target(self._folder, stream))

    def show(self, frame: Frame, picture: np.ndarray, age_ms: float) -> None:
        path = target(self._folder, frame.stream) / _file_name(frame)
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, cv2.imencode(path.suffix, picture)[1].tobytes())


def _file_name(frame: Frame) -> str:
    if not frame.name:
        return target(f"{{stream}}-{frame.seq:08d}.jpg", frame.stream).name
    name = Path(frame.name).name
    return name if cv2.haveImageWriter(name) else f"{name}.jpg"
