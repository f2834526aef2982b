"""The doctor's findings: what is there, what is missing, and that each trouble comes with a remedy."""

import json
import re
import resource
import socket
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from msgspec.structs import replace
from PIL import Image

from configs.load import load_config
from configs.schema import SourceConfig
from doctor import machine
from doctor.machine import cameras, classifier, codecs, detector, examine, memory, open_files, port

ROOT = Path(__file__).resolve().parents[2]
ROOMS = (
    "benchmark",
    "capture",
    "configs",
    "doctor",
    "events",
    "export",
    "fleet",
    "inference",
    "overlay",
    "run",
    "share",
    "tell",
    "train",
    "transport",
    "web",
)
DEMO = [SourceConfig(source="demo")]


def run(*arguments):
    command = [sys.executable, "-c", "from run_pipeline import main; main()", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)


def test_this_machine_has_no_problem():
    done = run("doctor", "--json")
    findings = json.loads(done.stdout)["findings"]
    assert done.returncode == 0, findings
    assert {one["subject"] for one in findings} >= {"Python", "detector", "model", "codecs", "memory", "page"}
    assert all(one["remedy"] for one in findings if one["level"] != "ok")


def test_a_model_that_is_not_there_is_a_problem_and_the_exit_code_says_so():
    done = run("doctor", "--model", "nowhere.onnx")
    assert done.returncode == 1
    assert "problem model: nowhere.onnx: no such model file" in done.stdout
    assert "Traceback" not in done.stderr


def test_a_model_without_a_card_is_told(tmp_path):
    shipped = ROOT / "inference" / "pretrained" / "face_mask.onnx"
    (tmp_path / "own.onnx").write_bytes(shipped.read_bytes())
    options = load_config(None, (), {"classify": {"model": str(tmp_path / "own.onnx")}})
    found = classifier(options)
    assert found.level == "warning"
    assert "no MODEL_CARD.md" in found.found
    assert classifier(load_config(None)).level == "ok"


def test_a_detector_without_its_file_is_a_problem():
    found = detector(load_config(None, (), {"detect": {"detector": "yunet"}}))
    assert (found.level, "--detector-model" in found.found) == ("problem", True)


def test_what_decodes_is_told_and_a_driver_that_cannot(monkeypatch):
    monkeypatch.setattr(machine, "refusal", lambda name: "no driver")
    monkeypatch.setattr(machine, "has_node", lambda name: False)
    assert (codecs().level, "MJPEG by the CPU, writes" in codecs().found) == ("ok", True)
    monkeypatch.setattr(machine, "has_node", lambda name: name == "cuda")
    assert codecs().level == "warning"
    assert "cannot be used: NVIDIA's NVDEC (no driver)" in codecs().found
    monkeypatch.setattr(machine, "refusal", lambda name: "" if name == "cuda" else "no driver")
    assert (codecs().level, "by NVIDIA's NVDEC, writes" in codecs().found) == ("ok", True)


@pytest.mark.parametrize(("limit", "level"), [("max", "ok"), (str(10**12), "ok"), (str(2 * 10**8), "problem")])
def test_the_memory_of_the_container_counts(tmp_path, limit, level):
    (tmp_path / "memory.max").write_text(limit)
    (tmp_path / "memory.current").write_text("0")
    assert memory(DEMO, tmp_path).level == level


def test_a_port_that_is_taken_is_told():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        number = taken.getsockname()[1]
        assert port("127.0.0.1", number).level == "warning"
    assert port("127.0.0.1", number).level == "ok"


def test_a_device_that_is_no_camera_is_told(tmp_path):
    (tmp_path / "video0").touch()
    [found] = cameras([tmp_path / "video0"])
    assert found.level == "warning"
    [none] = cameras([])
    assert (none.level, none.subject) == ("warning", "cameras")


def test_memory_grows_with_the_streams():
    options = load_config(None)
    one, many = memory(DEMO), memory(DEMO * 10)
    needed = [float(found.found.split(" GB free, ")[1].split()[0]) for found in (one, many)]
    assert needed[1] > needed[0]
    assert any(found.subject == "memory" for found in examine(replace(options, sources=tuple(DEMO))))


def test_the_memory_of_a_folder_is_reckoned_by_its_largest_picture(tmp_path):
    for name, size in (("a.png", (64, 48)), ("b.png", (7680, 4320)), ("c.jpg", (640, 480))):
        Image.new("L", size).save(tmp_path / name)
    (tmp_path / "broken.png").write_bytes(b"no image")
    found = memory([SourceConfig(source=str(tmp_path))])
    assert " 2.3 needed for 1 stream of 7680x4320 px" in found.found


def test_the_memory_of_a_film_is_reckoned_by_its_pictures_and_of_a_camera_by_1080p(clip):
    film = memory([SourceConfig(source=str(clip(count=2, size=(3840, 2160))))])
    assert " 0.8 needed for 1 stream of 3840x2160 px" in film.found
    both = memory([SourceConfig(source="rtsp://camera/"), *DEMO])
    assert " for 2 streams of up to 1920x1080 px" in both.found


def test_more_streams_than_files_can_be_open_for_are_a_problem():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert open_files(1).level == "ok"
    assert open_files(hard).level == "problem"


def test_what_is_advised_to_install_is_there():
    """The package is on no index, so only its own extras can be advised, and they must be those of pyproject.toml."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    advised = set()
    for path in (*ROOT.glob("*.py"), *(path for room in ROOMS for path in (ROOT / room).rglob("*.py"))):
        text = path.read_text()
        assert not re.search(r"pip install '?maskstream", text), path
        advised |= set(re.findall(r"pip install -e '\.\[(\w+)\]'", text))
    assert "train" in advised
    assert advised <= extras.keys()
