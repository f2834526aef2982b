"""`train_batch.jpg` shows the faces of the first batch, each over its label."""

import cv2
import numpy as np
import pytest

from configs.errors import InputError
from train.classifier.batch_sheet import STRIP_PX, TILE_PX, write_batch_sheet

SHADES = np.arange(10) * 25


@pytest.fixture
def batch():
    """Ten faces of one shade each; their labels are 0 and 1 in turns."""
    return np.stack([np.full((12, 12, 3), shade, np.uint8) for shade in SHADES]), np.arange(10) % 2


def sheet_of(path):
    picture = cv2.imread(str(path))
    assert picture is not None
    return picture


def test_the_faces_stand_in_their_order_with_a_strip_below_each(batch, tmp_path):
    write_batch_sheet(tmp_path / "b.jpg", *batch, ("mask", "no_mask"))
    sheet = sheet_of(tmp_path / "b.jpg")
    assert sheet.shape == (2 * (TILE_PX + STRIP_PX), 8 * TILE_PX, 3)
    for place, shade in enumerate(SHADES):
        top, left = place // 8 * (TILE_PX + STRIP_PX), place % 8 * TILE_PX
        middle = sheet[top + TILE_PX // 2, left + TILE_PX // 2]
        assert abs(int(middle[0]) - shade) < 8, place
        strip = sheet[top + TILE_PX + 2 : top + TILE_PX + STRIP_PX, left : left + TILE_PX]
        assert strip.min() < 100, "no name is written"


@pytest.mark.parametrize("names", [("mask", "no_mask"), ("ohne Maske, übergroß", "ü"), ("口罩", "нет")])
def test_other_labels_look_otherwise(batch, tmp_path, names):
    faces, labels = batch
    for name, given in (("a", labels), ("b", 1 - labels)):
        write_batch_sheet(tmp_path / f"{name}.jpg", faces, given, names)
    assert np.abs(sheet_of(tmp_path / "a.jpg").astype(int) - sheet_of(tmp_path / "b.jpg")).max() > 50


def test_a_huge_batch_is_cut_and_a_folder_that_cannot_be_written_is_named(batch, tmp_path):
    faces, labels = (np.concatenate([part] * 20) for part in batch)
    write_batch_sheet(tmp_path / "b.jpg", faces, labels, ("a", "b"))
    assert sheet_of(tmp_path / "b.jpg").shape[0] == 8 * (TILE_PX + STRIP_PX)
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot be written"):
        write_batch_sheet(tmp_path / "file" / "b.jpg", faces, labels, ("a", "b"))
