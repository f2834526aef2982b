"""Names what finds and what labels faces by their files: known errors (share/errors.py) are told of these only."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from pathlib import Path

from configs.schema import BALANCED, ClassifyConfig
from inference.backends import model_file
from inference.detectors.detector import Detector
from inference.detectors.maskface import SHIPPED_DETECTOR
from inference.detectors.verifier import VERIFIER
from inference.original import there

DIGITS = 16  # of a digest: enough to tell files apart


def found_by(detector: Detector) -> str:
    """Of a detector as it ships: its name in the options, and the digest of its networks; else empty."""
    if not (detector.is_as_measured and detector.ships):
        return ""
    return f"{detector.config.detector} {digest((SHIPPED_DETECTOR, VERIFIER))}"


def labelled_by(config: ClassifyConfig) -> str:
    """Of a classifier that runs here as it was trained: the digest of its file; else empty."""
    if config.remote or config.prefer != BALANCED:
        return ""
    return digest((there(model_file(config)),))


@lru_cache
def digest(files: tuple[Path, ...]) -> str:
    """Of what is in the files."""
    together = sha256()
    for file in files:
        together.update(file.read_bytes())  # 6 MB of the classifier: 4 ms
    return together.hexdigest()[:DIGITS]
