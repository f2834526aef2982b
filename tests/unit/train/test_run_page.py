"""The page of a run holds what it should, all in one file, whatever classes and files are called."""

import base64
import re
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from configs.errors import InputError
from train.score.metrics import score
from train.score.run_page import RunPage, ScoredSplit, write_run_page

CLASSES = ("mask", "<no> & mask")


@pytest.fixture
def splits(tmp_path):
    """Two splits of 40 faces: of val the last face is labelled wrongly, of test the model errs about two."""
    found = []
    for name, wrong in (("val", [39]), ("test", [0, 21])):
        labels = np.arange(40) // 20
        sure = np.where(labels == 0, 0.95, 0.05)
        sure[wrong] = 1 - sure[wrong]
        files = [tmp_path / f"{name}-{number}.png" for number in range(40)]
        for number, file in enumerate(files):
            cv2.imwrite(str(file), np.full((30, 20, 3), 6 * number, np.uint8))
        names = [file.name for file in files]
        names[0] = "caf\udce9<i>.png"
        found.append(ScoredSplit(name, files, names, labels, np.stack([sure, 1 - sure], axis=1)))
    return found


def page_of(splits, **others):
    settings = ("settings", ["option", "value"], [["epochs", "2"], ["<x>", ""]])
    return RunPage("run <1>", ("about & it",), "maskstream train 'a b'", CLASSES, splits, [settings], **others)


def epochs(splits):
    val = score(splits[0].probabilities, splits[0].labels, CLASSES)
    return [
        SimpleNamespace(epoch=number, loss=1 / number, train_accuracy=0.5, val_loss=0.7, val=val) for number in (1, 2)
    ]


def written(path, page):
    write_run_page(path, page)
    return path.read_text(encoding="utf-8")


def test_it_says_how_good_the_model_is_on_the_split_that_counts(splits, tmp_path):
    text = written(tmp_path / "p.html", page_of(splits))
    assert "test split, 40 faces: accuracy 95.0 % (95 % interval " in text
    assert "test: 2 mistakes in 40 faces" in text
    assert "val: 1 mistake in 40 faces" in text
    assert "3 faces (1 of val, 2 of test)" in text
    assert "maskstream train &#x27;a b&#x27;" in text


def test_faces_are_within_it_and_named(splits, tmp_path):
    text = written(tmp_path / "p.html", page_of(splits))
    pictures = [base64.b64decode(found) for found in re.findall(r'src="data:image/jpeg;base64,([^"]+)"', text)]
    shades = [int(cv2.imdecode(np.frombuffer(one, np.uint8), cv2.IMREAD_COLOR).mean() / 6 + 0.5) for one in pictures]
    assert shades == [0, 21, 39, 39, 0, 21], "mistakes of test, of val; probable label errors of both"
    assert "test-21.png" in text
    assert "caf\ufffd&lt;i&gt;.png" in text


def test_nothing_in_it_comes_from_elsewhere(splits, tmp_path):
    text = written(tmp_path / "p.html", page_of(splits, history=epochs(splits), best=2, batch_jpeg=b"jpeg"))
    assert not re.search(r"<script|<link|<iframe|@import|url\(", text)
    sources = re.findall(r'(?:src|href)="([^"]{0,6})', text)
    assert sources
    assert all(one.startswith(("data:", "#")) for one in sources)
    assert "default-src 'none'" in text


def test_names_of_any_kind_are_text(splits, tmp_path):
    text = written(tmp_path / "p.html", page_of(splits, history=epochs(splits), best=2))
    assert "&lt;no&gt; &amp; mask" in text
    assert "<no>" not in text
    assert "<x>" not in text


def test_curves_are_there_where_there_was_a_training(splits, tmp_path):
    plain = written(tmp_path / "a.html", page_of(splits))
    trained = written(tmp_path / "b.html", page_of(splits, history=epochs(splits), best=2))
    assert 'id="curves"' not in plain
    assert '"#curves"' not in plain
    assert "best: 2" in trained
    assert "2 (best)" in trained


def test_a_model_without_mistakes_has_a_page(splits, tmp_path):
    right = splits[1].probabilities.copy()
    right[[0, 21]] = right[[1, 22]]
    perfect = ScoredSplit("test", splits[1].files, splits[1].names, splits[1].labels, right)
    assert "0 mistakes in 40 faces" in written(tmp_path / "p.html", page_of([perfect]))


def test_a_face_that_is_gone_is_named(splits, tmp_path):
    splits[1].files[21].unlink()
    with pytest.raises(InputError, match=r"test-21\.png: cannot be used"):
        write_run_page(tmp_path / "p.html", page_of(splits))
