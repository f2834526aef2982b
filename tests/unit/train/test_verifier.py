"""What a verifier learns from: windows that say rightly whether a face is in them and where, however augmented."""

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

torch = pytest.importorskip("torch")

from capture.demo import DemoScene  # noqa: E402
from configs.errors import InputError  # noqa: E402
from inference.detectors.verifier import VERIFIER, Verifier, moved, windows_on  # noqa: E402
from train.data.photos import Photo  # noqa: E402
from train.verifier.__main__ import false_boxes, least_score, train_verifier  # noqa: E402
from train.verifier.network import VerifierNetwork, augmented  # noqa: E402
from train.verifier.onnx_file import write_verifier  # noqa: E402
from train.verifier.training import fit  # noqa: E402
from train.verifier.windows import LABELS, MOST_A_FACE, NO_FACE, WindowSource, together  # noqa: E402

SIDE_PX = 32
NONE_UNSURE = np.empty((0, 4))


@pytest.fixture
def source(monkeypatch):
    """Windows of what our own networks see; YuNet's file is not part of the project."""
    monkeypatch.setattr("train.verifier.windows.open_detector", lambda config: None)
    return WindowSource(None, Path("yunet.onnx"), SIDE_PX, seed=0)


@pytest.fixture(scope="module")
def photo():
    scene = DemoScene()
    return Photo("demo", scene.picture(340), tuple(scene.truth(340)))


@pytest.fixture
def windows(source, photo):
    return together(source.windows_in(photo, NONE_UNSURE, scale) for scale in (0.4, 0.6, 1.0))


def test_windows_are_of_faces_and_of_what_is_none(photo, windows):
    assert windows.pixels.shape[1:] == (44, 44, 3)
    counts = {label: (windows.labels == place).sum() for place, label in enumerate((*LABELS, "no face"))}
    for _, label in photo.faces:
        assert 0 < counts[label] <= 3 * MOST_A_FACE * sum(other == label for _, other in photo.faces)
    assert (windows.labels == NO_FACE).sum() > 10
    assert (windows.moves[windows.labels == NO_FACE] == 0).all()
    of_faces = windows.moves[windows.labels != NO_FACE]
    assert (np.abs(of_faces[:, :2]) < 0.35).all()  # a face lies in the middle, more or less
    assert (np.exp(of_faces[:, 2:]) < 1.3).all()


@pytest.mark.parametrize("mirror", [0.0, 1.0])
def test_a_window_says_where_the_face_lies_in_it(source, photo, monkeypatch, mirror):
    """What lies in a bare face's box, told by window and moves, is skin, in the mirror image as well."""
    monkeypatch.setattr(source, "rng", Drawn(mirror))
    found = source.windows_in(photo, NONE_UNSURE, 1.0)
    middle = np.array([[22.0, 22.0, SIDE_PX]])
    bare = found.labels == LABELS.index("no_mask")
    assert bare.any()
    for pixels, moves in zip(found.pixels[bare], found.moves[bare], strict=True):
        x, y, width, height = moved(middle, moves[None])[0]
        face = pixels[int(y + 0.2 * height) : int(y + 0.8 * height), int(x + 0.2 * width) : int(x + 0.8 * width)]
        blue, _, red = face.reshape(-1, 3).mean(axis=0)
        assert red > blue + 15


class Drawn:
    """A random generator that mirrors or does not, and takes the first of all."""

    def __init__(self, mirror):
        self.mirror = mirror

    def random(self):
        return 0.0 if self.mirror else 1.0

    def permutation(self, numbers):
        return numbers


def test_faces_that_nobody_annotated_are_left_out(source, photo, monkeypatch):
    monkeypatch.setattr("train.verifier.windows.MOST_ELSEWHERE", 100_000)
    bare = Photo(photo.name, photo.image, ())
    faces = np.array([(box.x, box.y, box.width, box.height) for box, _ in photo.faces])
    monkeypatch.setattr(source, "rng", Drawn(1.0))
    kept, everything = source.windows_in(bare, faces, 1.0), source.windows_in(bare, NONE_UNSURE, 1.0)
    assert (everything.labels == NO_FACE).all()
    assert len(kept.labels) < len(everything.labels)


def test_a_picture_in_which_nothing_is_seen_has_no_windows(source, photo, monkeypatch):
    monkeypatch.setattr("train.verifier.windows.LEAST_PX", 1000)
    nothing = source.windows_in(photo, NONE_UNSURE, 1.0)
    assert (nothing.pixels.shape, nothing.labels.shape, nothing.moves.shape) == ((0, 44, 44, 3), (0,), (0, 4))


def test_the_box_moves_with_the_picture():
    """A white rectangle on black: its augmented box still bounds what is white, in all 64 variations."""
    size, box = 44, np.array([[14.0, 12.0, 16.0, 20.0]])
    pixels = np.zeros((1, size, size, 3), np.uint8)
    pixels[0, 12:32, 14:30] = 255
    middle = np.array([[size / 2, size / 2, SIDE_PX]])
    moves = np.concatenate(
        [(box[:, :2] + box[:, 2:] / 2 - middle[:, :2]) / SIDE_PX, np.log(box[:, 2:] / SIDE_PX)], axis=1
    )
    many = torch.from_numpy(pixels).repeat(64, 1, 1, 1), torch.from_numpy(moves.astype(np.float32)).repeat(64, 1)
    out, changed = augmented(*many, SIDE_PX, torch.Generator().manual_seed(0))
    assert out.shape == (64, SIDE_PX, SIDE_PX, 3)
    said = moved(np.array([[SIDE_PX / 2, SIDE_PX / 2, SIDE_PX]]), changed.numpy())
    for picture, (x, y, width, height) in zip(out.numpy().mean(axis=3), said, strict=True):
        rows, columns = np.nonzero(picture > (picture.min() + picture.max()) / 2)
        assert columns.mean() + 0.5 == pytest.approx(x + width / 2, abs=1)
        assert rows.mean() + 0.5 == pytest.approx(y + height / 2, abs=1)
        assert len(rows) == pytest.approx(width * height, rel=0.2)


def test_the_network_has_some_thousand_weights():
    assert 20_000 < sum(weight.numel() for weight in VerifierNetwork(48).parameters()) < 25_000


def test_what_was_learnt_is_written_and_read(windows, photo, tmp_path):
    network = fit(VerifierNetwork(SIDE_PX), windows, steps=3, seed=0)
    write_verifier(network, 0.7, tmp_path / "verifier.onnx")
    verifier = Verifier(tmp_path / "verifier.onnx")
    assert (verifier.info.score, verifier.side_px) == (0.7, 32)
    places = np.array([[40.0, 60, 40, 50], [100, 90, 70, 80], [9, 9, 30, 30]])
    scores, boxes = verifier.look(photo.image, windows_on(places))
    assert scores.shape == (3,)
    assert boxes.shape == (3, 4)


def test_learning_is_the_same_each_time(windows):
    def weights():
        torch.manual_seed(0)
        return list(fit(VerifierNetwork(SIDE_PX), windows, steps=3, seed=0).parameters())

    assert all(torch.equal(one, other) for one, other in zip(weights(), weights(), strict=True))


def test_false_boxes_are_those_on_no_face_that_anybody_has_seen(photo, tmp_path, monkeypatch):
    (tmp_path / "images").mkdir()
    cv2.imwrite(str(tmp_path / "images" / "demo.png"), photo.image)
    nobody = {"categories": [{"id": 1, "name": "mask"}], "images": [{"id": 1, "file_name": "demo.png"}]}
    (tmp_path / "annotations.json").write_text(json.dumps(nobody | {"annotations": []}))
    count = false_boxes(VERIFIER, tmp_path, None)
    assert (count(0.3), count(0.999)) == (len(photo.faces), 0)
    assert count(least_score(count, 0)) == 0 < count(least_score(count, 0) - 0.001)
    seen = {"demo.png": tuple(box for box, _ in photo.faces)}
    monkeypatch.setattr("train.score.sightings.read_background_faces", lambda: seen)
    assert count(0.3) == 0


def test_without_torch_one_line_says_what_is_missing(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(InputError, match=r"training needs torch, which is not installed"):
        train_verifier(tmp_path, tmp_path / "yunet.onnx", tmp_path / "verifier.onnx")
    assert not (tmp_path / "verifier.onnx").exists()
