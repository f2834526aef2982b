"""The classify stage: says of each face how its mask is worn; all faces that wait share forward passes."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from msgspec.structs import replace as replace_fields

from configs.schema import ClassifyConfig
from inference.backends import SHIPPED_MODEL, Backend, open_backend
from inference.preprocess import crop_face, prepare
from transport.frame import Frame, Prediction
from transport.stage import Batches, StageContext

log = logging.getLogger("classify")


def classify(config: ClassifyConfig, batches: Batches, context: StageContext) -> Iterator[Frame]:
    """Stage function: frames with faces in, the same frames with a prediction on every face out."""
    backend = open_backend(config)
    model = Path(config.model).name if config.model else SHIPPED_MODEL.name
    context.facts.update(model=model, provider=backend.provider, classes=", ".join(backend.classes))
    log.info("%s by %s, classes %s", model, backend.provider, ", ".join(backend.classes))
    frames_seen = faces_seen = 0
    for frames in batches:
        yield from classify_frames(frames, backend, config)
        frames_seen += len(frames)
        faces_seen += sum(len(frame.faces) for frame in frames)
    log.info("classified %d faces in %d frames", faces_seen, frames_seen)


def classify_frames(frames: Sequence[Frame], backend: Backend, config: ClassifyConfig) -> Iterator[Frame]:
    """Give every face its prediction; all faces of the frames share forward passes."""
    margin = backend.preprocessing.margin
    crops = [crop_face(frame.image, face.box, margin) for frame in frames for face in frame.faces]
    answers = predict(crops, backend, config.max_batch)
    for frame in frames:
        faces = tuple(replace_fields(face, prediction=next(answers)) for face in frame.faces)
        yield replace(frame, faces=faces) if faces else frame


def predict(crops: Sequence[np.ndarray], backend: Backend, max_batch: int) -> Iterator[Prediction]:
    """A prediction for each crop (H, W, 3) uint8 BGR, in order, at most `max_batch` of them in one forward pass."""
    for start in range(0, len(crops), max_batch):
        for row in backend.probabilities(prepare(crops[start : start + max_batch], backend.preprocessing)):
            yield prediction(row, backend.classes)


def prediction(probabilities: np.ndarray, classes: Sequence[str]) -> Prediction:
    """
    >>> prediction(np.array([0.25, 0.75]), ["mask", "no_mask"])
    Prediction(label='no_mask', confidence=0.75, probabilities={'mask': 0.25, 'no_mask': 0.75})
    """
    best = int(probabilities.argmax())
    by_class = {name: float(value) for name, value in zip(classes, probabilities, strict=True)}
    return Prediction(classes[best], by_class[classes[best]], by_class)
