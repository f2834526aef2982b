"""Nothing leaves the machine unasked or is left below HOME, and a run goes on whatever becomes of its terminal."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import cv2
import numpy as np
import psutil
import pytest
from ports import free_port

ROOT = Path(__file__).resolve().parents[2]
MASKSTREAM = [sys.executable, "-c", "import run_pipeline; run_pipeline.main()"]
TRACED = ["strace", "-f", "-qq", "--seccomp-bpf", "-e", "trace=network,execve", "-e", "signal=none", "-o"]
SET_BY_US = ("ORT_DISABLE_TELEMETRY", "OMP_WAIT_POLICY")
ADDRESS = re.compile(r"sin6?_port=htons\((\d+)\).*?(?:inet_addr\(|inet_pton\(AF_INET6, )\"([^\"]+)\"")


def can_trace() -> bool:
    return bool(shutil.which("strace")) and subprocess.run([*TRACED, "/dev/null", "true"]).returncode == 0


@pytest.fixture(scope="module")
def traced(tmp_path_factory):
    """`traced(...)` starts `maskstream ...` with a new HOME and without what this process has set for itself."""
    if not can_trace():
        pytest.skip("needs strace (a Debian package) and the right to trace")
    folder = tmp_path_factory.mktemp("quiet")
    rng = np.random.default_rng(0)
    for name, colour_bgr in {"mask": (200, 40, 40), "no_mask": (40, 200, 40), "wrong_mask": (40, 40, 200)}.items():
        (folder / "faces" / name).mkdir(parents=True)
        for number in range(8):
            picture = (np.array(colour_bgr) + rng.normal(0, 25, (30, 24, 3))).clip(0, 255).astype(np.uint8)
            cv2.imwrite(str(folder / "faces" / name / f"{number}.png"), picture)
    return lambda *arguments: Traced(folder, [str(argument) for argument in arguments])


class Traced:
    """A command, all of whose processes are watched for what they ask of the network."""

    def __init__(self, folder, arguments):
        self.folder, number = folder, len(list(folder.glob("*.trace")))
        self.home, self._trace = folder / f"home{number}", folder / f"{number}.trace"
        self.out, self.err = folder / f"{number}.out", folder / f"{number}.err"
        self.home.mkdir()
        unset = ("CI", *SET_BY_US, "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "MPLCONFIGDIR")
        environment = {key: value for key, value in os.environ.items() if key not in unset}
        environment |= {"HOME": str(self.home), "PYTHONPATH": str(ROOT), "http_proxy": "http://192.0.2.1:9"}
        with self.out.open("w") as out, self.err.open("w") as err:
            command = [*TRACED, str(self._trace), *MASKSTREAM, *arguments]
            self._process = subprocess.Popen(command, cwd=folder, env=environment, stdout=out, stderr=err)

    def until(self, holds, patience_s=100):
        deadline = time.monotonic() + patience_s
        while not holds():
            assert self._process.poll() is None, self.err.read_text()
            assert time.monotonic() < deadline, self.err.read_text()
            time.sleep(0.05)

    def interrupt(self):
        [traced] = psutil.Process(self._process.pid).children()
        traced.send_signal(signal.SIGINT)

    def asked(self, expected=0):
        """The addresses that any of its processes named, as (address, port)."""
        assert self._process.wait(200) == expected, self.err.read_text()
        trace = self._trace.read_text()
        assert "execve" in trace  # it was watched
        assert "io.systemd.Resolve" not in trace  # how systemd-resolved is asked for a name
        return {(address, int(port)) for port, address in ADDRESS.findall(trace)}

    def left_at_home(self):
        return sorted(str(path.relative_to(self.home)) for path in self.home.rglob("*") if not path.is_dir())


def outside(addresses):
    """Those beyond this machine, and name servers wherever they are."""
    return {
        (address, port)
        for address, port in addresses
        if port == 53 or not (address.startswith(("127.", "::ffff:127.")) or address == "::1")
    }


def test_a_run_with_its_page_asks_nobody_and_leaves_nothing(traced):
    port = free_port()
    page = ("--sink", "web", "--port", port, "--token", "of-the-test")
    sinks = (*page, "--sink", "sqlite:e.db", "--sink", "file:o.mp4", "--sink", "jsonl:o.jsonl")
    run = traced("run", "--source", "demo", "--realtime", "--loop", *sinks)
    lines = run.folder / "o.jsonl"
    run.until(lambda: lines.exists() and lines.read_text().count("\n") > 200)  # 8 s: reports are sent now and then
    listing = traced("streams", "list", "--url", f"http://127.0.0.1:{port}", "--token", "of-the-test")
    assert listing.asked() == {("127.0.0.1", port)}
    assert "demo" in listing.out.read_text()
    run.interrupt()
    addresses = run.asked()
    assert ("127.0.0.1", port) in addresses
    assert not outside(addresses)
    assert run.left_at_home() == listing.left_at_home() == []
    assert (run.folder / "e.db").exists()


def test_models_are_trained_exported_and_judged_without_asking_anybody(traced):
    """And nothing is left but matplotlib's list of fonts; and what is printed is for people, unless they say --json."""
    pytest.importorskip("torchvision")
    small = ("--backbone", "MobileNetV3", "--weights", "none", "--batch-size", "8", "--epochs", "1")
    commands = {
        "train": ("train", "faces", *small, "--number-workers", "1", "--output", "m.pth"),
        "export": ("export", "m.pth"),
        "evaluate": ("evaluate", "m.onnx", "faces"),
        "classify": ("classify", "m.onnx", "faces/mask", "--whole"),
    }
    for name, arguments in commands.items():
        done = traced(*arguments)
        assert done.asked() == set(), name
        assert [file for file in done.left_at_home() if not re.fullmatch(r"\.cache/matplotlib/fontlist-.*", file)] == []
        printed = done.out.read_text()
        assert printed, name
        assert not [line for line in printed.splitlines() if line.startswith("{")], name
    assert (done.folder / "classified" / "faces.jsonl").exists()


@pytest.mark.parametrize(
    "places",
    [
        {"HOME": None, "TMPDIR": "/nonexistent", "XDG_RUNTIME_DIR": None},
        {"HOME": "/proc/read-only", "TMPDIR": "/nonexistent", "XDG_RUNTIME_DIR": "/proc"},
    ],
    ids=["missing", "read-only"],
)
def test_a_run_needs_no_home_and_no_place_for_temporary_files_but_tmp(maskstream, clip, monkeypatch, places):
    for name in SET_BY_US:
        monkeypatch.delenv(name)
    for name, value in places.items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    run = maskstream("--source", clip(count=10), "--sink", "jsonl:o.jsonl")
    assert run.wait() == 0, run.stderr
    assert len(run.lines()) == 10
    assert "Traceback" not in run.stderr


def test_a_run_outlives_its_terminal_its_log_and_its_output(tmp_path):
    """As `nohup maskstream run ... >&- 2>&1 | head -1 &` in a script: SIGHUP and SIGINT come ignored."""
    lines = tmp_path / "o.jsonl"

    def count():
        return lines.read_text().count("\n") if lines.exists() else 0

    def until(holds):
        deadline = time.monotonic() + 60
        while not holds():
            assert time.monotonic() < deadline
            assert run.poll() is None
            time.sleep(0.02)

    script = 'trap "" HUP INT; exec "$0" -c "$1" run --source demo --realtime --loop --sink jsonl:o.jsonl >&-'
    run = subprocess.Popen(
        ["sh", "-c", script, sys.executable, MASKSTREAM[-1]],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
    )
    try:
        assert run.stderr is not None
        assert run.stderr.readline()
        run.stderr.close()
        until(lambda: count() > 0)
        run.send_signal(signal.SIGHUP)
        [detect] = [child for child in psutil.Process(run.pid).children() if child.cmdline()[-1] == "detect"]
        detect.kill()  # what the supervisor says of it goes nowhere
        before = count()
        until(lambda: count() > before + 150)  # six seconds: it has told of the streams, too
        run.send_signal(signal.SIGINT)
        assert run.wait(30) == 0
    finally:
        run.kill()
        run.wait()


def test_a_run_that_could_show_nothing_of_a_source_never_ends_with_0(maskstream, tmp_path):
    (tmp_path / "photos").mkdir()
    for number in range(3):
        (tmp_path / "photos" / f"{number}.jpg").write_bytes(b"no picture")
    run = maskstream("--source", tmp_path / "photos", "--sink", "null", "--json")
    assert run.wait() == 1
    stream = run.report["streams"]["photos"]
    assert (stream["captured"], stream["shown"], stream["dropped"]) == (3, 0, {"undecodable": 3})
    assert run.stderr.splitlines()[-1].startswith("maskstream: error: not one frame of photos was shown")
