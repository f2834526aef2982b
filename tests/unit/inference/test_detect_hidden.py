"""With privacy, detect also finds what may be a face, and keeps pictures until they are searched for them."""

import time
from itertools import chain, islice

import numpy as np
import pytest
from msgspec.structs import replace
from test_detect import film

from capture.demo import DemoScene
from configs.schema import DetectConfig
from inference.detect import detect
from transport.frame import Frame, Held, iou
from transport.stage import StageContext


@pytest.mark.parametrize(
    ("config", "fields"), [({}, {}), ({}, {"live": True}), ({"every": 1}, {}), ({}, {"name": "a.png"})]
)
def test_what_may_be_a_face_is_found_only_where_it_is_asked_for(config, fields):
    def seen(candidates, until=352):
        scene, counts = DemoScene(), StageContext()
        options = DetectConfig(candidates=candidates, **config)
        pictures = map(as_they_come, chain(film(scene, 336, until, **fields), ticks() if candidates else ()))
        results = (one for one in detect(options, pictures, counts) if isinstance(one, Frame))
        for frame in islice(results, until - 336):
            yield frame, [face for face, _ in scene.truth(frame.seq)]

    def all_hidden(frame, truth):
        return all(any(iou(face, one.box) > 0.3 for one in frame.candidates) for face in truth)

    assert not any(frame.candidates for frame, _ in seen(False))
    frames = []
    for frame, truth in seen(True, until=480 if "live" in fields else 352):
        frames.append((frame, truth))
        if frame.live and all_hidden(frame, truth):  # a search beside takes as long as a busy machine lets it
            break
    assert all_hidden(*frames[-1])
    of_faces = {one.track for frame, _ in frames for one in frame.faces} - {None}
    assert not of_faces & {one.track for frame, _ in frames for one in frame.candidates}


def as_they_come(batch):
    """Live pictures are captured now, and searched beside the next ones."""
    time.sleep(0.05 if batch and batch[0].live else 0)
    return [replace(frame, captured_ns=time.monotonic_ns()) if frame.live else frame for frame in batch]


def ticks():
    """Nothing comes, as after the end of a film: what waits for searches goes on when they are in."""
    for _ in range(1000):
        yield []
        time.sleep(0.01)
    raise AssertionError("pictures still wait for searches")


def shown(config, *frames):
    """What comes out of the detect stage after these, ended and held ones left out."""
    results = detect(config, chain([[frame] for frame in frames], ticks()), StageContext())
    return list(islice((one for one in results if isinstance(one, Frame)), len(frames)))


@pytest.mark.parametrize("every", ["auto", 1])
def test_a_damaged_picture_is_searched_where_faces_are_to_be_hidden(every):
    damaged = Frame("demo", 0, 0, DemoScene().picture(340), media_ms=0.0, corrupt=True)
    assert [len(out.faces) for out in detect(DetectConfig(every=every), [[damaged]], StageContext())] == [0]
    assert [len(out.faces) for out in shown(DetectConfig(every=every, candidates=True), damaged)] == [3]


def test_the_last_pictures_of_a_film_are_searched_though_none_follows():
    """A person who comes in the last picture is hidden: searches come only now and then in between."""
    scene = DemoScene()
    nobody = np.full((480, 640, 3), 90, np.uint8)
    film = [Frame("demo", seq, seq * 40_000_000, nobody, media_ms=40.0 * seq) for seq in range(6)]
    film[-1] = replace(film[-1], pixels=scene.picture(340))
    out = shown(DetectConfig(candidates=True), *film)
    assert [frame.seq for frame in out] == list(range(6))
    truth = [face for face, _ in scene.truth(340)]
    assert all(any(iou(face, one.box) > 0.3 for one in out[-1].candidates) for face in truth)


def test_a_picture_of_a_camera_that_sends_few_waits_for_no_other():
    scene = DemoScene()
    out = shown(DetectConfig(candidates=True), Frame("door", 0, time.monotonic_ns(), scene.picture(340), live=True))
    truth = [face for face, _ in scene.truth(340)]
    assert all(any(iou(face, one.box) > 0.3 for one in out[0].candidates) for face in truth)


def test_pictures_that_are_searched_too_slowly_are_dropped_and_not_shown(monkeypatch):
    monkeypatch.setattr("inference.hold.LONGEST_NS", 0)
    frame = Frame("door", 0, time.monotonic_ns(), DemoScene().picture(340), live=True)
    held, dropped = detect(DetectConfig(candidates=True), [[frame], []], StageContext())
    assert isinstance(held, Held) or held.outcome == "stale"
    assert dropped.outcome == "stale"
