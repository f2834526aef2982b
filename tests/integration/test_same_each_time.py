"""What is found and said of films is the same in every run, whatever else runs and however frames are gathered."""

import cv2
import pytest

from capture.demo import DemoScene

OF_THE_CLOCK = {"stream", "captured", "age_ms"}  # keys whose values are not of the film


@pytest.fixture
def film(tmp_path):
    """Five seconds of the demo, with three persons who change their masks."""
    path, scene = tmp_path / "demo.avi", DemoScene()
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (640, 480))
    for index in range(325, 450):
        writer.write(scene.picture(index))
    writer.release()
    return path


def of_film(lines, stream):
    return [{key: line[key] for key in line.keys() - OF_THE_CLOCK} for line in lines if line["stream"] == stream]


def test_lines_do_not_depend_on_batches_tickets_or_other_streams(maskstream, film):
    first = maskstream("--source", film, "--sink", "jsonl:o.jsonl")
    assert first.wait() == 0, first.stderr
    both = ("--source", film, "--source", film, "--tickets", 5, "--set", "classify.max_batch=3")
    second = maskstream(*both, "--sink", "jsonl:{stream}.jsonl")
    assert second.wait() == 0, second.stderr
    alone = of_film(first.lines(), "demo")
    assert len(alone) == 125
    assert {face["label"] for line in alone for face in line["faces"]} >= {"mask", "no_mask", "wrong_mask"}
    for stream in ("demo", "demo-2"):
        assert of_film(second.lines(f"{stream}.jsonl"), stream) == alone
