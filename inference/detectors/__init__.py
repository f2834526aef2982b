"""Detectors: what finds faces in a picture. Each is a class in a file of its own and a line in the table."""

from __future__ import annotations

from configs.errors import InputError
from configs.schema import DetectConfig
from inference.backends.device import parse_device
from inference.detectors.detector import DEVICE_OPTION, Detector
from inference.detectors.maskface import MaskfaceDetector
from inference.detectors.verified_haar import VerifiedHaarDetector
from inference.detectors.verified_maskface import VerifiedMaskfaceDetector
from inference.detectors.yunet import YunetDetector

DETECTORS: dict[str, type[Detector]] = {
    "haar": VerifiedHaarDetector,
    "maskface": VerifiedMaskfaceDetector,
    "yunet": YunetDetector,
}
CANDIDATE_SCORE = 0.2  # of maskface, for whatever may be a face: where it is hidden YuNet finds none on the pan_ films


def open_detector(config: DetectConfig) -> Detector:
    """The detector of the options; raises InputError for one that is unknown, and for what it needs and lacks."""
    return detector_kind(config)(config)


def detector_kind(config: DetectConfig) -> type[Detector]:
    """The class of the detector of the options; raises InputError for one that is unknown, or not for their device."""
    kind = DETECTORS.get(config.detector)
    if kind is None:
        raise InputError(f"detector {config.detector!r} is unknown; known are {', '.join(DETECTORS)}")
    if parse_device(config.device, DEVICE_OPTION) is not None and not kind.on_cuda:
        raise InputError(
            f"{DEVICE_OPTION} {config.device}: {config.detector} runs on the CPU only: take cpu, or --detector maskface"
        )
    if config.verify:
        return kind
    if kind.unverified is None:
        raise InputError(
            f"detect.verify: haar and maskface have a verifier that could be left out, {config.detector} has none"
        )
    return kind.unverified


def open_candidate_detector(config: DetectConfig) -> Detector:
    """What finds places that may be faces: ours that ships, at a low score."""
    return MaskfaceDetector(
        DetectConfig(
            detector="maskface",
            score=CANDIDATE_SCORE,
            width=config.width_px,
            max_face=config.max_face,
            device=config.device,
        )
    )


def detectors_in_words() -> str:
    """For the help of options: `haar: OpenCV's cascade, ...; maskface: ...`."""
    return "; ".join(f"{name}: {kind.about}" for name, kind in DETECTORS.items())
