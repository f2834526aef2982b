"""Where the real program writes: names of all kinds, a full disk, a second run into the same files."""

import contextlib
import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from program import ROOT

CAMERA = ("--source", "demo", "--realtime", "--loop")


@pytest.fixture
def full_disk(tmp_path):
    """`full_disk(kilobytes, *arguments)` runs the program in a folder that is a disk of that size, gone with it."""
    if subprocess.run(["unshare", "-m", "true"], capture_output=True).returncode:
        pytest.skip("needs a mount namespace of its own (unshare -m)")
    with contextlib.ExitStack() as stack:
        yield lambda kilobytes, *arguments: stack.enter_context(FullDisk(tmp_path, kilobytes, arguments))


class FullDisk:
    def __init__(self, folder, kilobytes, arguments):
        (folder / "disk").mkdir()
        mount = f'mount -t tmpfs -o size={kilobytes}k tmpfs {folder}/disk && cd {folder}/disk && exec "$@"'
        program = [sys.executable, str(ROOT / "run_pipeline.py"), *arguments]
        command = ["unshare", "-m", "sh", "-c", mount, "sh", *program]
        self._err, self._out = folder / "err", folder / "out"
        with self._err.open("w") as err, self._out.open("w") as out:
            self.process = subprocess.Popen(
                ["unshare", "-m", "sh", "-c", mount, "sh", *command], stderr=err, stdout=out
            )
        self.files = Path(f"/proc/{self.process.pid}/root{folder}/disk")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()

    @property
    def stderr(self):
        return self._err.read_text()

    @property
    def report(self):
        return json.loads(self._out.read_text().splitlines()[-1])

    def until(self, holds):
        deadline_s = time.monotonic() + 90
        while not holds():
            assert self.process.poll() is None, self.stderr
            assert time.monotonic() < deadline_s, self.stderr
            time.sleep(0.05)


def test_a_full_disk_stops_no_camera_and_all_sinks_go_on_when_there_is_room(full_disk):
    places = ("o.mp4", "o.jsonl", "e.jsonl", "e.db")
    sinks = ("file:o.mp4", "jsonl:o.jsonl", "events:e.jsonl", "sqlite:e.db")
    run = full_disk(20_000, *CAMERA, *(word for sink in sinks for word in ("--sink", sink)), "--json")
    run.until(lambda: (run.files / "e.jsonl").exists())
    filler = run.files / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    run.until(lambda: run.stderr.count("recording stopped") == len(places))
    filler.unlink()
    run.until(lambda: all(f"({place})" in run.stderr for place in places))  # they record again
    for name in ("o.jsonl", "e.jsonl"):
        lines = (run.files / name).read_bytes()
        assert lines.endswith(b"\n")
        assert all(json.loads(line) for line in lines.splitlines())
    assert (run.files / "o.2.mp4").exists()
    run.process.send_signal(signal.SIGINT)
    assert run.process.wait(30) == 0, run.stderr
    assert "Traceback" not in run.stderr
    assert "died" not in run.stderr
    overlaid = run.report["stages"]["overlay"]
    assert overlaid["not_written"] > 0
    assert overlaid["events_kept"] > 0
    assert overlaid["events_lost"] == 0


@pytest.mark.parametrize("sink", ["jsonl:o.jsonl", "file:o.mp4", "contact:c.png"])
def test_of_a_film_a_full_disk_is_one_line_and_exit_code_1(full_disk, sink):
    run = full_disk(60, "--source", "demo", "--sink", sink)
    assert run.process.wait(120) == 1, run.stderr
    assert "Traceback" not in run.stderr
    last = run.stderr.splitlines()[-1]
    assert last.startswith(f"maskstream: error: {sink.partition(':')[2][:1]}")
    assert "cannot be written (No space left on device" in last


def test_a_second_run_into_the_same_file_is_refused_before_anything_is_loaded(maskstream):
    first = maskstream(*CAMERA, "--sink", "file:o.mp4", "--sink", "sqlite:e.db")
    first.until(lambda: (first.folder / ".o.mp4.lock").exists())
    for sink in (f"file:{first.folder}/../run0/o.mp4", f"sqlite:{first.folder}/e.db"):
        second = maskstream("--source", "demo", "--sink", sink)
        assert second.wait() == 1
        assert "another run is writing it" in second.stderr
        assert "ready" not in second.stderr
    first.until(lambda: "flowing" in first.stderr)
    first.signal(signal.SIGINT)
    assert first.wait() == 0
    assert not list(first.folder.glob(".*.lock"))


def test_any_name_is_a_file_name(maskstream, clip):
    names = ("12:31.mp4", "-a b %d {} ü.mp4", "new:folder/o.mp4")
    sinks = [word for name in names for word in ("--sink", f"file:{name}")]
    run = maskstream(
        "--source", clip("walk.mp4", count=10), *sinks, "--sink", "contact:1:2.png", "--sink", "clips:3:4/"
    )
    assert run.wait() == 0, run.stderr
    assert all((run.folder / name).stat().st_size > 1000 for name in (*names, "1:2.png"))
