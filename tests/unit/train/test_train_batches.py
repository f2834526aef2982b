"""What the network is shown: which faces, in which order, and the same ones whoever prepares them."""

import numpy as np
import pytest

from train.classifier.batches import Batches, TrainingFaces, class_weights, epoch_order
from train.session.workers import in_order

FRONTAL = np.float32([(70, 80), (130, 80), (100, 115), (80, 145), (120, 145)])  # eyes, nose, corners of the mouth


@pytest.fixture
def faces():
    rng = np.random.default_rng(0)
    crops = [rng.integers(0, 256, (24, 20, 3), np.uint8) for _ in range(21)]
    return TrainingFaces(crops, np.arange(21) % 3, ("a", "b", "c"), {})


def batches_of(faces, **options):
    return Batches(faces, 16, 8, **({"epoch": 1} | options))


def shown(batches):
    return [index for batch in batches.batches for _, index in batch.tolist()]


def same(left, right):
    return len(left) == len(right) and all(
        (pixels == others).all() and (labels == other_labels).all()
        for (pixels, labels), (others, other_labels) in zip(left, right, strict=True)
    )


def test_an_epoch_shows_every_face_once_in_batches_of_almost_the_same_size(faces):
    batches = batches_of(faces)
    assert sorted(shown(batches)) == list(range(21))
    assert [len(batch) for batch in batches.batches] == [7, 7, 7]
    pixels, labels = batches[0]
    assert (pixels.shape, pixels.dtype) == ((7, 16, 16, 3), np.uint8)
    assert labels.tolist() == [int(faces.labels[index]) for index in shown(batches)[:7]]


def test_each_epoch_has_another_order_and_unshuffled_ones_have_that_of_the_files(faces):
    assert shown(batches_of(faces)) != shown(batches_of(faces, epoch=2))
    assert shown(batches_of(faces)) != shown(batches_of(faces, seed=1))
    assert shown(batches_of(faces, shuffled=False)) == list(range(21))


def test_seed_and_epoch_decide_how_a_face_is_varied(faces):
    first, again, other = (list(in_order(batches_of(faces, shuffled=False, epoch=e), 0)) for e in (1, 1, 2))
    assert same(first, again)
    assert not same(first, other)


def test_workers_change_nothing(faces):
    pytest.importorskip("torch")
    assert same(list(in_order(batches_of(faces), 2)), list(in_order(batches_of(faces), 0)))


def test_processes_share_the_batches_of_one(faces):
    alone = batches_of(faces)
    left, right = (batches_of(faces, rank=rank, world_size=2) for rank in (0, 1))
    for step in range(len(alone)):
        pixels, labels = alone[step]
        for rank, part in enumerate((left, right)):
            assert (part[step][0] == pixels[rank::2]).all()
            assert (part[step][1] == labels[rank::2]).all()


def test_rare_classes_are_drawn_more_often_than_they_come():
    labels = np.array([0] * 90 + [1] * 10)
    drawn = [labels[epoch_order(labels, True, True, np.random.default_rng(seed))].mean() for seed in range(20)]
    assert 0.2 < np.mean(drawn) < 0.3  # a tenth of the pictures; by the root of the sizes a quarter


def test_class_weights_let_every_class_count_the_same():
    labels = np.array([0] * 6 + [1] * 2)
    weights = class_weights(labels, 3)
    assert weights[0] * 6 == pytest.approx(weights[1] * 2)
    assert weights[labels].mean() == pytest.approx(1)
    assert weights[2] == 0


def test_bare_faces_with_landmarks_become_examples_of_both_masked_classes():
    crop = np.full((220, 200, 3), 128, np.uint8)
    bare = TrainingFaces([crop] * 200, np.ones(200, np.int64), ("mask", "no_mask", "wrong_mask"), {0: FRONTAL})
    everywhere = TrainingFaces(bare.crops, bare.labels, bare.classes, dict.fromkeys(range(200), FRONTAL))
    labels = {len(some.landmarks): Batches(some, 16, 200, epoch=1)[0][1] for some in (bare, everywhere)}
    assert (labels[1] != 1).sum() <= 1
    shares = np.bincount(labels[200], minlength=3) / 200
    assert 0.5 < shares[1] < 0.8
    assert shares[0] > 0.08
    assert shares[2] > 0.08
