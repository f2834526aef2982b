"""The classify stage: says of each face how its mask is worn; all faces that wait share forward passes."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from itertools import repeat
from typing import NamedTuple

import numpy as np
from msgspec.structs import replace as replace_fields

from configs.lettering import say_undrawable
from configs.plural import counted
from configs.schema import ClassifyConfig
from inference.backends import Backend, model_file, open_backend
from inference.person import Person
from inference.preprocess import crop_face, prepare
from transport.cores import give_way
from transport.frame import Face, Frame
from transport.stage import Batches, StageContext

log = logging.getLogger("classify")

MOST_BESIDE = 8  # faces in a forward pass beside live frames on a CPU: a new face waits for no more than that many


def classify(config: ClassifyConfig, batches: Batches, context: StageContext) -> Iterator[Frame]:
    """Stage function: frames with faces in, the same frames with a prediction on every face out.

    A followed face is asked about when it is new, then every `refresh_ms`, sooner while the answers are not clear.
    Live frames never wait: their crops are classified in a thread beside them, and until the first answer a face
    has no prediction. In a picture that is marked as damaged no face is asked about.
    """
    backend = open_backend(config)
    model = model_file(config).name
    context.facts.update(model=model, provider=backend.provider, classes=", ".join(backend.classes))
    say_undrawable("the class names", backend.classes)
    log.info("%s by %s, classes %s", model, backend.provider, ", ".join(backend.classes))
    with ThreadPoolExecutor(1, "beside", give_way) as beside:
        persons = Persons(backend, config, beside)
        frames_seen = faces_seen = 0
        for frames in batches:
            for stream in context.ended:
                persons.forget(stream)
            yield from persons.predicted(frames)
            context.counts["classified"] = persons.asked
            frames_seen += len(frames)
            faces_seen += sum(len(frame.faces) for frame in frames)
    seen = f"{counted(faces_seen, 'face')} in {counted(frames_seen, 'frame')}"
    log.info("%s, %d of them classified", seen, persons.asked)


class Ask(NamedTuple):
    """A crop to be classified, whose it is, and the time of its picture in ms."""

    crop: np.ndarray
    person: Person
    at_ms: float


class Persons:
    """The faces of all streams, those that are followed with what was said of them before."""

    def __init__(self, backend: Backend, config: ClassifyConfig, beside: ThreadPoolExecutor) -> None:
        self._backend, self._config, self._beside = backend, config, beside
        on_cpu = "cuda" not in backend.provider.lower()
        self._most_beside = min(MOST_BESIDE, config.max_batch) if on_cpu else config.max_batch
        self._followed: dict[str, dict[int, Person]] = {}
        self._under_way: tuple[list[Ask], Future[list[np.ndarray]]] | None = None
        self.asked = 0

    def predicted(self, frames: Sequence[Frame]) -> Iterator[Frame]:
        """The frames with a prediction on every face; the crops that are due share forward passes."""
        if self._under_way is not None and self._under_way[1].done():
            self._hear(self._under_way[0], self._under_way[1].result())
            self._under_way = None
        people = [self._people_in(frame) for frame in frames]
        now: list[Ask] = []
        beside: dict[Person, Ask] = {}  # of a person who is in several frames the newest crop
        for frame, persons in zip(frames, people, strict=True):
            for face, person in zip(frame.faces, persons, strict=True):
                crop = crop_face(frame.image, face.box, self._backend.preprocessing.margin)
                if frame.corrupt or not person.due(time_ms(frame), self._config.refresh_ms, crop):
                    continue
                ask = Ask(crop, person, time_ms(frame))
                if frame.live and face.track is not None:
                    beside[person] = ask
                else:
                    person.asked(ask.crop, ask.at_ms)
                    now.append(ask)
        self._hear(now, self._answers([ask.crop for ask in now]))
        if beside and self._under_way is None:
            self._ask_beside(sorted(beside.values(), key=lambda ask: ask.person.urgency)[: self._most_beside])
        for frame, persons in zip(frames, people, strict=True):
            faces = tuple(map(self._with_prediction, frame.faces, persons, repeat(time_ms(frame))))
            yield replace(frame, faces=faces) if faces else frame

    def forget(self, stream: str) -> None:
        """The stream has ended: a later one of its name has other people."""
        self._followed.pop(stream, None)

    def _people_in(self, frame: Frame) -> list[Person]:
        """Who the faces of a frame are. A track that is not in a frame does not come back: it is forgotten."""
        known = self._followed.get(frame.stream, {})
        people = [known.get(face.track, Person()) if face.track is not None else Person() for face in frame.faces]
        faces = zip(frame.faces, people, strict=True)
        self._followed[frame.stream] = {face.track: person for face, person in faces if face.track is not None}
        return people

    def _ask_beside(self, asks: list[Ask]) -> None:
        """Have crops classified in the thread; they are copied, their slot may be another frame's by then."""
        for ask in asks:
            ask.person.asked(ask.crop, ask.at_ms)
        self._under_way = asks, self._beside.submit(self._answers, [ask.crop.copy() for ask in asks])

    def _answers(self, crops: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Probabilities (C,) of each crop."""
        return list(probabilities_of(crops, self._backend, self._config.max_batch))

    def _hear(self, asks: Sequence[Ask], answers: Sequence[np.ndarray]) -> None:
        self.asked += len(asks)
        for ask, probabilities in zip(asks, answers, strict=True):
            ask.person.heard(probabilities, ask.at_ms)

    def _with_prediction(self, face: Face, person: Person, now_ms: float) -> Face:
        said = person.decision(self._backend.classes, now_ms, may_doubt=face.track is not None)
        return replace_fields(face, prediction=said)


def time_ms(frame: Frame) -> float:
    """The time of a picture: its place in a film, else when it was captured."""
    return frame.captured_ns / 1e6 if frame.live or frame.media_ms is None else frame.media_ms


def probabilities_of(crops: Sequence[np.ndarray], backend: Backend, max_batch: int) -> Iterator[np.ndarray]:
    """Probabilities (C,) of each crop (H, W, 3) uint8 BGR, in order, at most `max_batch` in one forward pass."""
    for start in range(0, len(crops), max_batch):
        yield from backend.probabilities(prepare(crops[start : start + max_batch], backend.preprocessing))
