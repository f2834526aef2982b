"""Real masks: cut out along their edges, and put on bare faces where each way of wearing one wants them."""

import cv2
import numpy as np
import pytest

from train.synthesis.cut_masks import choose, cut_mask, put_mask

FRONTAL = np.float32([(70, 80), (130, 80), (100, 115), (80, 145), (120, 145)])  # eyes, nose, corners of the mouth
TURNED = np.float32([(70, 80), (130, 80), (118, 115), (90, 145), (125, 145)])
SKIN_BGR, CLOTH_BGR = (140, 170, 200), (190, 120, 60)
EYES, NOSE, MOUTH, CHIN = [(70, 80), (130, 80)], [(100, 113)], [(92, 145), (108, 145)], [(100, 188)]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def bare(rng):
    noise = rng.normal(0, 4, (260, 200, 3))
    return (np.full((260, 200, 3), SKIN_BGR) + noise).clip(0, 255).astype(np.uint8)


@pytest.fixture
def outline():
    return np.array([(100, 96), (150, 108), (148, 165), (120, 190), (80, 190), (52, 165), (50, 108)])


@pytest.fixture
def masked(bare, outline):
    return cv2.fillPoly(bare.copy(), [outline], CLOTH_BGR)


def test_a_mask_is_cut_out_along_its_edges(masked, outline):
    mask = cut_mask(masked, FRONTAL)
    assert mask is not None
    # the sheet has 40 px for the distance of the eyes, 60 px here, and 40 for that of eyes and mouth, 65 px
    inside = np.zeros((128, 128), np.uint8)
    on_sheet = (outline - (100, 80)) * (40 / 60, 40 / 65) + (64, 32)
    cv2.fillPoly(inside, [on_sheet.round().astype(np.int32)], 255)
    cover = mask.sheet[..., 3]
    assert (cover & inside).sum() > 0.9 * (cover | inside).sum()
    assert mask.top == pytest.approx((96 - 80) / 65, abs=0.06)
    assert mask.bottom == pytest.approx((190 - 80) / 65, abs=0.06)


def test_what_looks_like_no_mask_is_not_cut_out(bare, outline):
    half = cv2.fillPoly(bare.copy(), [(outline * (1, 0.3) + (0, 98)).astype(np.int32)], CLOTH_BGR)  # over the mouth
    assert cut_mask(half, FRONTAL) is None


@pytest.mark.parametrize(
    ("put", "covered", "free"),
    [
        ("well", NOSE + MOUTH, EYES),
        ("under_nose", MOUTH, EYES + NOSE),
        ("on_chin", [], EYES + NOSE + MOUTH),
        ("off_one_ear", [], EYES),
        ("above_mouth", NOSE, MOUTH + CHIN),
        ("on_eyes", EYES, MOUTH + CHIN),
    ],
)
def test_each_way_of_wearing_covers_and_leaves_free_what_it_should(rng, bare, masked, put, covered, free):
    mask = cut_mask(masked, FRONTAL)
    for _ in range(30):
        change = np.abs(put_mask(bare, FRONTAL, put, [mask], rng).astype(int) - bare).sum(axis=2)
        assert not [(x, y) for x, y in covered if change[y, x] < 60]
        assert not [(x, y) for x, y in free if change[y, x] > 60]  # less is the soft shadow of an edge
        assert (change > 60).any()


def test_masks_come_off_heads_that_are_turned_likewise(rng, masked):
    frontal = cut_mask(masked, FRONTAL)
    heads = [frontal._replace(turned=turned) for turned in (0.0, 0.3, -0.3)]
    assert {choose(heads, 0.0, rng)[0].turned for _ in range(20)} == {0.0}
    chosen = [choose(heads, 0.3, rng) for _ in range(40)]
    assert {(mask.turned, side) for mask, side in chosen} == {(0.3, 1.0), (-0.3, -1.0)}


def test_a_mask_follows_a_turned_head(rng, bare, masked):
    mask = cut_mask(masked, FRONTAL)
    change = np.mean([put_mask(bare, TURNED, "well", [mask], rng).astype(int) != bare for _ in range(20)], axis=(0, 3))
    columns = change[115:150].sum(axis=0)
    assert (columns * np.arange(200)).sum() / columns.sum() > 105  # with the nose, to the right
