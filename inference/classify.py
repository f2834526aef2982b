"""The classify stage: says of each face how its mask is worn; all faces that wait share forward passes."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain

import numpy as np
from msgspec.structs import replace

from configs.lettering import say_undrawable
from configs.plural import counted
from configs.schema import ClassifyConfig
from inference.backends import model_file, open_backend
from inference.backends.backend import Backend
from inference.hidden import LONGEST_MS
from inference.measured import labelled_by
from inference.person import PersonState, Request
from inference.preprocess import crop_box, prepare
from transport.cores import give_way
from transport.frame import Face, Frame, Prediction, time_ms
from transport.pixels import Pixels
from transport.stage import Batches, StageContext

log = logging.getLogger("classify")

MOST_BESIDE = 8  # faces in a forward pass beside live frames on a CPU: a new face waits for no more than that many


def classify(config: ClassifyConfig, batches: Batches, context: StageContext) -> Iterator[Frame]:
    """Stage function: frames with faces in, the same frames with a prediction on every face out.

    A followed face is asked about when it is new, then every `refresh_ms`, sooner while the answers are not clear.
    Live frames never wait: their crops are classified in a thread beside them, and until the first answer a face
    has no prediction. In a picture that is marked as damaged no face is asked about.
    """
    with classifier(config, context) as backend, ThreadPoolExecutor(1, "beside", give_way) as beside:
        model, provider = model_file(config).name, context.says.get("provider", backend.provider)
        context.facts.update(model=model, provider=provider, classes=", ".join(backend.classes))
        context.says["labelled_by"] = labelled_by(config)
        say_undrawable("the class names", backend.classes)
        log.info("%s by %s, classes %s", model, provider, ", ".join(backend.classes))
        persons = PersonStates(backend, config, beside)
        frames_seen = faces_seen = 0
        for frames in batches:
            for stream in context.ended:
                persons.forget(stream)
            yield from persons.predicted(frames)
            context.counts["classified"] = persons.answers
            frames_seen += len(frames)
            faces_seen += sum(len(frame.faces) for frame in frames)
    seen = f"{counted(faces_seen, 'face')} in {counted(frames_seen, 'frame')}"
    log.info("%s, %d of them classified", seen, persons.answers)


@contextmanager
def classifier(config: ClassifyConfig, context: StageContext) -> Iterator[Backend]:
    """The model of the options; asked on an inference server where one is given, and locally while that is away."""
    local = open_backend(config)
    if not config.remote:
        yield local
        return
    from inference.backends.remote_backend import RemoteBackend

    with closing(RemoteBackend(model_file(config), config, local, context)) as remote:
        yield remote


@dataclass(slots=True, eq=False)
class Sighting:
    """One face of one frame: whose it is, in which pixels, when its picture was taken, ms; in the end its prediction.

    `waits`: the frame waits for the answer about it, as frames of files do; `usable`: its picture is not damaged;
    `back`: the face was hidden in the frame before.
    """

    face: Face
    person: PersonState
    pixels: Pixels
    at_ms: float
    waits: bool
    usable: bool
    back: bool = False
    prediction: Prediction | None = None
    _crop: np.ndarray | None = None

    def crop(self, margin: float) -> np.ndarray:
        """The crop of the face, (H, W, 3) uint8 BGR; made when it is asked for: most frames' are not."""
        if self._crop is None:
            box, pixels = self.face.box, self.pixels
            self._crop = pixels.crop(*crop_box(box, pixels.width, pixels.height, margin))
        return self._crop


class PersonStates:
    """The faces of all streams, those that are followed with the answers about them so far."""

    def __init__(self, backend: Backend, config: ClassifyConfig, beside: ThreadPoolExecutor) -> None:
        self._backend, self._config, self._beside = backend, config, beside
        on_cpu = "cuda" not in backend.provider.lower()
        self._most_beside = min(MOST_BESIDE, config.max_batch) if on_cpu else config.max_batch
        self._followed: dict[str, dict[int, PersonState]] = {}
        self._under_way: tuple[list[Request], Future[list[np.ndarray]]] | None = None
        self.answers = 0

    def predicted(self, frames: Sequence[Frame]) -> Iterator[Frame]:
        """The frames with a prediction on every face; the crops that are due share forward passes.

        Of files each prediction follows from the frames before it only, however many are waiting: see `_round`.
        """
        if self._under_way is not None and self._under_way[1].done():
            for request, probabilities in zip(self._under_way[0], self._under_way[1].result(), strict=True):
                self._update(request, probabilities)
            self._under_way = None
        sightings = [self._sightings_in(frame) for frame in frames]
        waiting: dict[PersonState, deque[Sighting]] = {}
        for sighting in chain.from_iterable(sightings):
            waiting.setdefault(sighting.person, deque()).append(sighting)
        while waiting:
            self._round(waiting)
            waiting = {person: left for person, left in waiting.items() if left}
        self._request_beside([sighting for sighting in chain.from_iterable(sightings) if not sighting.waits])
        for frame, found in zip(frames, sightings, strict=True):
            faces = tuple(replace(one.face, prediction=one.prediction) for one in found)
            yield replace(frame, faces=faces) if faces else frame

    def forget(self, stream: str) -> None:
        """The stream has ended: a later one of its name has other people."""
        self._followed.pop(stream, None)

    def _sightings_in(self, frame: Frame) -> list[Sighting]:
        """The faces of a frame. Who is not in it may be hidden, and is kept as long as the track may come back."""
        known, at_ms, sightings = self._followed.setdefault(frame.stream, {}), time_ms(frame), []
        for face in frame.faces:
            followed = face.track is not None
            person = known.get(face.track) if face.track is not None else None
            if person is None:
                person = PersonState()
                if face.track is not None:
                    known[face.track] = person
            waits = not (frame.live and followed)
            usable = not frame.corrupt
            sightings.append(Sighting(face, person, frame.pixels, at_ms, waits, usable, back=person.hidden))
            person.seen_ms, person.hidden = at_ms, False
        if len(known) > len(sightings):
            here = {one.face.track for one in sightings}
            for track in known.keys() - here:
                known[track].hidden = True
                if not 0 <= at_ms - known[track].seen_ms <= LONGEST_MS:
                    del known[track]
        return sightings

    def _round(self, waiting: Mapping[PersonState, deque[Sighting]]) -> None:
        """One forward pass, and the predictions of all faces up to where a request may depend on an answer of it.

        Each person's faces are in the order of their frames. If all were asked about at once, the answers about a
        frame would decide whether an earlier one is asked about, and so would the number of frames that wait.
        """
        steps = [step for left in waiting.values() for step in self._steps(left)]
        answers = iter(self._answers([request.crop for _, request in steps if request is not None]))
        for sighting, request in steps:
            if request is not None:
                self._update(request, next(answers))
            sighting.prediction = self._prediction(sighting)

    def _steps(self, left: deque[Sighting]) -> Iterator[tuple[Sighting, Request | None]]:
        """Take one person's faces of this round, each with the request that is due.

        One that is back begins another round: those from before get their predictions first.
        """
        first = left[0]
        while left:
            sighting, person, due = left[0], left[0].person, False
            if sighting.back:
                if sighting is not first:
                    return
                person.come_back(sighting.at_ms)
            if sighting.waits and sighting.usable:
                if person.depends_on_answers(sighting.at_ms, self._config.refresh_ms):
                    return
                due = self._due(sighting)
            yield left.popleft(), person.submit(self._crop(sighting), sighting.at_ms) if due else None

    def _crop(self, sighting: Sighting) -> np.ndarray:
        return sighting.crop(self._backend.preprocessing.margin)

    def _due(self, sighting: Sighting) -> bool:
        return sighting.person.due(sighting.at_ms, self._config.refresh_ms, lambda: self._crop(sighting))

    def _request_beside(self, live: Sequence[Sighting]) -> None:
        """Have crops that are due classified in the thread; they are copied, their slot may be another frame's by then.

        Of a person who is in several frames it is the newest crop.
        """
        due = {one.person: one for one in live if one.usable and self._due(one)}
        if not due or self._under_way is not None:
            return
        first = sorted(due.values(), key=lambda one: one.person.urgency)[: self._most_beside]
        requests = [one.person.submit(self._crop(one), one.at_ms) for one in first]
        self._under_way = requests, self._beside.submit(self._answers, [request.crop.copy() for request in requests])

    def _answers(self, crops: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Probabilities (C,) of each crop."""
        return list(probabilities_of(crops, self._backend, self._config.max_batch))

    def _update(self, request: Request, probabilities: np.ndarray) -> None:
        self.answers += 1
        request.person.update(request, probabilities)

    def _prediction(self, sighting: Sighting) -> Prediction | None:
        may_doubt = sighting.face.track is not None
        return sighting.person.decision(self._backend.classes, sighting.at_ms, may_doubt)


def probabilities_of(crops: Sequence[np.ndarray], backend: Backend, max_batch: int) -> Iterator[np.ndarray]:
    """Probabilities (C,) of each crop (H, W, 3) uint8 BGR, in order, at most `max_batch` in one forward pass."""
    for start in range(0, len(crops), max_batch):
        yield from backend.probabilities(prepare(crops[start : start + max_batch], backend.preprocessing))
