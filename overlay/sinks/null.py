"""The sink for measuring: frames are shown nowhere."""

from __future__ import annotations

import numpy as np

from overlay.sinks.sink import Sink
from transport.frame import Frame


class NullSink(Sink):
    wants_pixels = False

    def show(self, frame: Frame, picture: np.ndarray, age_ms: float) -> None:
        pass
