"""With privacy on, a face detector finds none of the faces in what leaves the box that it finds with privacy off."""

import json
import time
import urllib.request

import cv2
import numpy as np
import pytest
from conftest import _free_port
from program import ROOT
from test_web_doors import ask

from configs.schema import DetectConfig
from inference.search import open_detector
from transport.frame import Box, iou

pytestmark = pytest.mark.alone

CASCADE = cv2.CascadeClassifier(cv2.data.haarcascades + "haarcascade_frontalface_alt2.xml")

FILMS = ROOT / ".." / "shared" / "data" / "clips"
YUNET = ROOT / ".." / "shared" / "models" / "face_detection_yunet_2023mar.onnx"


def faces_in(picture) -> list[Box]:
    grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
    return [Box(*map(float, box)) for box in CASCADE.detectMultiScale(grey, 1.1, 4, minSize=(40, 40))]


def pictures(path) -> list[np.ndarray]:
    film, found = cv2.VideoCapture(str(path)), []
    while True:
        there, picture = film.read()
        if not there:
            return found
        found.append(picture)


@pytest.mark.parametrize("kind", ["blur", "pixelate"])
def test_a_recording_has_no_face_that_it_has_without(maskstream, kind):
    runs = {
        privacy: maskstream("--source", "demo", "--sink", "file:o.mp4", "--set", f"overlay.privacy={privacy}")
        for privacy in ("none", kind)
    }
    assert [run.wait() for run in runs.values()] == [0, 0]
    bare, hidden = (pictures(run.folder / "o.mp4")[::10] for run in runs.values())
    assert len(bare) == len(hidden)
    open_faces = [faces_in(picture) for picture in bare]
    assert sum(map(len, open_faces)) > 50
    for faces, picture in zip(open_faces, hidden, strict=True):
        found = faces_in(picture)
        assert not [face for face in faces if any(iou(face, other) > 0.3 for other in found)]


def test_the_page_and_the_pictures_of_events_have_no_face(maskstream):
    port = _free_port()
    options = ("--set", "overlay.privacy=pixelate", "--port", port)
    run = maskstream("--source", "demo", "--realtime", "--loop", "--sink", "web", *options)
    run.until(lambda: "capture-demo: ready" in run.stderr)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/stream/demo.mjpg", timeout=10) as film:
        began_s, data = time.monotonic(), b""
        while time.monotonic() - began_s < 15:
            data += film.read1(1 << 20)
    jpegs = [part.partition(b"\r\n\r\n")[2] for part in data.split(b"--picture\r\n")[1:-1]]
    assert len(jpegs) > 100
    decoded = [cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) for jpeg in jpegs[::5]]
    # now and then Haar takes blocks and the lines of a box for a face; of faces left open it finds nearly every one
    assert len([faces for faces in map(faces_in, decoded) if faces]) <= len(decoded) // 18
    happened = [event for event in json.loads(ask(port, "/api/events")[2]) if event["picture"]]
    assert len(happened) >= 3
    faces = [ask(port, f"/events/{event['id']}.jpg")[2] for event in happened]
    decoded = [cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) for jpeg in faces]
    assert not [found for found in map(faces_in, decoded) if found]
    assert any(stream["persons"] for stream in json.loads(ask(port, "/api/status")[2])["streams"])


@pytest.mark.parametrize(
    ("film", "how"), [("pan_cc0_groups", ("--realtime",)), ("pan_cc0_mixed", ())], ids=["live", "file"]
)
def test_a_better_detector_finds_nobody_of_a_crowd(maskstream, film, how):
    """YuNet finds faces that Haar does not: they are hidden all the same."""
    if not YUNET.is_file():
        pytest.skip("needs films and YuNet of shared/")
    runs = [
        maskstream(
            "--source", FILMS / f"{film}.mp4", "--sink", "file:o.mp4", "--set", f"overlay.privacy={privacy}", *how
        )
        for privacy in ("none", "pixelate")
    ]
    assert [run.wait() for run in runs] == [0, 0]
    yunet = open_detector(DetectConfig(detector="yunet", model=str(YUNET), width=640))
    bare, hidden = ([yunet.find(one) for one in pictures(run.folder / "o.mp4")[::5]] for run in runs)
    assert sum(map(len, bare)) > 100
    if how:  # the pictures that are shown are not the same ones
        assert sum(map(len, hidden)) <= 0.02 * sum(map(len, bare))
    else:
        still = [
            [face for face in faces if any(iou(face, other) > 0.3 for other in found)]
            for faces, found in zip(bare, hidden, strict=True)
        ]
        assert not any(still)
