"""YuNet by OpenCV: a small network for faces, its file downloaded by whoever wants it; sees most masked faces."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from configs.errors import InputError
from configs.schema import DetectConfig
from inference.backends.device import parse_device
from inference.detectors.detector import DEVICE_OPTION, BoxMapping, Detector, Shrunken
from transport.frame import Box

WHERE = "face_detection_yunet_2023mar.onnx of the OpenCV zoo"
# at .5 / .6 / .7 / .8 it finds 94 / 93 / 91 / 88 % of 383 faces (photos/val), with .96 / .75 / .54 / .34 false boxes a
# picture, of these .22 / .17 / .14 / .09 of 40 px and more
SCORE = 0.6
NMS_IOU = 0.3
MOST_FACES = 500  # before doubles are dropped
# Fitted by `python -m train.fit_boxes` on the faces of 1,068 photographs. On 247 others the crops around mapped boxes
# overlap those around annotated ones by (median IoU, unmapped -> mapped) .70 -> .77 masked, .73 -> .76 bare, .73 -> .75
# wrongly masked; .82 where the annotators were of one mind (amvd_): of the others, half of the widths lie in .89..1.17.
MAPPING = BoxMapping(x=0.007, y=0.093, width=1.016, height=0.923)


class YunetDetector(Detector):
    """All faces in one pass: 320 px wide 2.6 ms, 640 px 10 ms on one core of an AMD EPYC.

    Raises InputError for a file that is missing or that OpenCV cannot run as YuNet.
    """

    about = "OpenCV's network, needs its file"
    ships = False
    on_cuda = True
    mapping = MAPPING

    def __init__(self, config: DetectConfig) -> None:
        super().__init__(config)
        if not config.model:
            raise InputError(f"detector yunet: needs a model file, --detector-model FILE ({WHERE})")
        path = Path(config.model)
        if not path.is_file():
            raise InputError(f"{path}: no such model file of a detector ({WHERE})")
        backend, target = dnn_device(config.device)
        self.name = f"yunet {path.name}{' on CUDA' if target else ''}"
        self.score = SCORE if config.score is None else config.score
        level = cv2.utils.logging.getLogLevel()
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # it prints what we say in one line
        try:
            self._network = cv2.FaceDetectorYN.create(
                str(path), "", (64, 64), self.score, NMS_IOU, MOST_FACES, backend, target
            )
            self._network.detect(np.zeros((64, 64, 3), np.uint8))
        except cv2.error as error:
            raise InputError(f"{path}: not a YuNet model that OpenCV can run ({error.err}); get {WHERE}") from error
        finally:
            cv2.utils.logging.setLogLevel(level)

    def scored(self, picture: Shrunken, least: float) -> list[tuple[Box, float]]:
        self._network.setScoreThreshold(least)
        height, width = picture.grey.shape
        self._network.setInputSize((width, height))
        _, faces = self._network.detect(picture.bgr)
        if faces is None:
            return []
        # of a grey picture of 900 x 33 px OpenCV once gave a box of no size, a hundred million px away
        middles = faces[:, :2] + faces[:, 2:4] / 2
        real = (faces[:, 2:4] >= 1).all(axis=1) & ((middles >= 0) & (middles <= (width, height))).all(axis=1)
        return self.of_allowed_size(faces[real, :4], faces[real, -1], picture)


def dnn_device(device: str) -> tuple[int, int]:
    """What OpenCV calls the backend and the target of a device. Raises InputError for one that it cannot use."""
    number = parse_device(device, DEVICE_OPTION)
    there = cv2.dnn.DNN_TARGET_CUDA in cv2.dnn.getAvailableTargets(cv2.dnn.DNN_BACKEND_CUDA)
    if number is None and not (device == "auto" and there):
        return cv2.dnn.DNN_BACKEND_DEFAULT, cv2.dnn.DNN_TARGET_CPU
    if not there:
        raise InputError(
            f"{DEVICE_OPTION} {device}: this OpenCV is built without CUDA, as PyPI's wheels are: take cpu, "
            "or --detector maskface"
        )
    if number:  # it chooses the card for a thread, and each search has its own
        raise InputError(f"{DEVICE_OPTION} {device}: yunet takes the first card: set CUDA_VISIBLE_DEVICES={number}")
    return cv2.dnn.DNN_BACKEND_CUDA, cv2.dnn.DNN_TARGET_CUDA
