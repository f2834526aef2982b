"""The error of the share of masks: its parts add up to it, and each is of what it is named after."""

from dataclasses import replace

import numpy as np
import pytest
from test_detector_scores import FAR, NEAR, WALL, sighting

from share.errors import errors_of_shipped
from train.score.mask_shares import adjusted_share, by_source_shares, mask_shares
from transport.frame import Box


def test_a_missed_face_a_wrong_label_and_a_false_box_are_told_apart():
    missed = sighting([(NEAR, "mask"), (FAR, "no_mask")], [NEAR], ["mask"])
    assert mask_shares([missed])["mask_share_error_parts"] == {
        "missed_faces": 0.5, "wrong_labels": 0.0, "false_boxes": 0.0
    }  # fmt: skip
    mistaken = sighting([(NEAR, "mask"), (FAR, "no_mask")], [NEAR, FAR], ["mask", "mask"])
    assert mask_shares([mistaken])["mask_share_error_parts"]["wrong_labels"] == 0.5
    doubled = sighting([(NEAR, "mask")], [NEAR, WALL], ["mask", "no_mask"])
    assert mask_shares([doubled])["mask_share_error_parts"]["false_boxes"] == -0.5


def test_the_parts_add_up_to_the_error():
    """Of 200 photographs in which anything may happen."""
    rng, labels = np.random.default_rng(0), np.array(["mask", "no_mask", "wrong_mask"])
    places = [Box(150 * place, 0, 100, 120) for place in range(6)]
    many = []
    for _ in range(200):
        faces = [(place, str(rng.choice(labels))) for place in places if rng.random() < 0.5]
        found = [place for place in places if rng.random() < 0.6]
        many.append(sighting(faces, found, [str(rng.choice(labels)) for _ in found]))
    shares = mask_shares(many)
    parts = shares["mask_share_error_parts"]
    assert sum(parts.values()) == pytest.approx(shares["mask_share_error"], abs=1e-12)
    assert all(abs(part) > 0.001 for part in parts.values())
    for part, (low, high) in shares["mask_share_error_parts_ci95"].items():
        assert low <= parts[part] <= high


def test_the_adjusted_share_is_of_the_boxes_that_are_reported():
    scenes = [sighting([(NEAR, "mask"), (FAR, "no_mask")], [NEAR, FAR, WALL], ["mask", "no_mask", "no_mask"])] * 20
    adjusted = adjusted_share(scenes, errors_of_shipped("haar", 1280))
    assert adjusted.counted == 60
    assert adjusted.raw == pytest.approx(1 / 3)
    assert adjusted.low < adjusted.adjusted < adjusted.high
    assert adjusted_share(scenes, "not known").adjusted is None


def test_sources_are_told_apart_by_their_names_unless_each_photograph_has_its_own():
    one = sighting([(NEAR, "mask"), (FAR, "no_mask")], [NEAR, FAR], ["mask", "no_mask"])
    two = [replace(one, name="a_1.jpg"), replace(one, name="b_1.jpg"), replace(one, name="b_2.jpg")]
    shares = by_source_shares(two, "not known")
    assert {source: told["counted"] for source, told in shares.items()} == {"a": 2, "b": 4}
    assert shares["b"]["true"] == shares["b"]["raw"] == 0.5
    many = [replace(one, name=f"{number}_x.jpg") for number in range(30)]
    assert list(by_source_shares(many, "not known")) == list(by_source_shares([one], "not known")) == ["all"]
