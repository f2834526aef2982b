"""The classify stage: each face gets its own answer, faces share passes, and frames keep their order."""

from concurrent.futures import ThreadPoolExecutor
from itertools import cycle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from configs.errors import InputError
from configs.schema import ClassifyConfig
from inference.backends.backend import Backend
from inference.checkpoint import ModelInfo
from inference.classify import MOST_BESIDE, PersonStates, classify
from inference.hidden import LONGEST_MS
from inference.preprocess import Preprocessing
from transport.frame import Box, Face, Frame
from transport.stage import StageContext


class RedOrBlue(Backend):
    """Says which colour a face has, and remembers how many faces came at once."""

    info = ModelInfo(("red", "blue"), Preprocessing(4, (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), margin=1.0))
    provider = "test"

    def __init__(self):
        self.passes = []

    def logits(self, faces_nchw):
        self.passes.append(len(faces_nchw))
        return 9 * faces_nchw.mean(axis=(2, 3))[:, [0, 2]]


RED, BLUE = (0, 0, 255), (255, 0, 0)


def frame_of(seq, *colours):
    image = np.zeros((40, 40 * max(len(colours), 1), 3), np.uint8)
    faces = []
    for place, colour in enumerate(colours):
        image[:, 40 * place : 40 * place + 40] = colour
        faces.append(Face(Box(40 * place + 10, 10, 20, 20)))
    image.setflags(write=False)
    return Frame("door", seq, 0, image, tuple(faces))


def classify_frames(frames, backend, config):
    with ThreadPoolExecutor(1) as beside:
        return list(PersonStates(backend, config, beside).predicted(frames))


def labels_of(frame):
    return [face.prediction.label for face in frame.faces]


def test_every_face_gets_its_own_prediction():
    frame = frame_of(0, RED, BLUE, RED)
    [out] = classify_frames([frame], RedOrBlue(), ClassifyConfig())
    assert labels_of(out) == ["red", "blue", "red"]
    assert [face.box for face in out.faces] == [face.box for face in frame.faces]
    assert out.image is frame.image


def test_faces_of_many_frames_share_passes_of_at_most_max_batch():
    backend = RedOrBlue()
    frames = [frame_of(0, RED, BLUE), frame_of(1), frame_of(2, BLUE, BLUE, RED)]
    out = classify_frames(frames, backend, ClassifyConfig(max_batch=3))
    assert backend.passes == [3, 2]
    assert [labels_of(frame) for frame in out] == [["red", "blue"], [], ["blue", "blue", "red"]]
    assert [frame.seq for frame in out] == [0, 1, 2]


def test_frames_without_faces_need_no_pass():
    backend = RedOrBlue()
    frame = frame_of(0)
    assert classify_frames([frame], backend, ClassifyConfig()) == [frame]
    assert backend.passes == []


def test_confidence_is_the_probability_of_the_label():
    [out] = classify_frames([frame_of(0, BLUE)], RedOrBlue(), ClassifyConfig())
    prediction = out.faces[0].prediction
    assert prediction.confidence == prediction.probabilities["blue"] == max(prediction.probabilities.values())
    assert sum(prediction.probabilities.values()) == pytest.approx(1)


def test_a_box_outside_the_picture_is_answered_too():
    faces = Face(Box(-500, -500, 0, 0)), Face(Box(60, 40, 99, 99))
    [out] = classify_frames(
        [Frame("door", 0, 0, np.zeros((48, 64, 3), np.uint8), faces)], RedOrBlue(), ClassifyConfig()
    )
    assert len(labels_of(out)) == 2


def test_the_stage_tells_its_model_before_it_asks_for_frames():
    context = StageContext()

    def batches():
        assert context.facts == {
            "model": "face_mask.int8.onnx",
            "provider": "CPUExecutionProvider",
            "classes": "mask, no_mask, wrong_mask",
        }
        yield [frame_of(0, RED)]
        yield []
        yield [frame_of(1), frame_of(2, BLUE, RED)]

    out = list(classify(ClassifyConfig(), batches(), context))
    assert [frame.seq for frame in out] == [0, 1, 2]
    assert all(set(face.prediction.probabilities) == {"mask", "no_mask", "wrong_mask"} for f in out for face in f.faces)


def test_a_model_that_cannot_be_used_is_refused_before_frames_are_asked_for(tmp_path):
    (tmp_path / "bad.onnx").write_text("hello")

    def batches():
        raise AssertionError("frames were asked for")
        yield

    with pytest.raises(InputError, match=r"bad\.onnx"):
        list(classify(ClassifyConfig(model=str(tmp_path / "bad.onnx")), batches(), StageContext()))


def followed(seq, *colours, live=False, ms=40.0):
    """As frame_of, with the faces followed as 0, 1, ...; a frame of a film every 40 ms, or a live one."""
    frame = frame_of(seq, *colours)
    faces = tuple(Face(face.box, track=number) for number, face in enumerate(frame.faces))
    at = {"captured_ns": int(seq * ms * 1e6)} | ({"live": True} if live else {"media_ms": seq * ms})
    return replace(frame, faces=faces, **at)


def test_a_followed_face_is_classified_anew_only_when_it_is_due():
    backend = RedOrBlue()
    with ThreadPoolExecutor(1) as beside:
        persons = PersonStates(backend, ClassifyConfig(refresh_ms=600), beside)
        out = [frame for seq in range(40) for frame in persons.predicted([followed(seq, RED, BLUE)])]
    assert all(labels_of(frame) == ["red", "blue"] for frame in out)
    assert len(backend.passes) == 4  # at 0, soon after at 160, settled then: at 760 and 1360
    assert max(face.prediction.age_ms for frame in out for face in frame.faces) == 560


def predictions(frames, backend, config, sizes):
    """Of each frame what is said of its faces, where so many frames wait at a time."""
    with ThreadPoolExecutor(1) as beside:
        persons, sizes, out = PersonStates(backend, config, beside), cycle(sizes), []
        while len(out) < len(frames):
            out.extend(persons.predicted(frames[len(out) : len(out) + next(sizes)]))
    return [[face.prediction for face in frame.faces] for frame in out]


COLOURS = st.sampled_from([RED, BLUE, (110, 0, 130), (128, 0, 128)])  # certain, and not


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.tuples(COLOURS, COLOURS, COLOURS, st.booleans(), st.booleans()), min_size=1, max_size=40),
    st.lists(st.integers(1, 40), min_size=1),
    st.sampled_from([0.0, 100.0, 300.0, 600.0]),
    st.integers(1, 8),
)
def test_predictions_of_a_film_do_not_depend_on_how_many_frames_wait(film, sizes, refresh_ms, max_batch):
    """Nor do their bits: two streams, three followed persons, one of them hidden now and then, one who is not followed,
    and damaged pictures.
    """
    frames = []
    for seq, (*colours, corrupt, hidden) in enumerate(film):
        frame = replace(followed(seq, *colours), corrupt=corrupt)
        first, second, third = frame.faces
        others = (second, replace(third, track=None))
        frames.append(replace(frame, faces=others if hidden else (first, *others)))
        frames.append(replace(frame, stream="yard", faces=(third,)))
    config = ClassifyConfig(refresh_ms=refresh_ms)
    alone = predictions(frames, RedOrBlue(), config, [1])
    for of_sizes in ([3], [17], [len(frames)], sizes):
        shared = predictions(frames, RedOrBlue(), replace(config, max_batch=max_batch), of_sizes)
        assert shared == alone


def test_all_requests_that_need_no_answer_share_a_pass():
    """A new face's second request comes whatever is answered to the first; of many persons one pass holds all."""
    backend = RedOrBlue()
    predictions([followed(seq, RED, BLUE) for seq in range(12)], backend, ClassifyConfig(refresh_ms=600), [12])
    assert backend.passes == [4]
    backend = RedOrBlue()
    predictions([followed(seq, RED, BLUE) for seq in range(12)], backend, ClassifyConfig(refresh_ms=100), [12])
    assert backend.passes == [8]  # at 0, 120, 240, 360 ms: how sure it is makes no difference


def test_a_face_in_a_damaged_picture_is_not_asked_about_and_keeps_what_was_said():
    backend = RedOrBlue()
    with ThreadPoolExecutor(1) as beside:
        persons = PersonStates(backend, ClassifyConfig(), beside)
        [good] = persons.predicted([followed(0, RED)])
        out = [*persons.predicted([replace(followed(seq, BLUE), corrupt=True) for seq in range(1, 20)])]
    assert backend.passes == [1]
    assert [labels_of(frame) for frame in (good, *out)] == [["red"]] * 20


def test_a_face_that_changes_is_called_otherwise_within_a_second():
    with ThreadPoolExecutor(1) as beside:
        persons = PersonStates(RedOrBlue(), ClassifyConfig(), beside)
        out = [frame for seq in range(80) for frame in persons.predicted([followed(seq, RED if seq < 40 else BLUE)])]
    assert labels_of(out[39]) == ["red"]
    assert all(labels_of(frame) == ["blue"] for frame in out[65:])


def test_a_track_of_another_number_is_another_person():
    backend = RedOrBlue()
    with ThreadPoolExecutor(1) as beside:
        persons = PersonStates(backend, ClassifyConfig(), beside)
        list(persons.predicted([followed(0, RED)]))
        frame = followed(1, BLUE)
        other = replace(frame, faces=(Face(frame.faces[0].box, track=7),))
        [out] = persons.predicted([other])
    assert labels_of(out) == ["blue"]


def test_who_was_hidden_is_asked_about_at_once_and_keeps_no_label_that_is_not_true_any_more():
    """The mask was taken off behind the pillar."""
    backend = RedOrBlue()
    with ThreadPoolExecutor(1) as beside:
        persons = PersonStates(backend, ClassifyConfig(refresh_ms=600), beside)
        for seq in range(20):
            list(persons.predicted([followed(seq, RED)]))
        passes = len(backend.passes)
        list(persons.predicted([followed(seq) for seq in range(20, 70)]))
        [back] = persons.predicted([followed(70, BLUE)])
    assert len(backend.passes) == passes + 1
    assert labels_of(back) == ["blue"]


def test_a_live_face_that_is_back_has_no_label_until_it_is_asked_about_anew():
    with ThreadPoolExecutor(1) as beside:
        persons = PersonStates(RedOrBlue(), ClassifyConfig(), beside)
        for seq in range(3):
            list(persons.predicted([followed(seq, RED, live=True)]))
            beside.submit(lambda: None).result()
        list(persons.predicted([followed(3, live=True)]))
        [back] = persons.predicted([followed(4, RED, live=True)])
        beside.submit(lambda: None).result()
        [later] = persons.predicted([followed(5, RED, live=True)])
    assert back.faces[0].prediction is None
    assert labels_of(later) == ["red"]


def test_of_who_was_hidden_for_longer_than_a_number_is_kept_nothing_is_left():
    with ThreadPoolExecutor(1) as beside:
        persons = PersonStates(RedOrBlue(), ClassifyConfig(), beside)
        list(persons.predicted([followed(0, RED)]))
        list(persons.predicted([followed(seq) for seq in range(1, int(LONGEST_MS / 40) + 2)]))
    assert persons._followed == {"door": {}}


def test_a_live_frame_does_not_wait_for_its_answer():
    backend = RedOrBlue()
    with ThreadPoolExecutor(1) as beside:
        persons = PersonStates(backend, ClassifyConfig(), beside)
        beside.submit(lambda: None).result()
        [first] = persons.predicted([followed(0, RED, live=True)])
        beside.submit(lambda: None).result()  # behind the answer
        [second] = persons.predicted([followed(1, RED, live=True)])
    assert first.faces[0].prediction is None
    assert labels_of(second) == ["red"]
    assert backend.passes == [1]


def test_a_new_face_does_not_wait_behind_all_the_others():
    """Of more faces than a pass beside live frames takes, those that nothing is known of come first."""
    backend = RedOrBlue()
    with ThreadPoolExecutor(1) as beside:
        persons = PersonStates(backend, ClassifyConfig(), beside)
        for seq in range(3):
            list(persons.predicted([followed(seq, *[RED] * 12, live=True)]))
            beside.submit(lambda: None).result()
        assert backend.passes == [MOST_BESIDE, 12 - MOST_BESIDE]
        list(persons.predicted([followed(30, *[RED] * 12, BLUE, live=True)]))  # all are due again
        beside.submit(lambda: None).result()
        [out] = persons.predicted([followed(31, *[RED] * 12, BLUE, live=True)])
    assert labels_of(out) == ["red"] * 12 + ["blue"]


@pytest.mark.parametrize(("ended", "asked"), [([], 1), (["door"], 2), (["hall"], 1)])
def test_a_stream_that_comes_again_after_its_end_has_other_people(ended, asked):
    context = StageContext()
    person = replace(frame_of(0, RED), media_ms=0.0)
    person = replace(person, faces=(replace(person.faces[0], track=1),))

    def batches():
        yield [person]
        context.ended.extend(ended)
        yield []
        context.ended.clear()
        yield [person]

    list(classify(ClassifyConfig(), batches(), context))
    assert context.counts["classified"] == asked
