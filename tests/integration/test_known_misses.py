"""What the user is told of each detector is what it sees, measured again."""

import cv2
import pytest
from program import ROOT

from configs.known_misses import LIVE_PX, SEEN, WIDE_PX
from configs.schema import DetectConfig
from inference.detect import open_detector
from train.detector_scores import of_class, recall
from train.evaluate_detector import LEAST_PX
from train.photos import read_photos
from train.sightings import sight

SHARED = ROOT / ".." / "shared"
SCENES, YUNET = SHARED / "data" / "scenes", SHARED / "models" / "face_detection_yunet_2023mar.onnx"


@pytest.mark.parametrize("width", [WIDE_PX, LIVE_PX])
@pytest.mark.parametrize("detector", SEEN)
def test_the_known_misses_are_measured_again(detector, width):
    if not SCENES.is_dir():
        pytest.skip("needs the scenes of shared/data")
    cv2.setNumThreads(1)
    model = str(YUNET) if detector == "yunet" else ""
    opened = open_detector(DetectConfig(detector=detector, model=model, width=width))
    # live pictures are searched for faces as small as the options leave it, photographs for all that count
    least_px = LEAST_PX if width == WIDE_PX else None
    sightings = [sight(photo, opened, None, least_px) for photo in read_photos(SCENES)]
    told = SEEN[detector][width]
    for share, label in ((told.bare, "no_mask"), (told.masked, "mask"), (told.wrong, "wrong_mask")):
        assert recall(sightings, of_class(label)) == pytest.approx(share, abs=0.03), label
    assert sum(len(one.false) for one in sightings) / len(sightings) == pytest.approx(told.false, abs=0.05)
