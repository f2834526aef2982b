"""Views that a detector learns from: the boxes stay on the faces, whatever is done to the picture."""

import numpy as np
import pytest

from inference.boxes import iou
from train.data.boxes import longest_sides, no_boxes
from train.data.photo_set import TrainingPhoto
from train.detector.batches import Batches
from train.detector.views import CLASS_SHARES, COUNTED_PX, Views, clipped, mirrored, painted, turned, window
from train.detector.views import View as DrawnView
from train.session.workers import in_order

FACE = np.array([120, 60, 180, 140], np.float32)


def photo_of(*boxes, size=(240, 320), labels=None):
    """Dark, with a blue rectangle for each face."""
    image = np.full((*size, 3), 20, np.uint8)
    for x1, y1, x2, y2 in boxes:
        image[int(y1) : int(y2), int(x1) : int(x2)] = (255, 0, 0)
    return TrainingPhoto("photo", image, np.array(boxes, np.float32), np.array(labels or [0] * len(boxes)))


def blue_box(image):
    """The frame around what is blue."""
    rows, columns = np.nonzero(image[..., 0].astype(int) - image[..., 1] > 117)
    return np.array([[columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]], np.float32)


@pytest.mark.parametrize("seed", range(30))
def test_the_box_stays_on_the_face_when_it_is_cut_out_and_scaled(seed):
    rng = np.random.default_rng(seed)
    view = window(photo_of(FACE), FACE, 12, 128, 96, rng)
    assert view.image.shape == (96, 128, 3)
    if len(view.boxes):
        assert np.abs(view.boxes - blue_box(view.image)).max() <= 2
    else:
        assert len(view.unsure) == 1


@pytest.mark.parametrize("degrees", [-15, 15])
def test_the_box_moves_with_a_turned_picture(degrees):
    view = DrawnView(photo_of((90, 20, 110, 40), size=(128, 128)).image, np.array([[90, 20, 110, 40.0]]), no_boxes())
    after = turned(view, degrees, 0)
    assert iou(after.boxes, blue_box(after.image))[0] > 0.6
    assert iou(view.boxes, blue_box(after.image))[0] < 0.5


def test_a_mirrored_box_is_on_the_other_side():
    assert mirrored(np.array([[10, 5, 30, 25]]), 100).tolist() == [[70, 5, 90, 25]]


def test_a_face_mostly_outside_is_neither_face_nor_background():
    boxes = np.array([[-30, 0, 10, 40], [-10, 0, 30, 40], [200, 0, 240, 40]], np.float32)
    view = clipped(DrawnView(np.zeros((64, 64, 3), np.uint8), boxes, no_boxes()))
    assert view.boxes.tolist() == [[0, 0, 30, 40]]
    assert view.unsure.tolist() == [[0, 0, 10, 40]]


def test_a_face_that_got_too_small_is_neither_face_nor_background():
    boxes = np.array([[10, 10, 10 + COUNTED_PX - 1, 14], [30, 30, 30 + COUNTED_PX, 36]], np.float32)
    view = clipped(DrawnView(np.zeros((64, 64, 3), np.uint8), boxes, no_boxes()))
    assert view.boxes.tolist() == [boxes[1].tolist()]
    assert view.unsure.tolist() == [boxes[0].tolist()]


@pytest.mark.parametrize("workers", [0, 2])
def test_the_same_seed_draws_the_same_views_and_another_one_others(workers):
    views = Views([photo_of(FACE), photo_of((20, 20, 60, 70))], ["mask"], 64)

    def drawn(seed, first, last):
        return np.stack([batch.pictures for batch in in_order(Batches(views, 2, 3, seed, first, last), workers)])

    both, second, other = drawn(0, 1, 2), drawn(0, 2, 2), drawn(1, 2, 2)
    assert both.shape == (6, 2, 64, 64, 3)
    assert (both[3:] == second).all()
    assert (both[:3] != second).any()
    assert (second != other).any()


def test_a_rare_class_is_drawn_as_often_as_its_share_says():
    many = photo_of(*[(20 * n, 10, 20 * n + 10, 20) for n in range(15)], labels=[0] * 15)
    one = photo_of(FACE, labels=[1])
    views = Views([many, one], ["mask", "no_mask"], 64)
    share = CLASS_SHARES["no_mask"] / (CLASS_SHARES["mask"] + CLASS_SHARES["no_mask"])
    assert views._chances[-1] == pytest.approx(share)
    assert views._chances[0] == pytest.approx((1 - share) / 15)


def test_faces_of_all_sizes_are_drawn():
    views = Views([photo_of(FACE)], ["mask"], 256)
    rng = np.random.default_rng(0)
    longest = np.concatenate([longest_sides(views.draw(rng).boxes) for _ in range(60)])
    assert longest.min() < 30
    assert longest.max() > 120


def test_a_mask_is_drawn_on_the_face_and_nowhere_else():
    photo = photo_of(FACE)
    photo.landmarks[0] = np.array([(135, 90), (165, 90), (150, 105), (138, 122), (162, 122)], np.float32)
    before = photo.image.copy()
    after = painted(photo, 0, np.random.default_rng(1)).image
    assert (photo.image == before).all()
    changed = np.argwhere((after != before).any(axis=2))
    assert len(changed) > 300
    assert changed.min(axis=0)[0] > 40
    assert changed.max(axis=0)[1] < 240


def test_crops_and_mistaken_places_are_shown_too():
    crop = TrainingPhoto("crop", np.full((60, 60, 3), (0, 255, 0), np.uint8), np.array([[5, 5, 55, 55.0]]), np.zeros(1))
    photo = photo_of(FACE)
    photo.image[:40, :40] = (0, 0, 255)
    plain, with_both = Views([photo], ["mask"], 64), Views([photo], ["mask"], 64, [crop])
    with_both.mistaken = [(0, np.array([5, 5, 35, 35], np.float32))]

    def shown(views):
        rng = np.random.default_rng(3)
        drawn = [views.draw(rng).image.astype(int) for _ in range(200)]
        green = sum((one[..., 1] - one[..., [0, 2]].max(axis=2) > 100).any() for one in drawn)
        red = sum((one[..., 2] - one[..., :2].max(axis=2) > 100).mean() > 0.2 for one in drawn)
        return green, red

    (no_green, few_red), (some_green, more_red) = shown(plain), shown(with_both)
    assert no_green == 0
    assert 10 <= some_green <= 60
    assert more_red > few_red
