"""Films with known faces, generated or the user's own."""

import json

import cv2
import pytest

from benchmark.clip import CAST, SECONDS, face_crops, generate, linked, open_clip
from configs.errors import InputError
from transport.frame import Box


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return generate(tmp_path_factory.mktemp("film"), (320, 240), 10)


def test_a_generated_film_is_what_it_says(film):
    video = cv2.VideoCapture(str(film.path))
    assert video.get(cv2.CAP_PROP_FRAME_WIDTH) == 320
    assert video.get(cv2.CAP_PROP_FPS) == 10
    count = 0
    while video.grab():
        count += 1
    assert count == film.pictures == len(film.truth) == 10 * SECONDS


def test_it_shows_all_labels_and_persons_who_come_and_go(film):
    assert {seen.label for faces in film.truth for seen in faces} == {"mask", "no_mask", "wrong_mask"}
    assert {seen.person for faces in film.truth for seen in faces} == set(range(len(CAST)))
    assert sum(len(faces) == 3 for faces in film.truth) > 0.9 * film.pictures


def test_faces_grow_with_the_picture(tmp_path):
    small, wide = generate(tmp_path, (320, 240), 1), generate(tmp_path, (640, 360), 1)
    one, two = small.truth[0][0].box, wide.truth[0][0].box
    assert two.height == pytest.approx(1.5 * one.height)
    assert two.x + two.width / 2 == pytest.approx(2 * (one.x + one.width / 2))


def test_crops_are_of_faces(film):
    crops = face_crops(film, 30)
    assert 15 < len(crops) < 60
    assert all(crop.shape[0] > 40 for crop in crops)


def test_the_users_film_has_its_truth_beside_it(film, tmp_path):
    path = tmp_path / "own.mp4"
    path.write_bytes(film.path.read_bytes())
    assert open_clip(path, None).truth is None
    faces = [[{"label": "mask", "bbox": [1, 2, 30, 40]}]] * film.pictures
    path.with_suffix(".json").write_text(json.dumps({"fps": 10, "frames": faces}))
    clip = open_clip(path, None)
    assert (clip.size, clip.fps, clip.pictures) == ((320, 240), 10, film.pictures)
    assert clip.truth[0][0].box == Box(1, 2, 30, 40)
    path.with_suffix(".json").write_text(json.dumps({"frames": faces[1:]}))
    with pytest.raises(InputError, match=rf"faces of {film.pictures - 1} pictures, .* has {film.pictures}"):
        open_clip(path, None)


@pytest.mark.parametrize(("content", "words"), [(None, "no such file"), (b"no film", "not a film that can be read")])
def test_what_is_no_film_is_refused(content, words, tmp_path):
    path = tmp_path / "x.mp4"
    if content:
        path.write_bytes(content)
    with pytest.raises(InputError, match=words):
        open_clip(path, None)


def test_who_is_where_the_last_picture_had_someone_is_the_same_person():
    one, moved, other = Box(0, 0, 10, 10), Box(2, 0, 10, 10), Box(50, 0, 10, 10)
    truth = linked([[(one, "mask")], [(other, "mask"), (moved, "mask")], [], [(moved, "mask")]])
    assert [[seen.person for seen in faces] for faces in truth] == [[0], [1, 0], [], [2]]
