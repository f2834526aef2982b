"""What a user can do wrong gives one line that names the culprit, a non-zero exit and no traceback."""

import pickle
import re
import socket

import cv2
import numpy as np
import pytest

from capture.chips import refusal


@pytest.fixture
def bad(tmp_path, clip):
    """A folder of things that cannot be used, and a clip that can."""
    (tmp_path / "text.mp4").write_text("I am no video\n" * 100)
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "empty").mkdir()
    (tmp_path / "unknown.yaml").write_text("detect:\n  widht: 3\n")
    (tmp_path / "text.onnx").write_text("I am no model\n" * 100)
    (tmp_path / "evil.pth").write_bytes(pickle.dumps(Evil()))
    (tmp_path / "out.mp4").mkdir()
    clip("ok.mp4", count=5)
    return tmp_path


class Evil:
    """Would run code if it were unpickled."""

    def __reduce__(self):
        return print, ("EXECUTED",)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 1, "no source"),
        (["--source", "{bad}/gone.mp4"], 1, r"gone\.mp4"),
        (["--source", "{bad}/text.mp4"], 1, r"text\.mp4"),
        (["--source", "{bad}/empty.mp4"], 1, r"empty\.mp4"),
        (["--source", "{bad}/empty"], 1, r"empty.*no"),
        (["--source", "0"], 1, "camera 0"),
        (["--source", "/dev/video7"], 1, "video7"),
        (["--source", "rtsp://me:s3cret@127.0.0.1:1/x"], 1, r"rtsp://\*\*\*@127\.0\.0\.1:1/x.*refused"),
        (["--source", "gopher://x/y"], 1, "gopher"),
        (["--source", "{bad}/ok.mp4", "--source", "{bad}/gone.mp4"], 1, r"gone\.mp4"),
        (["--source", "{ok}", "--sourc", "x"], 2, "--sourc"),
        (["--source", "{ok}", "--tickets", "many"], 2, "tickets"),
        (["--source", "{ok}", "--tickets", "0"], 1, "tickets"),
        (["--source", "{ok}", "--width", "640"], 1, "width"),
        (["--source", "{ok}", "--decode", "vaapi"], 1, r"decode.*'vaapi': give auto or cpu or cuda or qsv"),
        (["--source", "demo", "--decode", "cpu"], 1, "decode is for .*; demo is the demo"),
        pytest.param(
            ["--source", "{ok}", "--decode", "cuda"],
            1,
            "decode cuda: NVIDIA's NVDEC cannot be used here .*: take auto or cpu",
            marks=pytest.mark.skipif(not refusal("cuda"), reason="NVDEC is there"),
        ),
        (["--source", "{ok}", "--config", "{bad}/unknown.yaml"], 1, r"unknown\.yaml:2: detect\.widht"),
        (["--source", "{ok}", "--set", "trace.every=-1"], 1, r"trace\.every.*>= 0"),
        (["--source", "{ok}", "--set", "trace.endpoint=ftp://me:s3cret@h/x"], 1, r"trace\.endpoint.*ftp://\*\*\*@h/x"),
        (["--source", "{ok}", "--model", "{bad}/text.onnx"], 1, r"text\.onnx"),
        (["--source", "{ok}", "--model", "{bad}/gone.onnx"], 1, r"gone\.onnx"),
        (["--source", "{ok}", "--model", "{bad}/evil.pth"], 1, r"evil\.pth"),
        (["--source", "{ok}", "--classes", "a,b"], 1, "class"),
        (["--source", "{ok}", "--device", "cuda:3"], 1, "cuda:3"),
        (["--source", "{ok}", "--device", "tpu"], 1, "tpu"),
        (["--source", "{ok}", "--sink", "file:{bad}/out.mp4"], 1, r"out\.mp4"),
        (["--source", "{ok}", "--sink", "file:"], 1, "file:"),
        (["--source", "{ok}", "--sink", "smoke"], 1, "smoke"),
        (["--source", "{ok}", "--detector", "yunet"], 1, "yunet: needs a model file, --detector-model"),
        (["--source", "{ok}", "--detector", "yunet", "--detector-model", "{bad}/gone.onnx"], 1, r"gone\.onnx"),
        (["--source", "{ok}", "--detector", "yunet", "--detector-model", "{bad}/text.onnx"], 1, r"text\.onnx"),
        (["--source", "{ok}", "--detector", "maskface", "--detector-model", "{bad}/text.onnx"], 1, r"text\.onnx"),
        (["--source", "{ok}", "--detector", "eyes"], 1, "'eyes' is unknown; known are haar"),
        (["--source", "{ok}", "--set", "detect.device=cuda"], 1, r"detect\.device cuda: haar runs on the CPU only"),
        (["--source", "{ok}", "--sink", "file:{ok}"], 1, r"ok\.mp4"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_one_line_says_what_is_wrong(maskstream, bad, arguments, code, said):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        values = {"bad": bad, "ok": bad / "ok.mp4", "port": taken.getsockname()[1]}
        filled = [argument.format(**values) for argument in arguments]
        has_sink = any(argument == "--sink" for argument in arguments)
        run = maskstream(*filled, *([] if has_sink else ["--sink", "null"]))
        assert run.wait(60) == code, run.stderr
    errors = [line for line in run.stderr.splitlines() if line.startswith("maskstream: error:")]
    assert len(errors) == 1, run.stderr
    assert re.search(said.format(**values) if "{port}" in said else said, errors[0])
    assert "Traceback" not in run.stderr
    assert "s3cret" not in run.stderr
    assert "EXECUTED" not in run.stdout + run.stderr
    assert (bad / "ok.mp4").stat().st_size > 1000


def test_no_display_says_which_sinks_there_are(maskstream, bad, monkeypatch):
    monkeypatch.delenv("DISPLAY", raising=False)
    run = maskstream("--source", bad / "ok.mp4", "--sink", "window")
    assert run.wait(60) == 1
    assert "display" in run.stderr
    assert "file:" in run.stderr


def test_a_model_without_class_names_says_how_to_give_them_and_takes_any(maskstream, tmp_path):
    onnx = pytest.importorskip("onnx")
    value = onnx.helper.make_tensor_value_info
    nodes = [
        onnx.helper.make_node("ReduceMean", ["x"], ["m"], axes=[2, 3], keepdims=0),
        onnx.helper.make_node("Identity", ["m"], ["y"]),
    ]
    graph = onnx.helper.make_graph(
        nodes, "g", [value("x", 1, ["batch", 3, 32, 32])], [value("y", 1, ["batch", 3])]
    )  # fmt: skip
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(tmp_path / "bare.onnx"))
    common = ("--source", "demo", "--model", tmp_path / "bare.onnx", "--sink", "jsonl:o.jsonl")
    refused = maskstream(*common)
    assert refused.wait(60) == 1
    assert "--classes" in refused.stderr
    run = maskstream(*common, "--classes", "red,green,blue", "--realtime")

    def answers():
        faces = [face for line in run.lines() for face in line["faces"]]
        return [face["probabilities"] for face in faces if face["label"]]  # a live face has none at first

    run.until(answers)
    assert set(answers()[0]) == {"red", "green", "blue"}


def test_a_truncated_video_plays_to_where_it_can(maskstream, clip):
    whole = clip("cut.mkv", count=200, size=(640, 480))
    whole.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    run = maskstream("--source", whole, "--sink", "jsonl:o.jsonl", "--json")
    assert run.wait() == 0
    assert 20 < len(run.lines()) < 200
    assert "cut.mkv" in run.stderr


def test_a_picture_of_noise_has_no_face_and_no_label(maskstream, tmp_path):
    folder = tmp_path / "noise"
    folder.mkdir()
    cv2.imwrite(str(folder / "n.png"), np.full((240, 320, 3), 127, np.uint8))
    run = maskstream("--source", folder, "--sink", "jsonl:o.jsonl")
    assert run.wait() == 0
    assert run.lines()[0]["faces"] == []
