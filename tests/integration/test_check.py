"""`maskstream check` opens real cameras once and says what they send."""

import json
import subprocess
import sys

import cv2
from program import ROOT


def check(*arguments, cwd=None):
    command = [sys.executable, "-c", "from run_pipeline import main; main()", "check", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=cwd, env=None)


def test_a_camera_is_told_with_what_could_be_better_and_a_picture(rtsp_server, tmp_path):
    server = rtsp_server(auth="me:s3cret")
    away = server.url.replace("/live", "/other")
    settings = tmp_path / "cameras.yaml"
    settings.write_text(f"sources: [{{name: door, source: '{server.url}'}}, {{name: hall, source: '{away}'}}]\n")
    told = check(settings, "--for", "6s", "--json", "--pictures", tmp_path / "look", cwd=ROOT)
    assert told.returncode == 1, told.stderr
    sources = json.loads(told.stdout)["sources"]
    door = sources["door"]
    assert (door["width"], door["height"], door["codec"]) == (640, 480, "h264")
    assert door["told_fps"] == 25
    assert 5 < door["fps"] < 40
    assert 3.9 < door["key_s"] < 6.5  # the server's is 4 s
    assert door["mbit_per_s"] > 0
    assert door["first_s"] >= door["opened_s"] > 0
    assert any("I-frame interval" in line for line in door["advice"]) == (door["key_s"] > 4)
    assert "404" in sources["hall"]["error"] or "not found" in sources["hall"]["error"].lower()
    assert "s3cret" not in told.stdout + told.stderr
    assert cv2.imread(str(tmp_path / "look" / "door.jpg")).shape == (480, 640, 3)


def test_what_there_is_not_is_said_in_one_line(tmp_path):
    none = check(cwd=ROOT)
    assert (none.returncode, none.stdout) == (1, "")
    assert none.stderr.startswith("maskstream: error: no source: give a YAML file")
    gone = check("--source", tmp_path / "no.mp4", cwd=ROOT)
    assert gone.returncode == 1
    assert "no such file" in gone.stdout
    films = check("--source", "demo", cwd=ROOT)
    assert films.returncode == 0
    assert films.stdout.startswith("ok      demo: 640x480, 25 pictures/s")
