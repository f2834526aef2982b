"""Training as a user runs it: the original's command lines, kills, several processes, full disks, bad input."""

import csv
import json
import os
import resource
import shlex
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
import typer
from typer.testing import CliRunner

from configs.errors import InputError
from configs.schema import ClassifyConfig
from inference.backends import open_backend
from inference.networks import build_network
from train.__main__ import train
from train.classifier.options import plain_shares
from train.data.split import read_manifest

pytest.importorskip("torchvision")
torch = pytest.importorskip("torch")

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
SMALL = ("--backbone", "MobileNetV3", "--weights", "none", "--batch_size", "8", "--number_workers", "0")
KINDS = ("html", "metrics.csv", "mistakes.png", "png", "recipe.yaml", "run.json", "train_batch.jpg")


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """These trainings are too small to share out, and sums must be made in the same order everywhere."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")
        yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def faces(tmp_path_factory):
    """Noisy patches whose class is their colour: 10 of each."""
    rng = np.random.default_rng(0)
    folder = tmp_path_factory.mktemp("data")
    for name, colour_bgr in {"mask": (200, 40, 40), "no_mask": (40, 200, 40), "wrong_mask": (40, 40, 200)}.items():
        (folder / "labeled" / name).mkdir(parents=True)
        for number in range(10):
            picture = (np.array(colour_bgr) + rng.normal(0, 25, (30, 24, 3))).clip(0, 255).astype(np.uint8)
            cv2.imwrite(str(folder / "labeled" / name / f"{number}.png"), picture)
    (folder / "unlabeled").mkdir()
    return folder


def command(*arguments, module="train"):
    return [sys.executable, "-m", module, *(str(argument) for argument in arguments)]


def here(*arguments):
    """The command in this process: importing PyTorch anew takes longer than these trainings."""
    app = typer.Typer()
    app.command()(train)
    return CliRunner().invoke(app, plain_shares([str(argument) for argument in arguments]))


def trained(*arguments):
    """The last line of stdout, which is JSON."""
    done = here(*arguments, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout.splitlines()[-1])


def refusal(*arguments):
    done = here(*arguments)
    assert isinstance(done.exception, InputError), done.output
    assert "\n" not in str(done.exception)
    return str(done.exception)


def losses(path):
    """All columns of metrics.csv but the time it took."""
    with path.open(newline="") as file:
        return [{name: text for name, text in row.items() if name != "seconds"} for row in csv.DictReader(file)]


def files_below(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture(autouse=True)
def inside_tmp_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.slow
def test_the_command_line_of_the_original_readme(faces, tmp_path):
    """With `python -m train` for `python3 face_mask_detector.py train`, weights from a file, and one short epoch."""
    torch.save(build_network("ResNet", 1000).state_dict(), tmp_path / "resnet50.pth")
    options = ["--backbone", "ResNet", "--resnet_retrain_mode", "retrain", "--split_data", "[0.70,", "0.20,", "0.10]"]
    extra = ("--weights", "resnet50.pth", "--epochs", "1", "--batch_size", "16")
    answer = trained(f"{faces}/labeled/", *options, *extra)
    name = "ResNet-retrain-3classes-16-1-0.00100000"
    assert answer["model"] == f"models/{name}.pth"
    assert answer["pictures"] == {"train": 21, "val": 6, "test": 3}
    assert files_below(tmp_path) == [
        f"models/{name}.pth",
        f"models/{name}.split.csv",
        "resnet50.pth",
        *(f"results/{name}.{kind}" for kind in KINDS),
    ]
    before = torch.load(tmp_path / "resnet50.pth", weights_only=True)
    after = torch.load(tmp_path / answer["model"], weights_only=True)["weights"]
    learnt = {key.split(".")[0] for key in after if key != "fc" and not torch.equal(before[key], after[key])}
    assert learnt == {"layer3", "layer4", "fc"}


@pytest.fixture(scope="module")
def unbroken(faces, tmp_path_factory):
    """Three epochs in one go: (folder, JSON of train)."""
    folder = tmp_path_factory.mktemp("unbroken")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return folder, trained(faces, *SMALL, "--epochs", "3", "--ema", "0.9")


def test_a_run_leaves_a_record_that_tells_all_of_it(unbroken, faces):
    folder, answer = unbroken
    name = "MobileNetV3-all-3classes-8-3-0.00100000"
    record = json.loads((folder / "results" / f"{name}.run.json").read_text())
    assert record["classes"] == ["mask", "no_mask", "wrong_mask"]
    assert record["settings"]["ema"] == 0.9
    assert record["data"]["pictures"]["train"] == {"mask": 7, "no_mask": 7, "wrong_mask": 7}
    assert set(record["scores"]) == {"train", "val", "test"}
    assert record["scores"]["test"] == answer["test"]
    assert record["versions"]["torch"] == torch.__version__.split("+")[0]
    assert len(losses(folder / "results" / f"{name}.metrics.csv")) == 3
    for page in ("png", "mistakes.png"):
        assert cv2.imread(str(folder / "results" / f"{name}.{page}")) is not None

    rows = read_manifest(folder / "models" / f"{name}.split.csv")
    assert len(rows) == 30
    assert all((faces / row.file).is_file() for row in rows)
    backend = open_backend(ClassifyConfig(model=str(folder / answer["model"])))
    assert backend.info.data_fingerprint == record["data"]["fingerprint"]
    assert backend.info.temperature == record["temperature"]


def test_killed_in_the_middle_and_resumed_it_is_the_unbroken_run(unbroken, faces, tmp_path):
    folder, answer = unbroken
    arguments = (faces, *SMALL, "--epochs", "3", "--ema", "0.9")
    workers = ("--number_workers", "2")
    process = subprocess.Popen(
        command(*arguments, *workers), env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    metrics = tmp_path / "results" / f"{Path(answer['model']).stem}.metrics.csv"
    patience = time.monotonic() + 120
    while not metrics.exists():
        assert process.poll() is None
        assert time.monotonic() < patience
        time.sleep(0.01)
    children = psutil.Process(process.pid).children()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not psutil.wait_procs(children, timeout=10)[1]
    assert len(losses(metrics)) < 3

    resumed = trained("--resume", "last", "--number_workers", "0")
    assert losses(metrics) == losses(folder / "results" / metrics.name)
    assert resumed == answer
    ours, theirs = (torch.load(where / answer["model"], weights_only=True)["weights"] for where in (tmp_path, folder))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert "no unfinished run has this name" in refusal(*arguments, "--resume")


def test_ctrl_c_says_the_command_that_goes_on_and_it_does(faces, tmp_path):
    line = command(faces, *SMALL, "--epochs", "30", "--overwrite")
    process = subprocess.Popen(
        line, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    said = next(text for text in process.stderr if " 1/30 " in text)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to all processes of the group
    rest = process.stderr.read()
    assert process.wait() == 130
    assert "Traceback" not in said + rest
    last = rest.splitlines()[-1]
    kept, _, again = last.removeprefix("maskstream: stopped; ").partition(
        " of 30 epochs are kept, and this goes on with them: "
    )
    assert "--overwrite" not in again
    assert not [name for name in files_below(tmp_path) if "unfinished" in name]
    resumed = shlex.split(again.replace("python", sys.executable, 1))
    state = next((tmp_path / "models").glob("*.state"))
    process = subprocess.Popen(resumed, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    first = next(text for text in process.stderr if text.startswith("epochs:"))
    assert first.split() == ["epochs:", "30,", kept, "of", "them", "done", "before"]
    rows = (text[1:].split()[0] for text in process.stderr if "/30 " in text)
    assert [next(rows) for _ in range(int(kept) + 1)] == [f"{number}/30" for number in range(1, int(kept) + 2)]
    process.kill()
    process.wait()
    assert state.exists()


def test_a_second_run_of_the_same_settings_is_counted_up_and_a_recipe_trains_the_same_again(unbroken, faces, tmp_path):
    folder, first = unbroken
    [recipe] = (folder / "results").glob("*.recipe.yaml")
    once, again = (trained("--recipe", recipe, "--number_workers", "0") for _ in range(2))
    assert (once["model"], again["model"]) == (first["model"], first["model"].replace(".pth", "-2.pth"))
    for answer in (once, again):
        assert losses(tmp_path / "results" / f"{Path(answer['model']).stem}.metrics.csv") == losses(
            folder / "results" / f"{Path(first['model']).stem}.metrics.csv"
        )
    shorter = trained("--recipe", recipe, "--number_workers", "0", "--epochs", "1")
    assert "-8-1-" in shorter["model"]


def test_two_processes_train_one_model_together(faces, tmp_path):
    """By torchrun, with gloo on CPUs."""
    pair = ("torch.distributed.run", "--standalone", "--nproc_per_node", "2")
    options = (faces, *SMALL[2:], "--backbone", "MobileNetV3", "--epochs", "1", "-o", "m.pth", "--json")
    done = subprocess.run(
        command(*pair[1:], "-m", "train", *options, module=pair[0]),
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=250,
    )
    assert done.returncode == 0, done.stderr
    [answer] = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert answer["pictures"]["train"] == 21
    assert files_below(tmp_path) == ["m.pth", "m.split.csv", *(f"results/m.{kind}" for kind in KINDS)]
    open_backend(ClassifyConfig(model=str(tmp_path / "m.pth")))


def test_a_full_disk_leaves_the_old_checkpoint(faces, tmp_path):
    """A limit on the size of files stands in for the full disk: the system refuses the same write."""

    def small_files_only():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    (tmp_path / "m.pth").write_text("the old one")
    done = subprocess.run(
        command(faces, *SMALL, "--epochs", "1", "-o", "m.pth", "--overwrite"),
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=250,
        preexec_fn=small_files_only,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("maskstream: error: m.state: cannot be written")
    assert "Traceback" not in done.stderr
    assert (tmp_path / "m.pth").read_text() == "the old one"
    assert files_below(tmp_path) == ["m.pth"]


def test_bad_input_is_one_line(faces, tmp_path):
    broken = tmp_path / "broken"
    for name in ("a", "b"):
        (broken / name).mkdir(parents=True)
        for number in range(4):
            (broken / name / f"{number}.jpg").write_text(f"{name} {number}")
    (tmp_path / "empty" / "a").mkdir(parents=True)
    (tmp_path / "empty" / "b").mkdir()
    torch.save(build_network("BasicCNN", 3).state_dict(), tmp_path / "basic.pth")
    assert refusal("nowhere") == "nowhere: no such folder"
    assert "empty/a: holds no pictures" in refusal("empty")
    assert "broken/a: none of its pictures can be read" in refusal("broken")
    assert "sum to 1" in refusal(faces, "--split_data", "[0.7,", "0.2,", "0.2]")
    assert "not weights of ResNet" in refusal(faces, "--weights", "basic.pth")
    if torch.cuda.device_count() < 4:
        assert "--device cuda:3" in refusal(faces, "--device", "cuda:3")
    assert not (tmp_path / "models").exists()
