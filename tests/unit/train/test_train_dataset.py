"""Data sets: which pictures are in which split, and what is said of folders that cannot be used."""

import cv2
import numpy as np
import pytest

from configs.errors import InputError
from train.data.dataset import find_dataset, find_whole
from train.data.held_out import find_pictures
from train.data.pictures import check_pictures, read_pictures, read_resized


@pytest.fixture
def folder(tmp_path):
    """`folder({"a/x.png": shade})`: pictures of 6 x 8 px; a text in place of a shade makes a broken one.

    The same shade in the same class makes the same file; in another class the green channel differs.
    """

    def make(pictures):
        for name, shade in pictures.items():
            path = tmp_path / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if isinstance(shade, str):
                path.write_text(shade)
            else:
                cv2.imwrite(str(path), np.full((6, 8, 3), (shade, ord(path.parent.name[0]), 0), np.uint8))
        return tmp_path / "data"

    return make


def many(**counts):
    return {f"{name}/{i:03}.png": i for name, count in counts.items() for i in range(count)}


def test_splits_are_stratified_and_every_picture_is_in_one_of_them(folder):
    data = find_dataset(folder(many(b=40, a=20)), (0.7, 0.15, 0.15))
    assert data.classes == ("a", "b")
    assert {name: np.bincount(split.labels).tolist() for name, split in data.splits.items()} == {
        "train": [14, 28],
        "val": [3, 6],
        "test": [3, 6],
    }
    files = [path for split in data.splits.values() for path in split.files]
    assert len(set(files)) == len(files) == 60


def test_the_same_seed_gives_the_same_split_and_another_seed_another(folder):
    root = folder(many(a=30, b=30))
    first, again, other = (find_dataset(root, seed=seed).splits["test"].files for seed in (1, 1, 2))
    assert first == again
    assert set(first) != set(other)


def test_labels_fit_their_files(folder):
    for split in find_dataset(folder(many(a=5, b=5))).splits.values():
        assert ["ab"[label] for label in split.labels] == [path.parent.name for path in split.files]


def test_a_divided_data_set_is_taken_as_it_is(folder):
    root = folder({f"{split}/{name}/1.jpg": 9 for split in ("train", "val", "test") for name in ("a", "b")})
    assert {name: len(split) for name, split in find_dataset(root).splits.items()} == {"train": 2, "val": 2, "test": 2}
    assert find_whole(root, "val").splits["val"].files == find_dataset(root).splits["val"].files
    with pytest.raises(InputError, match="leave out --split-data"):
        find_dataset(root, (0.7, 0.15, 0.15))


def test_broken_pictures_are_named_and_left_out(folder, caplog):
    root = folder(many(a=4, b=4) | {"a/broken.jpg": "not a picture"})
    pictures, labels = read_pictures(find_whole(root, "all").splits["all"])
    assert len(pictures) == len(labels) == 8
    assert "broken.jpg" in caplog.text


def test_large_pictures_are_shrunk_when_asked(folder):
    [split] = find_whole(folder(many(a=1, b=1)), "all").splits.values()
    assert [picture.shape for picture in read_pictures(split, longest_px=4)[0]] == [(3, 4, 3)] * 2


@pytest.mark.parametrize(
    ("pictures", "proportions", "says"),
    [
        (many(a=9), None, "two classes or more, found 1"),
        (many(a=9, b=9) | {"c/notes.txt": "empty"}, None, "c: holds no pictures"),
        (many(a=9, b=2), None, "class b: 2 pictures, copies not counted: too few"),
        (many(a=9, b=9), (0.7, 0.2, 0.2), "--split-data 0.7 0.2 0.2: .*sum to 1"),
        (many(a=9, b=9), (1.2, -0.1, -0.1), "sum to 1"),
        (many(a=9, b=9), (0.8, 0.0, 0.2), "for validation"),
        ({"train/a/1.png": 1, "train/b/1.png": 1}, None, "has train/ but no val/"),
        ({f"train/{c}/1.png": 1 for c in "ab"} | {f"val/{c}/1.png": 1 for c in "abc"}, None, "val/c: a class that"),
    ],
)
def test_folders_that_cannot_be_used_are_named(folder, pictures, proportions, says):
    with pytest.raises(InputError, match=says) as refusal:
        find_dataset(folder(pictures), proportions)
    assert "\n" not in str(refusal.value)


def test_a_folder_that_is_not_there_is_named(tmp_path):
    for find in (find_dataset, lambda folder: find_whole(folder, "test")):
        with pytest.raises(InputError, match="nowhere: no such folder"):
            find(tmp_path / "nowhere")


def test_a_class_of_broken_pictures_only_is_an_error(folder):
    root = folder(many(a=3) | {"b/1.jpg": "no", "b/2.jpg": "no"})
    with pytest.raises(InputError, match="b: none of its pictures can be read"):
        read_pictures(find_whole(root, "all").splits["all"])


def test_the_labelled_part_of_the_original_layout_is_what_is_used(folder):
    root = folder({f"labeled/{name}": shade for name, shade in many(a=5, b=5).items()} | {"unlabeled/x.png": 7})
    assert find_dataset(root).classes == ("a", "b")
    assert sum(len(split) for split in find_dataset(root).splits.values()) == 10
    assert len(find_whole(root, "all").splits["all"]) == 10


def test_every_file_is_read_and_listed_before_training(folder, caplog):
    root = folder(many(a=6, b=6) | {"a/broken.jpg": "not a picture"})
    (root / "b" / "cut.png").write_bytes((root / "b" / "000.png").read_bytes()[:40])
    checked = check_pictures(find_dataset(root), root)
    assert sorted(checked.broken) == ["a/broken.jpg", "b/cut.png"]
    assert "broken.jpg" in caplog.text
    assert "cut.png" in caplog.text
    assert sorted(row.file for row in checked.rows) == sorted(many(a=6, b=6))
    files = {(name, str(path.relative_to(root))) for name, split in checked.data.splits.items() for path in split.files}
    assert files == {(row.split, row.file) for row in checked.rows}
    assert all(row.label == row.file[0] and len(row.sha256) == 64 for row in checked.rows)
    assert all(len(split.files) == len(split.labels) for split in checked.data.splits.values())


def encoded(suffix, picture):
    return cv2.imencode(suffix, picture)[1].tobytes()


def test_folders_of_others_hold_more_than_pictures_and_what_is_left_out_is_told(folder, caplog):
    """As downloads come: pictures of all kinds, what archives and editors leave behind, a file that is cut off."""
    root = folder(many(no_mask=4) | {"mask/ plain 100% {x}.jpg": 3, "mask/UPPER.JPG": 5, "mask/deep/er/a.png": 6})
    noise = np.random.default_rng(0).integers(0, 255, (32, 32, 3), np.uint8)
    for suffix in (".tif", ".tiff", ".gif", ".avif", ".webp", ".bmp", ".jp2"):
        (root / "mask" / f"kind{suffix}").write_bytes(encoded(suffix, noise))
    jpeg = encoded(".jpg", noise)
    for name in ("kind.jfif", "kind.JPE"):
        (root / "mask" / name).write_bytes(jpeg)
    (root / "mask" / "alpha.png").write_bytes(encoded(".png", np.dstack([noise, noise[..., 0]])))
    (root / "mask" / "deep.png").write_bytes(encoded(".png", noise.astype(np.uint16) * 257))
    (root / "mask" / "cut.jpg").write_bytes(jpeg[: len(jpeg) // 2])
    (root / "mask" / "empty.jpg").write_bytes(b"")
    for name in ("notes.txt", "phone.HEIC"):
        (root / "mask" / name).write_text("no picture")
    passed_over = ("__MACOSX/mask/a.jpg", ".git/a.jpg", "mask/.ipynb_checkpoints/a.jpg", "mask/@eaDir/a.jpg")
    for name in (*passed_over, "mask/._a.jpg", "mask/deep/__MACOSX/a.jpg", "lost+found/a.jpg", "mask/Thumbs.db"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(jpeg)
    checked = check_pictures(find_whole(root, "all"), root)
    assert checked.data.classes == ("mask", "no_mask")
    kinds = (
        "alpha.png",
        "deep.png",
        *(f"kind{suffix}" for suffix in (".JPE", ".avif", ".bmp", ".gif", ".jfif", ".jp2", ".tif", ".tiff", ".webp")),
    )
    own = {f"mask/{name}" for name in (*kinds, " plain 100% {x}.jpg", "UPPER.JPG", "deep/er/a.png")}
    assert {row.file for row in checked.rows} == own | set(many(no_mask=4))
    assert checked.left_out == {
        "not a whole image": ["mask/cut.jpg"],
        "the file is empty": ["mask/empty.jpg"],
        "no picture by its suffix": ["mask/notes.txt", "mask/phone.HEIC"],
    }
    assert sorted(checked.broken) == ["mask/cut.jpg", "mask/empty.jpg"]
    assert [record.getMessage().removeprefix(f"{root}") for record in caplog.records] == [
        "/mask/cut.jpg: left out: not a whole image",
        "/mask/empty.jpg: left out: the file is empty",
        ": left out as no pictures by their suffixes: mask/notes.txt, mask/phone.HEIC",
    ]
    pictures, _ = read_pictures(checked.data.splits["all"])
    assert len(pictures) == len(checked.rows)


@pytest.mark.parametrize("names", [("Train", "Validation", "Test"), ("TRAINING", "valid", "testing")], ids=str)
def test_splits_under_the_names_of_others_are_no_classes(folder, names):
    root = folder({f"{split}/{name}/1.jpg": 9 for split in names for name in ("a", "b")})
    data = find_dataset(root)
    assert data.classes == ("a", "b")
    assert {name: split.files[0].parent.parent.name for name, split in data.splits.items()} == dict(
        zip(("train", "val", "test"), names, strict=True)
    )
    assert find_whole(root, "val").splits["val"].files == data.splits["val"].files
    assert find_pictures(root, None, root / "m.pth")[0] == "test"


def test_a_divided_data_set_of_others_is_read_by_the_same_rules(folder):
    root = folder({f"{split}/{name}/1.jpg": 9 for split in ("train", "val") for name in ("a", "b")})
    for name in ("train/__MACOSX", "val/.ipynb_checkpoints"):
        (root / name).mkdir()
    (root / "val" / "a" / "notes.txt").write_text("no picture")
    checked = check_pictures(find_dataset(root), root)
    assert checked.data.classes == ("a", "b")
    assert checked.left_out == {"no picture by its suffix": ["val/a/notes.txt"]}


def test_a_thousand_broken_files_do_not_fill_the_screen(folder, caplog):
    root = folder(many(a=6, b=6) | {f"a/broken{i}.jpg": f"text {i}" for i in range(100)})
    assert len(check_pictures(find_whole(root, "all"), root).broken) == 100
    assert len(caplog.records) == 21
    assert "80 more pictures" in caplog.text


def test_copies_in_different_folders_stay_in_one_split(folder):
    root = folder({f"a/{copy}{i}.png": i for i in range(20) for copy in "xy"} | many(b=20))
    checked = check_pictures(find_dataset(root), root)
    split_of = {row.file: row.split for row in checked.rows}
    assert all(split_of[f"a/x{i}.png"] == split_of[f"a/y{i}.png"] for i in range(20))


def test_pictures_can_be_read_in_the_size_of_the_network(folder):
    [split] = find_whole(folder(many(a=2, b=1)), "all").splits.values()
    pixels, labels = read_resized(split, 5)
    assert pixels.shape == (3, 5, 5, 3)
    assert labels.tolist() == [0, 0, 1]
    assert pixels[1, 0, 0].tolist() == [1, ord("a"), 0]
