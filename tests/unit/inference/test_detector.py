"""What all detectors share: pictures shrunk for the search, and searched in the mirror."""

import cv2
import numpy as np
import pytest

from capture.demo import DemoScene
from configs.schema import DetectConfig
from inference.detectors import open_detector
from inference.detectors.detector import BoxMapping, Detection, Detector, Shrunken, mirror_image, shrink, stretched
from transport.frame import Box, iou


class LeftHalf(Detector):
    """Sees one rectangle, always at the same place."""

    mapping = BoxMapping(x=0.1, y=0.0, width=1.0, height=0.5)

    def scored(self, picture, least):
        return [(Box(10, 20, 30, 40), 0.9), (Box(100, 20, 30, 40), 0.8)]


def test_what_is_found_in_the_mirror_is_told_where_it_is():
    picture = shrink(np.zeros((240, 320, 3), np.uint8), 320)
    detector = LeftHalf(DetectConfig())
    assert detector.detect(picture) == [
        Detection(Box(13, 30, 30, 20), 0.9),
        Detection(Box(103, 30, 30, 20), 0.8),
    ]
    assert detector.detect(picture, mirrored=True) == [
        Detection(Box(320 - 103 - 30, 30, 30, 20), 0.8),
        Detection(Box(320 - 13 - 30, 30, 30, 20), 0.9),
    ]


def test_the_mirror_image_of_the_mirror_image_is_the_picture():
    picture = shrink(np.random.default_rng(0).integers(0, 255, (9, 7, 3), np.uint8), 7)
    twice = mirror_image(mirror_image(picture))
    assert (twice.bgr == picture.bgr).all()
    assert (twice.grey == picture.grey).all()
    assert (mirror_image(picture).grey[:, 0] == picture.grey[:, -1]).all()


@pytest.mark.parametrize("options", [{"detector": "haar"}, {"detector": "maskface"}, {"verify": False}])
def test_faces_lie_at_the_same_places_in_the_mirror(options):
    scene = DemoScene()
    picture = shrink(scene.picture(25), 320)
    detector = open_detector(DetectConfig(**options))
    [plain], [mirrored] = (
        [box for box, score in detector.detect(picture, way) if score >= detector.score] for way in (False, True)
    )
    assert iou(plain, mirrored) > 0.5


def test_greys_that_lie_close_together_are_spread_but_not_by_more_than_two():
    ramp = np.tile(np.arange(0, 256, dtype=np.uint8), (40, 2))
    picture = shrink(cv2.cvtColor(ramp, cv2.COLOR_GRAY2BGR), 512)
    for low, high, spread in ((0, 255, (0, 255)), (60, 200, (0, 255)), (120, 160, (87, 168))):
        hazy = (low + picture.grey / 255.0 * (high - low)).round().astype(np.uint8)
        clear = stretched(Shrunken(cv2.cvtColor(hazy, cv2.COLOR_GRAY2BGR), hazy, 1.0))
        assert (int(clear.grey.min()), int(clear.grey.max())) == pytest.approx(spread, abs=2)
        assert (clear.bgr[..., 1] == clear.grey).all()


@pytest.mark.parametrize("detector", ["haar", "maskface"])
def test_faces_are_found_in_haze(detector):
    scene = DemoScene()
    opened = open_detector(DetectConfig(detector=detector))
    clear = [scene.picture(index) for index in (25, 340)]
    hazy = [(150 + 0.3 * (picture.astype(float) - 128)).astype(np.uint8) for picture in clear]
    assert [len(opened.find(picture)) for picture in hazy] == [len(opened.find(picture)) for picture in clear] == [1, 3]
