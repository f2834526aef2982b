"""`maskstream evaluate-tracks`: the real program on films with truth, what it prints and refuses."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from benchmark.clip import write_film
from train.synthesis.actors import portrait_actors, rooms
from train.synthesis.person_scene import SIZE
from train.synthesis.person_scenes import scenes

ROOT = Path(__file__).resolve().parents[2]
SCENE = "a board passes, 2 s"


def run(*arguments, code=0):
    program = f"from run_pipeline import main; main({[*map(str, arguments)]!r})"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert done.returncode == code, done.stderr
    return done


def as_json(face):
    box = face.box
    bbox = [box.x, box.y, box.width, box.height]
    return {"label": face.label, "bbox": bbox, "person": face.person, "visible": face.visible}


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    """A scene as a film, its truth beside it: two persons stand, and a board stops before each of them for 2 s."""
    path = tmp_path_factory.mktemp("film") / "hall.mp4"
    [room] = rooms(None, SIZE)
    [scene] = [one for one in scenes(portrait_actors(), [room], 3, 12.0) if one.name == SCENE]
    pictures, truth = zip(*scene.play(), strict=True)
    write_film(path, pictures, SIZE, 12, 3_000_000, b_frames=True)
    frames = [[as_json(face) for face in faces] for faces in truth]
    path.with_suffix(".json").write_text(json.dumps({"frames": frames}))
    return path


def test_who_is_hidden_for_two_seconds_in_a_film_keeps_the_number(film):
    done = run("evaluate-tracks", film, "--json")
    [scores] = json.loads(done.stdout.splitlines()[-1])["scenes"].values()
    assert scores["persons"] == scores["found"] == 2
    assert scores["idf1"] > 0.9
    assert 0.5 < scores["hota"] <= 1
    assert (scores["double_counts"], scores["switches"], scores["shared"], scores["false_persons"]) == (0, 0, 0, 0)
    assert "twice: numbers beyond the first of a person" in done.stdout


def test_all_scenes_are_generated_and_scored_alike_each_time():
    """Of few pictures a second, so that it does not take long."""
    arguments = ("evaluate-tracks", "--fps", 5, "--json")
    first, second = (json.loads(run(*arguments).stdout.splitlines()[-1]) for _ in range(2))
    assert first == second
    assert len(first["scenes"]) == 14
    assert first["scenes"]["all scenes"]["persons"] > 30
    assert first["scenes"]["all scenes"]["idf1"] > 0.85


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nowhere.mp4"], "nowhere.mp4: no such film"),
        (["TEXT"], "not a video"),
        (["FILM"], "No such file or directory"),
        (["FILM", "--photos", "nowhere"], "give FILMs, or --photos"),
        (["--photos", "nowhere"], "nowhere/annotations.json"),
        (["--set", "detect.widht=3"], "detect.widht"),
    ],
)
def test_what_cannot_be_scored_is_refused_in_one_line(arguments, said, film, tmp_path):
    (tmp_path / "bare.mp4").write_bytes(film.read_bytes())
    (tmp_path / "text.mp4").write_text("hello")
    places = {"FILM": tmp_path / "bare.mp4", "TEXT": tmp_path / "text.mp4"}
    done = run("evaluate-tracks", *(places.get(one, one) for one in arguments), code=1)
    errors = [line for line in done.stderr.splitlines() if line.startswith("maskstream: error:")]
    assert len(errors) == 1
    assert "Traceback" not in done.stderr
    assert said in errors[0]
