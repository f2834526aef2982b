"""The detect stage attaches faces, frame by frame, in order."""

import time

import numpy as np
import pytest
from in_turn import InTurn
from msgspec.structs import replace

from capture.demo import DemoScene
from configs.known_misses import known_misses
from configs.schema import DetectConfig
from inference.detect import detect
from inference.detectors import DETECTORS
from inference.detectors.detector import Detection
from inference.detectors.verified_haar import VerifiedHaarDetector
from pipeline import LOOK_AHEAD
from transport.frame import Box, Frame, iou
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
    out = list(detect(DetectConfig(every=1), [frames[:2], [], frames[2:]], StageContext()))
    assert [frame.seq for frame in out] == [0, 1, 2]
    assert [len(frame.faces) for frame in out] == [1, 0, 3]
    assert all(face.prediction is None for frame in out for face in frame.faces)


def test_nothing_else_of_a_frame_changes(frames):
    [out] = detect(DetectConfig(every=1), [[frames[0]]], StageContext())
    assert out.image is frames[0].image
    assert (out.stream, out.captured_ns, out.slot) == ("demo", 1000, 0)


def test_the_detector_is_ready_and_named_before_a_frame_is_asked_for():
    context = StageContext()
    named = []

    def batches():
        named.append(context.facts["detector"])
        yield []

    assert list(detect(DetectConfig(), batches(), context)) == []
    assert named == ["haar frontalface_alt2 (7 of 20 stages), verified"]


@pytest.mark.parametrize(
    ("options", "told"),
    [({}, True), ({"width": 640, "every": 1}, True), ({"score": 0.3}, False), ({"verify": False}, False)],
)
def test_what_it_misses_is_told_only_where_it_was_measured_so(options, told):
    context = StageContext()
    list(detect(DetectConfig(**options), [], context))
    assert ("misses" in context.facts) == told


def test_what_is_missed_at_the_width_that_a_camera_is_searched_is_told(monkeypatch):
    monkeypatch.setattr("inference.search.ThreadPoolExecutor", InTurn)
    monkeypatch.setattr("inference.widths.SHARE", 1000.0)  # there is time for the widest
    scene, context = DemoScene(), StageContext()
    frames = [replace(frame, live=True) for [frame] in film(scene, 336, 376)]
    out = list(detect(DetectConfig(), [[frame] for frame in frames], context))
    assert context.says["misses"] == known_misses("haar", 640)  # the camera's own width
    assert "640 px wide" in context.says["misses"]
    hits = sum(found(scene.truth(frame.seq), frame)[0] for frame in out[5:])
    assert hits >= 0.97 * sum(len(scene.truth(frame.seq)) for frame in out[5:])


def test_of_a_detector_that_was_not_measured_no_misses_are_told(monkeypatch):
    context = StageContext()
    monkeypatch.setitem(DETECTORS, "middle", type("Middle", (VerifiedHaarDetector,), {}))
    list(detect(DetectConfig(detector="middle"), [], context))
    assert "misses" not in context.facts


def film(scene, first, last, **fields):
    return [
        [Frame("demo", seq, seq * 40_000_000, scene.picture(seq), media_ms=40.0 * seq, **fields)]
        for seq in range(first, last)
    ]


def found(truth, frame):
    """How many faces of the truth have a box on them, and how many boxes are on none."""
    hits = sum(any(iou(face, one.box) > 0.5 for one in frame.faces) for face, _ in truth)
    return hits, sum(all(iou(face, one.box) < 0.2 for face, _ in truth) for one in frame.faces)


def test_followed_faces_are_as_good_as_searched_ones_and_keep_their_number():
    scene = DemoScene()
    out = list(detect(DetectConfig(), film(scene, 336, 396), StageContext()))
    results = [found(scene.truth(frame.seq), frame) for frame in out]
    faces = sum(len(scene.truth(frame.seq)) for frame in out)
    assert sum(hits for hits, _ in results) >= 0.97 * faces
    assert sum(false for _, false in results) == 0
    assert len({face.track for frame in out for face in frame.faces}) == max(len(frame.faces) for frame in out)


def test_a_restarted_stage_gives_no_face_the_number_of_an_earlier_one():
    scene = DemoScene()
    lives = [list(detect(DetectConfig(), film(scene, 340, 342), StageContext(restarts=n))) for n in (0, 1)]
    first, second = ({face.track for frame in out for face in frame.faces} for out in lives)
    assert len(first) == len(second) == 3
    assert not first & second


def test_another_scene_is_searched_at_once():
    scene = DemoScene()
    pictures = [*film(scene, 100, 103), *film(scene, 340, 343)]
    out = list(detect(DetectConfig(), pictures, StageContext()))
    assert [len(frame.faces) for frame in out[3:]] == [3, 3, 3]


def test_a_face_is_only_searched_for_now_and_then_every_other_time_in_the_mirror(monkeypatch):
    scene = DemoScene()
    context = StageContext()
    pictures = film(scene, 25, 44)  # from second 1.0 to 1.72: three times 300 ms begin
    searched = []

    class Counting:
        name, score, is_as_measured = "counting", 1.0, False

        def detect(self, picture, mirrored):
            searched.append(mirrored)
            return [Detection(Box(100, 80, 40, 50), 1.0)]

    monkeypatch.setattr("inference.search.open_detector", lambda config: Counting())
    list(detect(DetectConfig(), pictures, context))
    assert searched == [False, True, False]


def test_faces_are_the_same_however_many_frames_were_there_at_once():
    scene = DemoScene()
    one_by_one = film(scene, 370, 380)
    together = [[frame for [frame] in one_by_one][start : start + LOOK_AHEAD] for start in (0, LOOK_AHEAD)]
    for every in ("auto", 1, 3):
        config = DetectConfig(every=every)
        first, second = (list(detect(config, batches, StageContext())) for batches in (one_by_one, together))
        assert [frame.faces for frame in first] == [frame.faces for frame in second]
        assert len(first[-1].faces) == 3


def test_where_a_face_is_known_an_unsure_find_keeps_it(monkeypatch):
    """It would make none of a place where none was."""

    class Unsure:
        name, score, is_as_measured = "unsure", 0.8, False

        def detect(self, picture, mirrored):
            unsure = [Detection(Box(100, 80, 40, 50), 0.5), Detection(Box(200, 80, 40, 50), 0.5)]
            return [Detection(Box(100, 80, 40, 50), 0.9)] if picture.grey[0, 0] == 0 else unsure

    monkeypatch.setattr("inference.search.open_detector", lambda config: Unsure())
    noise = np.random.default_rng(0).integers(1, 255, (240, 320, 3), np.uint8)
    first = noise.copy()
    first[0, 0] = 0
    images = [first, *[noise] * 40]
    pictures = [[Frame("s", seq, 0, image, media_ms=40.0 * seq)] for seq, image in enumerate(images)]
    out = list(detect(DetectConfig(), pictures, StageContext()))
    assert {len(frame.faces) for frame in out} == {1}
    assert {face.track for frame in out for face in frame.faces} == {0}


def test_pictures_of_a_folder_are_each_searched(frames):
    named = [[replace(frame, name=f"{frame.seq}.jpg")] for frame in frames]
    out = list(detect(DetectConfig(), named, StageContext()))
    assert [len(frame.faces) for frame in out] == [1, 0, 3]
    assert all(face.track is None for frame in out for face in frame.faces)


def test_a_live_frame_does_not_wait_for_the_search(monkeypatch):
    """The search of the first frame lasts until the fourth has gone on; its faces are carried to the fifth."""
    scene = DemoScene()
    truth = scene.truth(25)[0][0]

    class Slow:
        name, score, is_as_measured, widest_px = "slow", 1.0, False, 1280
        free = False

        def detect(self, picture, mirrored):
            while not self.free:
                time.sleep(0.001)
            return [Detection(Box(truth.x / 2, truth.y / 2, truth.width / 2, truth.height / 2), 1.0)]

    slow = Slow()
    monkeypatch.setattr("inference.search.open_detector", lambda config: slow)
    seen = []

    def batches():
        for seq in range(5):
            if seq == 4:
                slow.free = True
                time.sleep(0.05)
            yield [Frame("demo", seq, seq * 10_000_000, scene.picture(25 + seq), live=True)]

    for frame in detect(DetectConfig(), batches(), StageContext()):
        seen.append(len(frame.faces))
        slow.free = slow.free or len(seen) == 4
    assert seen == [0, 0, 0, 0, 1]


@pytest.mark.parametrize(
    ("takes_s", "hiding", "least", "most"),
    [(0.001, False, 10, 10), (0.03, False, 3, 6), (0.012, True, 10, 10)],
    ids=["time to spare: every 100 ms", "else when there is time, at the latest every 250 ms", "faces to hide: 100 ms"],
)
def test_live_streams_share_the_time_for_searches(takes_s, hiding, least, most, monkeypatch):
    """By a clock of its own, and without threads: on a busy machine searches would be as rare as its turns."""

    class Clock:
        now_s = 100.0

        def monotonic(self):
            return self.now_s

        def monotonic_ns(self):
            return round(self.now_s * 1e9)

    class Timed:
        name, score, is_as_measured, widest_px = "timed", 1.0, False, 1280

        def detect(self, picture, mirrored):
            searched.append(int(picture.grey[0, 0]))
            clock.now_s += takes_s
            return []

        def sure(self, picture):
            return []

    def batches():
        """Five cameras for a second, each of its own grey."""
        for seq in range(30):
            clock.now_s = max(clock.now_s, 100.0 + seq / 30)
            yield [
                Frame(f"cam{grey}", seq, clock.monotonic_ns(), np.full((240, 320, 3), grey, np.uint8), live=True)
                for grey in range(5)
            ]

    clock, searched = Clock(), []
    monkeypatch.setattr("inference.search.time", clock)
    monkeypatch.setattr("inference.search.ThreadPoolExecutor", InTurn)
    monkeypatch.setattr("inference.search.give_way", lambda: None)
    monkeypatch.setattr("inference.search.open_detector", lambda config: Timed())
    monkeypatch.setattr("inference.search.open_candidate_detector", lambda config: Timed())
    list(detect(DetectConfig(candidates=hiding), batches(), StageContext()))
    by_camera = [searched.count(grey) for grey in range(5)]
    assert min(by_camera) >= least, by_camera
    assert sum(by_camera) <= 5 * most, by_camera


def test_in_a_damaged_picture_faces_stay_where_they_are_and_none_is_looked_for():
    scene, context = DemoScene(), StageContext()
    batches = film(scene, 336, 340)
    torn = np.random.default_rng(0).integers(0, 255, (480, 640, 3), np.uint8)
    damaged = [[replace(frame, pixels=torn, corrupt=True) for frame in batch] for batch in film(scene, 340, 360)]
    *_, before = list(detect(DetectConfig(), [*batches, *damaged, *film(scene, 344, 345)], context))[:4]
    out = list(detect(DetectConfig(), [*batches, *damaged, *film(scene, 344, 345)], context))
    assert [frame.faces for frame in out[4:24]] == [before.faces] * 20
    assert len(before.faces) == 3
    assert [face.track for face in out[-1].faces] == [face.track for face in before.faces]


@pytest.mark.parametrize(("ended", "searched"), [([], 1), (["demo"], 2), (["hall"], 1)])
def test_a_stream_that_comes_again_after_its_end_is_searched_at_once(ended, searched):
    context, scene = StageContext(), DemoScene()

    def batches():
        yield from film(scene, 340, 342)
        context.ended.extend(ended)
        yield []
        context.ended.clear()
        yield from film(scene, 340, 342)

    list(detect(DetectConfig(), batches(), context))
    assert context.counts["searched"] == searched
