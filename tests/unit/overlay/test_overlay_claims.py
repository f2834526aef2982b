"""Nothing is written by two sinks or two runs at once."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from configs.errors import InputError
from overlay.sinks import check_sinks
from overlay.sinks.claims import Claims

ROOT = Path(__file__).resolve().parents[3]

HOLD = """
import sys, time
from overlay.sinks.claims import Claims
claims = Claims(sys.argv[1:])
claims.take("door")
print("holds", flush=True)
time.sleep(60)
"""


@pytest.fixture
def other_run():
    """`other_run(*sinks)` is a process that claims them for a stream `door`."""
    started = []

    def start(*sinks):
        program = [sys.executable, "-c", HOLD, *sinks]
        started.append(subprocess.Popen(program, cwd=ROOT, stdout=subprocess.PIPE, text=True))
        assert started[-1].stdout.readline() == "holds\n"
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_what_another_run_writes_is_refused_by_any_name_and_free_when_it_is_killed(tmp_path, other_run):
    (tmp_path / "link").symlink_to(tmp_path)
    kinds = ("file:{}/o.mp4", "jsonl:{}/o.jsonl", "events:{}/e.jsonl", "sqlite:{}/e.db", "contact:{}/c.png",
             "images:{}/i", "clips:{}/c/", "file:{}/{{stream}}.mp4")  # fmt: skip
    run = other_run(*(kind.format(tmp_path) for kind in kinds))
    for kind in kinds:
        for folder in (tmp_path, f"{tmp_path}/x/..", tmp_path / "link"):
            with Claims([kind.format(folder)]) as claims, pytest.raises(InputError, match="another run is writing it"):
                claims.take("door")
    with Claims([f"file:{tmp_path}/{{stream}}.mp4", f"clips:{tmp_path}/c/", f"file:{tmp_path}/p.mp4"]) as claims:
        claims.take("hall")  # another stream has other files
        with pytest.raises(InputError, match="another run"):
            claims.take("door")
    run.send_signal(signal.SIGKILL)
    run.wait()
    with Claims([kind.format(tmp_path) for kind in kinds]) as claims:
        claims.take("door")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]  # not even a lock


def test_two_sinks_of_one_run_do_not_write_the_same_file(tmp_path):
    (tmp_path / "link.mp4").symlink_to(tmp_path / "o.mp4")
    (tmp_path / "o.mp4").touch()
    for pair in (
        "file:{0}/o.mp4 file:{0}/./o.mp4",
        "file:{0}/o.mp4 file:{0}/link.mp4",
        "jsonl:{0}/q events:{0}/x/../q",
        "images:{0}/i/ images:{0}/i",
        "sqlite:{0}/q jsonl:{0}/q",
    ):
        with pytest.raises(InputError, match="would both write"):
            check_sinks(pair.format(tmp_path).split())
    claims = Claims([f"file:{tmp_path}/{{stream}}.mp4", f"file:{tmp_path}/door.mp4"])
    with claims, pytest.raises(InputError, match="would both write"):
        claims.take("door")
    check_sinks([f"images:{tmp_path}/i", f"clips:{tmp_path}/i", f"jsonl:{tmp_path}/i/o.jsonl"])


def test_devices_and_places_without_room_for_a_lock_are_nobodys(tmp_path):
    (tmp_path / "file").touch()
    check_sinks(["jsonl:/dev/null", "events:/dev/null"])
    for spec in ("jsonl:/dev/null", f"jsonl:{tmp_path}/file/o.jsonl"):
        with Claims([spec]) as claims, Claims([spec]) as others:
            claims.take("door")
            others.take("door")


def open_below(folder) -> int:
    """How many files there this process has open."""
    return sum(Path(file.path).is_relative_to(folder) for file in psutil.Process().open_files())


def test_what_a_removed_stream_wrote_is_free_and_what_others_write_is_not(tmp_path):
    specs = [f"file:{tmp_path}/o.mp4", f"jsonl:{tmp_path}/all.jsonl", f"clips:{tmp_path}/c/"]
    with Claims(specs) as claims:
        claims.take("door")
        first = open_below(tmp_path)
        for number in range(20):
            claims.take(f"c{number}")
            claims.keep(["door"])
        assert open_below(tmp_path) == first > 0
        assert sorted(path.name for path in tmp_path.glob(".*")) == [".all.jsonl.lock", ".o.mp4.lock"]
        claims.take("hall")
        with Claims([f"file:{tmp_path}/o-hall.mp4"]) as other, pytest.raises(InputError, match="another run"):
            other.take("x")
        claims.keep(["hall"])  # the first stream is gone, and its name is still its own
        claims.take("yard")
        assert {path.name for path in tmp_path.glob(".o*")} == {".o-hall.mp4.lock", ".o-yard.mp4.lock"}
    assert open_below(tmp_path) == 0


def test_only_the_last_recordings_of_streams_that_are_gone_are_remembered(tmp_path):
    with Claims([f"file:{tmp_path}/{{stream}}.mp4"]) as claims:
        for number in range(40):
            claims.take(f"s{number}")
            (tmp_path / f"s{number}.2.mp4").write_text("x")
            claims.keep([])
        assert [Path(video).stem for video in claims.parts()] == [f"s{number}" for number in range(8, 40)]


def test_the_parts_of_a_video_are_told_and_nobody_elses_files(tmp_path):
    for name in ("door.2.mp4", "hall.2.mp4"):
        (tmp_path / name).touch()
        os.utime(tmp_path / name, (1, 1))  # of an earlier run
    with Claims([f"file:{tmp_path}/{{stream}}.mp4"]) as claims:
        for stream in ("door", "hall", "yard", "yard.3"):
            claims.take(stream)
        for name in ("door", "door.4", "door.10", "door.x", "hall", "yard", "yard.2", "yard.3"):
            (tmp_path / f"{name}.mp4").write_text("x")
            os.utime(tmp_path / f"{name}.mp4")
        claims.keep(["hall", "yard", "yard.3"])
    parts = {Path(video).name: [Path(part).name for part in parts] for video, parts in claims.parts().items()}
    assert parts == {"door.mp4": ["door.4.mp4", "door.10.mp4"], "yard.mp4": ["yard.2.mp4"]}
