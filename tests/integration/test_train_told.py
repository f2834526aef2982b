"""What a training says: before its first epoch, and what to do next when it is over."""

import shlex
import subprocess
import sys

import cv2
from test_train_run import ENVIRONMENT, SMALL, faces, here, inside_tmp_path, one_thread

__all__ = ["faces", "inside_tmp_path", "one_thread"]


def test_what_is_about_to_happen_is_said_before_the_first_epoch(faces, tmp_path):
    (faces / "labeled" / "mask" / "broken.png").write_text("no picture")
    try:
        done = here(faces, *SMALL, "--epochs", "1")
    finally:
        (faces / "labeled" / "mask" / "broken.png").unlink()
    assert done.exit_code == 0, done.output
    head = done.stderr.partition(" 1/1 ")[0]
    for row in (
        "│ no_mask │ 1 │ 7 (33 %) │ 1 (33 %) │ 2 (33 %) │ 10 (33 %) │",
        "│ all │ │ 21 (70 %) │ 3 (10 %) │ 6 (20 %) │ 30 (100 %) │",
        "labeled/mask/broken.png",
        "MobileNetV3, 112 px, starts from random weights",
        "1,520,931 of 1,520,931 parameters",
        "device: cpu, 1 thread",
        "models/MobileNetV3-all-3classes-8-1-0.00100000.pth",
        "an epoch: 3 steps of 8 faces or fewer; rare classes are shown more often",
        "rate: 0.001, constant; adam",
    ):
        assert row in " ".join(head.split())
    assert cv2.imread("results/MobileNetV3-all-3classes-8-1-0.00100000.train_batch.jpg") is not None


def test_the_last_lines_are_commands_that_can_be_typed(faces, tmp_path):
    done = here(faces, *SMALL, "--epochs", "1", "-o", "other.pth")
    next_lines = done.stdout.splitlines()[-3:]
    assert [shlex.split(line.removeprefix("next:"))[:2] for line in next_lines] == [
        ["maskstream", "evaluate"],
        ["maskstream", "export"],
        ["maskstream", "run"],
    ]
    for line in next_lines[:2]:
        _, *words = shlex.split(line.removeprefix("next:"))
        again = subprocess.run(
            [sys.executable, "-P", "-c", "import sys; from run_pipeline import main; main(sys.argv[1:])", *words],
            env=ENVIRONMENT,
            capture_output=True,
            text=True,
            timeout=250,
        )
        assert again.returncode == 0, again.stderr
    assert shlex.split(next_lines[2])[2:4] == ["--model", "other.onnx"]
    assert (tmp_path / "other.onnx").is_file()
