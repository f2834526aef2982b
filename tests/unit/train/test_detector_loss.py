"""What a detector is told: which places stand for a face, and that the right answer costs nothing."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from inference.networks.maskface_net import places  # noqa: E402
from train.data.boxes import no_boxes  # noqa: E402
from train.detector.batches import batch_of  # noqa: E402
from train.detector.loss import Targets, assign, detection_loss, eiou_loss  # noqa: E402
from train.detector.views import View  # noqa: E402

SIZE = 96
MIDDLES, STRIDES = places(SIZE, SIZE)
COUNT = len(STRIDES)


def targets_of(*groups, unsure=()):
    image = np.zeros((SIZE, SIZE, 3), np.uint8)
    boxes = [np.array(group, np.float32).reshape(-1, 4) for group in groups]
    doubtful = np.array(unsure, np.float32).reshape(-1, 4) if len(unsure) else no_boxes()
    return Targets(batch_of([View(image, group, doubtful) for group in boxes]), torch.device("cpu"))


def guesses(pictures):
    """Boxes two strides wide around each place, and the same low score everywhere."""
    half = STRIDES[:, None]
    boxes = torch.cat([MIDDLES - half, MIDDLES + half], dim=1)
    return torch.full((pictures, COUNT), -3.0), boxes.expand(pictures, -1, -1).clone()


def test_there_are_places_for_each_stride_row_by_row():
    assert COUNT == 12 * 12 + 6 * 6 + 3 * 3
    assert MIDDLES[:2].tolist() == [[4, 4], [12, 4]]
    assert MIDDLES[12].tolist() == [4, 12]
    assert (MIDDLES[-1].tolist(), STRIDES[-1].item()) == ([80, 80], 32)


@pytest.mark.parametrize("box", [(40, 40, 49, 48), (20, 24, 60, 80), (0, 0, 96, 96), (90, 90, 96, 96)])
def test_each_face_has_a_place_near_it(box):
    chosen = assign(*guesses(1), (MIDDLES, STRIDES), targets_of([box]))[0]
    taken = chosen >= 0
    assert 1 <= taken.sum() <= 10
    middle = torch.tensor([(box[0] + box[2]) / 2, (box[1] + box[3]) / 2])
    assert (
        (MIDDLES[taken] - middle).abs().amax(dim=1) <= torch.maximum(2.5 * STRIDES[taken], middle.new_tensor(48))
    ).all()


def test_a_place_stands_for_one_face_only_and_none_for_padding():
    faces = [(20, 20, 50, 50), (26, 20, 56, 50)]
    chosen = assign(*guesses(2), (MIDDLES, STRIDES), targets_of(faces, []))
    assert set(chosen[0].tolist()) == {-1, 0, 1}
    assert set(chosen[1].tolist()) == {-1}


def test_right_answers_cost_nothing_and_wrong_ones_do():
    face = (20.0, 24.0, 60.0, 80.0)
    targets = targets_of([face])
    logits, boxes = guesses(1)
    boxes[:] = torch.tensor(face)
    chosen = assign(logits, boxes, (MIDDLES, STRIDES), targets)
    logits = torch.where(chosen >= 0, 12.0, -12.0)
    # the same places are chosen again: they are the best
    score_loss, box_loss = detection_loss(logits, boxes, (MIDDLES, STRIDES), targets)
    assert score_loss < 1e-3
    assert box_loss < 1e-3
    assert detection_loss(-logits, boxes, (MIDDLES, STRIDES), targets)[0] > 1
    assert detection_loss(logits, boxes + 9, (MIDDLES, STRIDES), targets)[1] > 0.3


def test_nothing_is_asked_where_a_face_may_be():
    logits, boxes = guesses(1)
    logits.requires_grad_()
    score_loss, _ = detection_loss(logits, boxes, (MIDDLES, STRIDES), targets_of([], unsure=[(0, 0, 48, 48)]))
    score_loss.backward()
    inside = (MIDDLES < 48).all(dim=1)
    assert (logits.grad[0][inside] == 0).all()
    assert (logits.grad[0][~inside] > 0).all()


def test_pictures_without_faces_can_be_learnt_from():
    score_loss, box_loss = detection_loss(*guesses(2), (MIDDLES, STRIDES), targets_of([], []))
    assert score_loss > 0
    assert box_loss == 0


def test_a_box_far_away_is_told_which_way_to_go():
    box = torch.tensor([[0.0, 0.0, 10.0, 10.0]], requires_grad=True)
    eiou_loss(box, torch.tensor([[50.0, 0.0, 60.0, 10.0]])).sum().backward()
    assert box.grad[0, 0] + box.grad[0, 2] < -1e-3  # IoU alone would be flat there
