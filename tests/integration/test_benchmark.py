"""`maskstream benchmark`, the real one, as short as it can be."""

import json
import os
import subprocess
import sys
from pathlib import Path

import cv2
import pytest

from benchmark.clip import generate
from benchmark.compared import prepare_network
from benchmark.decoding import measure_decoding
from benchmark.idle import measure_idle
from benchmark.page_figures import COMMANDS, table
from benchmark.pipeline import flat_out, live
from benchmark.rtsp_camera import RtspCamera
from benchmark.scaling import by_core, on
from capture.chips import has_node
from configs.errors import InputError
from configs.schema import ClassifyConfig
from inference.backends import open_backend
from inference.checkpoint import load_checkpoint
from inference.networks import build_network
from transport.cores import usable_cores

ROOT = Path(__file__).resolve().parents[2]


def benchmark(folder, *arguments):
    command = [sys.executable, "-m", "benchmark", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment(), check=False)


def environment():
    return os.environ | {"PYTHONPATH": str(ROOT)}


def test_the_pipeline_is_measured_and_scored(tmp_path):
    done = benchmark(tmp_path, "--size", "320x240", "--limit", 6, "--json", "--plot", "ages.png")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout.splitlines()[-1])
    pipeline = report["pipeline"]
    assert pipeline["fps"] > 10
    assert pipeline["recall"] > 0.95
    assert pipeline["label_accuracy_settled"] > 0.95
    assert pipeline["wrong_person"] == 0
    assert pipeline["real_time_fps"] == pytest.approx(30, abs=1)
    assert set(pipeline["cpu_ms_per_frame"]) == {"supervisor", "capture", "detect", "classify", "overlay"}
    assert 50 < pipeline["memory_mb"] < 1000
    assert 0 < report["ratios"]["pipeline_to_own_decoding"] < 1
    assert cv2.imread(str(tmp_path / "ages.png")).shape[1] > 800
    assert [path.name for path in tmp_path.iterdir()] == ["ages.png"]
    rows = table([((), COMMANDS[0], report)]).splitlines()
    assert rows[-4].startswith(f"| frames/s of scene-320x240-30.mp4, 320x240, 30 frames/s | {pipeline['fps']:.0f}, ")


@pytest.mark.skipif(has_node("cuda"), reason="there is a driver")
def test_without_a_card_one_line_says_what_is_missing(tmp_path):
    done = benchmark(tmp_path, "--gpu", "--json")
    assert done.returncode == 1
    [line] = done.stderr.splitlines()
    assert line.startswith("maskstream: error: benchmark --gpu: NVIDIA's driver is not loaded")
    assert not done.stdout


def test_a_camera_before_an_empty_room_is_measured_beside_decoding(tmp_path):
    lines = []
    idle = measure_idle(tmp_path, ["--device", "cpu"], 1, lines.append, settle_s=4.0, seconds=3.0)
    assert set(idle.cores) == {"supervisor", "capture", "detect", "classify", "overlay"}
    assert idle.cores["capture"] > 0
    assert idle.fps == pytest.approx(5, abs=1)
    assert idle.faces == 0
    assert idle.searches_per_s < 5  # of the first two seconds and one a second from then on; else seven a second
    assert lines[0] == "a camera before an empty room ..."


def test_a_camera_of_our_own_is_recorded_and_its_pictures_are_in_order(tmp_path):
    film = generate(tmp_path, (320, 240), 25, camera_bit_rate=500_000)
    with RtspCamera(film.path) as camera:
        run = live([camera.url(0), camera.url(1)], tmp_path, ["--sink", f"record:{tmp_path}/kept/"], 3.0)
    assert run.streams == 2
    assert run.slowest_fps == pytest.approx(25, abs=2)
    assert run.recorded > 100
    assert run.not_recorded == 0
    assert len(list((tmp_path / "kept").glob("*.mp4"))) == 2


def test_films_are_played_on_one_core_and_on_two(tmp_path):
    if len(by_core(os.sched_getaffinity(0))) < 2:
        pytest.skip("there is one core")
    before = os.sched_getaffinity(0)
    film = generate(tmp_path, (320, 240), 10)
    with on(by_core(before)[:1]):
        run = flat_out(film, tmp_path, ["--set", "detect.every=3"], 6.0, lambda line: None, films=2)
        assert usable_cores() == 1
    assert os.sched_getaffinity(0) == before
    assert run.busy_share <= 1.05
    assert run.scores.recall > 0.9


def test_decoding_alone_is_measured_in_all_ways(tmp_path, monkeypatch):
    film = generate(tmp_path, (320, 240), 10)
    found = measure_decoding(film.path, 0.5)
    assert set(found.rates) - {"ffmpeg"} == {"own_threads", "own_processes"}
    assert min(found.rates.values()) > 50
    monkeypatch.setenv("PATH", str(tmp_path))
    assert measure_decoding(film.path, 0.2).missing == "ffmpeg is not installed"


def test_models_are_timed_beside_each_other(tmp_path):
    model = ROOT / "inference" / "pretrained" / "face_mask.onnx"
    done = benchmark(tmp_path, "--size", "320x240", "--fps", 2, "--model", model, "--model", model, "--json")
    assert done.returncode == 0, done.stderr
    models = json.loads(done.stdout.splitlines()[-1])["models"]
    assert {figures["agreement"] for figures in models} == {1.0}
    assert all(set(figures["ms_per_face"]) == {"1", "8", "32"} for figures in models)


def test_a_model_without_class_names_is_given_them(tmp_path):
    onnx = pytest.importorskip("onnx")
    content = onnx.load(ROOT / "inference" / "pretrained" / "face_mask.onnx")
    del content.metadata_props[:]
    onnx.save(content, tmp_path / "bare.onnx")
    small = ("--size", "320x240", "--fps", 2, "--model", "bare.onnx", "--json")
    done = benchmark(tmp_path, *small)
    assert done.returncode == 1
    assert "bare.onnx: holds no class names; give them in order: --classes a,b,c" in done.stderr
    done = benchmark(tmp_path, *small, "--classes", "mask, no_mask, wrong_mask")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["models"][0]["model"] == "bare.onnx"


def test_weights_without_class_names_are_compared_with_those_given(tmp_path):
    torch = pytest.importorskip("torch")
    pytest.importorskip("torchvision")
    torch.save(build_network("MobileNetV3", 3).state_dict(), tmp_path / "bare.pth")
    (tmp_path / "made").mkdir()
    film = generate(tmp_path, (320, 240), 2)
    with pytest.raises(InputError, match=r"bare\.pth: holds weights without class names"):
        prepare_network(str(tmp_path / "bare.pth"), film, tmp_path / "made", "cuda")
    files = prepare_network(str(tmp_path / "bare.pth"), film, tmp_path / "made", "cuda", ("a", "b", "c"))
    assert load_checkpoint(files.torch)[1].classes == ("a", "b", "c")
    assert open_backend(ClassifyConfig(model=str(files.onnx))).classes == ("a", "b", "c")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--size", "big"], "--size big"),
        (["--size", "641x480"], "even numbers"),
        (["--clip", "nothing.mp4"], "no such file"),
        (["--find-max", "--max-age", "soon"], "'soon' is no span of time"),
        (["--model", "nothing.onnx", "--size", "320x240", "--fps", "1"], "no such model file"),
        (["--compare", "--network", "VGG", "--size", "320x240", "--limit", "6", "--fps", "1"], "VGG"),
        (["--baseline", "nothing.json"], "nothing.json"),
        (["--truth", "x.json"], "--clip"),
        (["--idle", "--clip", "x.mp4"], "--clip: --transport, --idle and --record do not play it"),
        (["--detector", "yunet", "--size", "320x240", "--fps", "2"], "--detector-model FILE"),
        (["--faces", "x"], "--model"),
        (["--docs", "nothing.md"], "--docs nothing.md: cannot be read"),
        (["--docs", "nothing.md", "--json"], "--json: --docs has commands of its own"),
        (["--classes", "a,b"], "--classes names the outputs of a model file: give that by --model"),
        (["--transport", "--plot", "x.png"], "--plot draws"),
        (["--idle", "--record", "--plot", "x.png"], "ask for one of these"),
        (["--faces", "nowhere", "--model", "x.onnx", "--size", "320x240", "--fps", "1"], "--faces nowhere"),
        (["--set", "detect.evry=3", "--size", "320x240", "--fps", "1"], "evry"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(arguments, words, tmp_path):
    done = benchmark(tmp_path, *arguments)
    assert done.returncode in (1, 2)
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("maskstream: error: ")
    assert words in last
    assert "Traceback" not in done.stderr
