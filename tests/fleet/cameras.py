"""Films that stand in for cameras: the demo's scene, small and slow, so that many of them fit on one machine."""

from pathlib import Path

import av
import cv2
import numpy as np

from capture.demo import HEIGHT, WIDTH, DemoScene

SIZE, FPS = (480, 270), 5


def film(path: Path, first: int = 0) -> Path:
    """The demo from picture `first` on, 480x270 at 5 pictures/s: persons come and go, so there are events."""
    scene, picture = DemoScene(), np.empty((HEIGHT, WIDTH, 3), np.uint8)
    step = round(scene.fps / FPS)
    with av.open(str(path), "w") as output:
        track = output.add_stream("libx264", rate=FPS)
        track.width, track.height, track.pix_fmt = *SIZE, "yuv420p"
        track.options = {"preset": "ultrafast", "g": "5"}
        for index in range(0, len(scene), step):
            scene.picture((first + index) % len(scene), picture)
            small = cv2.resize(picture, SIZE, interpolation=cv2.INTER_AREA)
            output.mux(track.encode(av.VideoFrame.from_ndarray(small, format="bgr24")))
        output.mux(track.encode(None))
    return path
