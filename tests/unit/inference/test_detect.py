"""The detect stage attaches faces, frame by frame, in order."""

import numpy as np
import pytest

from capture.demo import DemoScene
from configs.schema import DetectConfig
from inference.detect import detect
from transport.frame import Frame
from transport.stage import StageContext


@pytest.fixture(scope="module")
def frames() -> list[Frame]:
    """One person, nobody, three persons; read-only as in a slot."""
    scene = DemoScene()
    images = [scene.picture(25), np.full((480, 640, 3), 90, np.uint8), scene.picture(340)]
    for image in images:
        image.setflags(write=False)
    return [Frame("demo", seq, 1000 + seq, image, slot=seq) for seq, image in enumerate(images)]


def test_every_frame_comes_out_in_order_with_its_own_faces(frames):
    out = list(detect(DetectConfig(), [frames[:2], [], frames[2:]], StageContext()))
    assert [frame.seq for frame in out] == [0, 1, 2]
    assert [len(frame.faces) for frame in out] == [1, 0, 3]
    assert all(face.prediction is None for frame in out for face in frame.faces)


def test_nothing_else_of_a_frame_changes(frames):
    [out] = detect(DetectConfig(), [[frames[0]]], StageContext())
    assert out.image is frames[0].image
    assert (out.stream, out.captured_ns, out.slot) == ("demo", 1000, 0)


def test_the_detector_is_ready_and_named_before_a_frame_is_asked_for():
    context = StageContext()
    named = []

    def batches():
        named.append(context.facts["detector"])
        yield []

    assert list(detect(DetectConfig(cascade="alt2"), batches(), context)) == []
    assert named == ["haar frontalface_alt2"]
