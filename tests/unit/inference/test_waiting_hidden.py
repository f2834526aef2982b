"""A new face may wait up to 0.6 s for its number and box: with privacy it is hidden meanwhile, in each picture."""

import time
from itertools import islice

import numpy as np
import pytest
from msgspec.structs import replace

from configs.schema import DetectConfig
from inference import track
from inference.detect import detect
from inference.detectors.detector import scaled
from inference.waiting import waiting
from overlay.privacy import PrivacyMask
from train.synthesis.actors import portrait_actors, rooms
from train.synthesis.person_scene import SIZE
from train.synthesis.person_scenes import scenes
from transport.frame import Frame, iou, time_ms
from transport.pixels import Pixels
from transport.stage import StageContext

FPS = 12.0
UNTIL_S = 5.3  # somebody comes in at 4.4 s; one is hidden then who may be there, so the number is not clear at once


def played(patch):
    """What detect makes of the scene with privacy, its truth, and the faces that waited: their boxes and since when."""
    [room] = rooms(None, SIZE)
    [scene] = [one for one in scenes(portrait_actors(), [room], 0, FPS) if one.name == "waiting behind a pillar, 2 s"]
    pictures = list(islice(scene.play(), round(UNTIL_S * FPS)))
    waited = []

    def noted(*arguments):
        waited.append(waiting(*arguments))
        return waited[-1]

    def batches():
        for seq, (image, _) in enumerate(pictures):
            yield [Frame("hall", seq, 0, Pixels(image), media_ms=1000 * seq / FPS)]
        for _ in range(1000):  # nothing comes: what waits for searches goes on
            yield []
            time.sleep(0.01)

    patch.setattr(track, "waiting", noted)
    results = detect(DetectConfig(candidates=True), batches(), StageContext())
    frames = list(islice((one for one in results if isinstance(one, Frame)), len(pictures)))
    return frames, [faces for _, faces in pictures], [one for one in waited if one.waits_ms]


def open_shares(frames, truth, waited):
    """Of each face that waits, in each picture as it is shown: the share of its pixels that are as they were."""
    privacy = PrivacyMask("pixelate")
    noise = np.random.default_rng(0).integers(0, 256, (SIZE[1], SIZE[0], 3), np.uint8)
    for frame, faces in zip(frames, truth, strict=True):
        shown = privacy.hidden(replace(frame, pixels=Pixels(noise))).image
        as_it_was = (shown == noise).all(axis=2)
        for seen in faces:
            box = seen.box
            waits = any(
                0 <= time_ms(frame) - one.since_ms < one.waits_ms and iou(box, scaled(one.box, SIZE[0] / 320)) > 0.2
                for one in waited
            )
            if waits and not any(iou(box, face.box) > 0.3 for face in frame.faces):
                rows, columns = (
                    slice(round(at), round(at + size)) for at, size in ((box.y, box.height), (box.x, box.width))
                )
                yield float(as_it_was[rows, columns].mean())


@pytest.fixture(scope="module")
def scene():
    with pytest.MonkeyPatch.context() as patch:
        yield played(patch)


def test_all_of_a_face_that_waits_is_hidden_in_each_picture(scene):
    shares = list(open_shares(*scene))
    assert len(shares) >= 4
    assert max(shares) < 0.01


def test_it_would_be_seen_without_the_candidates(scene):
    frames, truth, waited = scene
    bare = [replace(frame, candidates=()) for frame in frames]
    assert min(open_shares(bare, truth, waited)) > 0.5
