"""The model of the options on an inference server; what that does not answer is answered here, by the same model."""

from __future__ import annotations

import logging
from pathlib import Path

import msgspec
import numpy as np

from configs.plural import counted
from configs.schema import ClassifyConfig
from inference.backends.backend import Backend, varied_faces
from inference.backends.far_model import FarModel
from inference.backends.model_server import model_server
from inference.preprocess import normalise
from transport.stage import StageContext

log = logging.getLogger("classify")


class RemoteBackend(Backend):
    """Takes resized crops, uint8 BGR, whatever the model here takes: they go to the server as they are.

    Which of the two answers stands in `context.says` as the provider, and how many faces each has answered in
    `context.counts`. Raises InputError for an address or a file that cannot be used; a server that is not there is
    none of these.
    """

    suffixes = ()

    def __init__(self, path: Path, config: ClassifyConfig, here: Backend, context: StageContext) -> None:
        self._here, self._context, self._path = here, context, path
        self._server = model_server(config)
        as_pixels = msgspec.structs.replace(here.preprocessing, normalised_inside=True)
        self.info = msgspec.structs.replace(here.info, preprocessing=as_pixels)
        self.provider = here.provider
        self._counts = context.counts
        self._counts.update(classified_remotely=0, classified_here=0)
        self._here_before = 0
        probe = varied_faces(as_pixels)[2:]  # a slope and noise; of four a ResNet50 would need more than the deadline
        self._far = FarModel(self._server, config.remote_deadline_ms / 1e3, probe, self._answer_here(probe), self._tell)

    def close(self) -> None:
        self._far.close()

    def logits(self, faces: np.ndarray) -> np.ndarray:
        answer = self._far.logits(faces)
        if answer is not None:
            self._counts["classified_remotely"] += len(faces)
            return answer
        self._counts["classified_here"] += len(faces)
        return self._answer_here(faces)

    def _answer_here(self, pixels: np.ndarray) -> np.ndarray:
        preprocessing = self._here.preprocessing
        return self._here.logits(pixels if preprocessing.normalised_inside else normalise(pixels, preprocessing))

    def _tell(self, reason: str) -> None:
        """Say once that the server answers, or why not."""
        shown, answered_here = self._server.shown, self._counts["classified_here"]
        if reason:
            self._here_before = answered_here
            self._context.says["provider"] = f"{self.provider}, as {shown} is not used"
            log.warning("%s: %s; %s answers here", shown, reason, self._path.name)
            return
        self._context.says["provider"] = shown
        meanwhile = counted(answered_here - self._here_before, "face")
        log.info("%s answers; %s were classified here before", shown, meanwhile)
