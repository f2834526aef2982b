"""YuNet finds faces in one pass, boxes them like an annotator, and says what is wrong with its file."""

from pathlib import Path

import numpy as np
import pytest

from capture.demo import DemoScene
from configs.errors import InputError
from configs.schema import DetectConfig
from inference.backends import SHIPPED_MODEL
from inference.detect import detect
from inference.detectors import open_detector
from inference.detectors.detector import shrink
from transport.frame import Box, Frame, iou
from transport.stage import StageContext

MODEL = Path(__file__).resolve().parents[3] / ".." / "shared" / "models" / "face_detection_yunet_2023mar.onnx"
needs_model = pytest.mark.skipif(not MODEL.is_file(), reason=f"no {MODEL}")


def yunet(**options):
    return open_detector(DetectConfig(detector="yunet", model=str(MODEL), **options))


@needs_model
def test_faces_of_the_demo_are_found_and_boxed():
    scene, detector = DemoScene(), yunet()
    assert detector.name == "yunet face_detection_yunet_2023mar.onnx"
    for index in (25, 340, 370):
        boxes = detector.find(scene.picture(index))
        truth = scene.truth(index)
        assert len(boxes) == len(truth)
        assert all(any(iou(face, box) > 0.6 for box in boxes) for face, _ in truth)


@needs_model
def test_what_is_sure_is_part_of_what_is_found():
    picture = shrink(DemoScene().picture(340), 320)
    detector = yunet()
    assert len(detector.sure(picture)) == 3
    assert [one for one in detector.detect(picture) if one.score >= detector.score] == detector.sure(picture)


@needs_model
def test_faces_of_another_size_than_asked_for_are_left_out():
    picture = DemoScene().picture(25)  # its face is a third of the picture's height
    assert yunet(min_face=0.2).find(picture)
    assert yunet(min_face=0.6).find(picture) == ()
    assert yunet(max_face=0.15).find(picture) == ()


@needs_model
@pytest.mark.parametrize("size", [(1, 1), (10, 12), (480, 641), (33, 900)])
def test_a_picture_of_any_size_is_searched(size):
    assert yunet().find(np.full((*size, 3), 128, np.uint8)) == ()


@needs_model
def test_boxes_of_no_size_and_beyond_the_picture_are_no_faces():
    detector = yunet()
    far, empty, real = (-1e8, -4e7, 0, 0), (40, 40, 0, 0), (100, 80, 50, 60)
    rows = np.array([(*box, *[0.0] * 10, 0.9) for box in (far, empty, real)], np.float32)

    class Network:
        def setScoreThreshold(self, score): ...

        def setInputSize(self, size): ...

        def detect(self, picture):
            return 1, rows

    detector._network = Network()
    [box] = detector.find(np.full((240, 320, 3), 128, np.uint8))
    assert detector.mapping.apply(Box(*map(float, real))) == box


@needs_model
def test_the_stage_follows_what_it_finds():
    scene, context = DemoScene(), StageContext()
    film = [[Frame("demo", seq, 0, scene.picture(seq), media_ms=40.0 * seq)] for seq in range(340, 360)]
    out = list(detect(DetectConfig(detector="yunet", model=str(MODEL)), film, context))
    assert {len(frame.faces) for frame in out} == {3}
    assert len({face.track for frame in out for face in frame.faces}) == 3
    assert context.facts["detector"].startswith("yunet")


def test_without_a_model_it_says_how_to_give_one():
    with pytest.raises(InputError, match=r"yunet: needs a model file, --detector-model FILE"):
        open_detector(DetectConfig(detector="yunet"))


def test_a_missing_model_is_named():
    with pytest.raises(InputError, match=r"nowhere\.onnx: no such model file"):
        open_detector(DetectConfig(detector="yunet", model="nowhere.onnx"))


def test_a_file_that_is_no_model_and_one_that_is_another_are_refused(tmp_path):
    text = tmp_path / "text.onnx"
    text.write_text("I am no model\n" * 100)
    for path in (text, SHIPPED_MODEL):
        with pytest.raises(InputError, match=f"{path.name}: not a YuNet model") as refused:
            open_detector(DetectConfig(detector="yunet", model=str(path)))
        assert "\n" not in str(refused.value)
