"""The model of the options on an inference server; what that does not answer, the local model does."""

from __future__ import annotations

import logging
from pathlib import Path
from threading import Lock

import msgspec
import numpy as np

from configs.plural import counted
from configs.schema import ClassifyConfig
from inference.backends.backend import Backend, varied_faces
from inference.backends.model_server import model_server
from inference.backends.remote_model import RemoteModel
from inference.preprocess import normalise
from transport.stage import StageContext

log = logging.getLogger("classify")


class RemoteBackend(Backend):
    """Takes resized crops, uint8 BGR, whatever the local model takes: they go to the server as they are.

    Which of the two answers stands in `context.says` as the provider, and how many faces each has answered in
    `context.counts`. Raises InputError for an address or a file that cannot be used; a server that is not there is
    none of these.
    """

    suffixes = ()

    def __init__(self, path: Path, config: ClassifyConfig, local: Backend, context: StageContext) -> None:
        self._local, self._context, self._path = local, context, path
        self._server = model_server(config)
        as_pixels = msgspec.structs.replace(local.preprocessing, normalised_inside=True)
        self.info = msgspec.structs.replace(local.info, preprocessing=as_pixels)
        self.provider, self.shift = local.provider, local.shift
        self._counts, self._counting = context.counts, Lock()
        self._counts.update(classified_remotely=0, classified_locally=0)
        self._local_before = 0
        probe = varied_faces(as_pixels)[2:]  # a slope and noise; of four a ResNet50 would need more than the deadline
        self._remote = RemoteModel(
            self._server, config.remote_deadline_ms / 1e3, probe, self._local_logits(probe), self._tell
        )

    def close(self) -> None:
        self._remote.close()

    def logits(self, faces: np.ndarray) -> np.ndarray:
        answer = self._remote.logits(faces)
        with self._counting:
            self._counts["classified_locally" if answer is None else "classified_remotely"] += len(faces)
        return self._local_logits(faces) if answer is None else answer

    def _local_logits(self, pixels: np.ndarray) -> np.ndarray:
        preprocessing = self._local.preprocessing
        return self._local.logits(pixels if preprocessing.normalised_inside else normalise(pixels, preprocessing))

    def _tell(self, reason: str) -> None:
        """Say once that the server answers, or why not."""
        shown, classified_locally = self._server.shown, self._counts["classified_locally"]
        if reason:
            self._local_before = classified_locally
            self._context.says["provider"] = f"{self.provider}, as {shown} is not used"
            log.warning("%s: %s; %s answers locally", shown, reason, self._path.name)
            return
        self._context.says["provider"] = shown
        meanwhile = counted(classified_locally - self._local_before, "face")
        log.info("%s answers (%s classified locally before)", shown, meanwhile)
