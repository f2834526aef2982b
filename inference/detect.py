"""The detect stage: every frame is searched for faces."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import replace

from configs.schema import DetectConfig
from inference.haar import HaarDetector
from transport.frame import Face, Frame
from transport.stage import Batches, StageContext

log = logging.getLogger("detect")


def detect(config: DetectConfig, batches: Batches, context: StageContext) -> Iterator[Frame]:
    """Attach the faces that are found in each frame."""
    detector = HaarDetector(config)
    context.facts["detector"] = detector.name
    log.info("%s, in pictures of at most %d px width", detector.name, config.width)
    frames = faces = 0
    for batch in batches:
        for frame in batch:
            boxes = detector.find(frame.image)
            frames += 1
            faces += len(boxes)
            yield replace(frame, faces=tuple(Face(box) for box in boxes))
    log.info("%d frames searched, %d faces found", frames, faces)
