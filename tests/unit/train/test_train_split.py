"""Dividing pictures into train, val and test, and the manifest that keeps test pictures out of training for good."""

import numpy as np
import pytest

from configs.errors import InputError
from train.data.split import ManifestRow, copies_across, divide, fingerprint, read_manifest, write_manifest

ROWS = [
    ManifestRow("mask/a, b.png", "train", "mask", "01"),
    ManifestRow("mask/ü.png", "test", "mask", "02"),
    ManifestRow("no_mask/c.png", "val", "no_mask", "03"),
]


def test_copies_of_a_picture_are_never_divided():
    labels = np.repeat([0, 1], 60)
    digests = [f"{index % 20}" for index in range(60)] + [f"b{index}" for index in range(60)]
    splits = divide(labels, digests, ("a", "b"), (0.6, 0.2, 0.2), seed=0)
    for digest in set(digests):
        assert len({split for split, other in zip(splits, digests, strict=True) if other == digest}) == 1
    assert splits[:60].count("train") == splits[60:].count("train") == 36
    assert splits[:60].count("test") == splits[60:].count("test") == 12


def test_copies_alone_are_too_few_to_divide():
    with pytest.raises(InputError, match="class b: 1 picture, copies not counted: too few"):
        divide(np.repeat([0, 1], 9), [*"abcdefghi", *"x" * 9], ("a", "b"), (0.6, 0.2, 0.2), seed=0)


def test_a_manifest_comes_back_as_it_was_written(tmp_path):
    write_manifest(tmp_path / "m.split.csv", ROWS)
    assert read_manifest(tmp_path / "m.split.csv") == ROWS
    assert (tmp_path / "m.split.csv").read_text().splitlines()[0] == "file,split,label,sha256"


def test_a_name_that_is_no_utf_8_comes_back_too(tmp_path):
    rows = [ManifestRow("mask/caf\udce9.png", "train", "mask", "01")]
    write_manifest(tmp_path / "m.split.csv", rows)
    assert read_manifest(tmp_path / "m.split.csv") == rows


@pytest.mark.parametrize("content", [b"", b"file,split\na,train\n", b"file,split,label,sha256\na,b\n", b"\xff\xfe\x00"])
def test_a_file_that_is_no_manifest_is_named(tmp_path, content):
    (tmp_path / "m.split.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"m\.split\.csv: not the manifest"):
        read_manifest(tmp_path / "m.split.csv")


def test_a_manifest_that_is_not_there_is_named(tmp_path):
    with pytest.raises(InputError, match=r"lost\.csv: cannot be read"):
        read_manifest(tmp_path / "lost.csv")


def test_copies_in_two_splits_or_two_classes_are_found_and_others_not():
    copy_in_val = ManifestRow("mask/copy.png", "val", "mask", "01")
    other_label = ManifestRow("mask/d.png", "val", "mask", "03")
    harmless = ManifestRow("mask/e.png", "test", "mask", "02")
    assert copies_across([*ROWS, copy_in_val, other_label, harmless]) == [
        (ROWS[0], copy_in_val),
        (ROWS[2], other_label),
    ]


def test_the_fingerprint_is_of_the_contents_and_not_of_the_names():
    renamed = [row._replace(file="x") for row in reversed(ROWS)]
    assert fingerprint(renamed) == fingerprint(ROWS)
    for change in ({"split": "test"}, {"label": "no_mask"}, {"sha256": "09"}):
        assert fingerprint([ROWS[0]._replace(**change), *ROWS[1:]]) != fingerprint(ROWS)
