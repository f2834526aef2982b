"""One crop convention: where the true box of a face is known, each detector leads to the annotation's crop."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from capture.demo import DemoScene
from configs.schema import DetectConfig
from inference.detectors import open_detector
from inference.preprocess import CROP_MARGIN, crop_box
from transport.frame import Box, iou

YUNET = Path(__file__).parents[4] / "shared" / "models" / "face_detection_yunet_2023mar.onnx"


def crop(box: Box) -> Box:
    """The square that is classified, in a frame of the demo."""
    x0, y0, x1, y1 = crop_box(box, 640, 480, CROP_MARGIN)
    return Box(x0, y0, x1 - x0, y1 - y0)


@pytest.mark.parametrize("detector", ["haar", "maskface", "yunet"])
def test_crops_overlap_those_of_the_true_boxes_by_085(detector):
    """The median over persons, sizes and ways of wearing; on photographs annotators differ more (docs/detectors.md)."""
    if detector == "yunet" and not YUNET.is_file():
        pytest.skip("needs YuNet's file of shared/models")
    cv2.setNumThreads(1)
    opened = open_detector(DetectConfig(detector=detector, model=str(YUNET) if detector == "yunet" else ""))
    scene = DemoScene()
    overlaps = []
    for index in range(0, len(scene), 8):
        found = opened.find(scene.picture(index))
        for face, _ in scene.truth(index):
            best = max((box for box in found), key=lambda box: iou(box, face), default=None)
            if best is not None and iou(best, face) > 0.4:
                overlaps.append(iou(crop(best), crop(face)))
    assert len(overlaps) > 50
    assert np.median(overlaps) >= 0.85
