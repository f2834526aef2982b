"""The real program records in segments and clips, and publishes over RTSP."""

import os
import re
import signal
import time
from pathlib import Path

import av
import numpy as np
import psutil
from test_privacy import faces_in

from capture.sources import open_source
from configs.schema import SourceConfig
from overlay.sinks.stream_queue import LEAST


def frames_in(path) -> int:
    """How many pictures play so far, also while it is written."""
    try:
        with av.open(str(path)) as film:
            return sum(1 for _ in film.decode(video=0))
    except (av.error.FFmpegError, IndexError):  # nothing whole is in it yet
        return 0


def slowness() -> float:
    """How much longer work takes here now than on a quiet machine: 9 s instead of 3 for an end at a load of 20."""
    began_s, began_cpu_s = time.monotonic(), time.process_time()
    while time.process_time() - began_cpu_s < 0.2:
        pass
    return max(1.0, (time.monotonic() - began_s) / 0.2)


def seconds_of(path) -> float:
    with av.open(str(path)) as film:
        times = [frame.time for frame in film.decode(video=0)]
    return times[-1] - times[0]


def test_segments_of_a_killed_run_play_and_clips_are_made_of_events(maskstream):
    options = ("--sink", "file:rec/o.mp4", "--segment", "3s", "--sink", "clips:clips/", "--json")
    more = ("--set", "overlay.clip_before_s=1", "--set", "overlay.clip_after_s=1")
    run = maskstream("--source", "demo", "--realtime", "--loop", *options, *more)
    played = {}  # so far, while it runs: a busy machine puts fewer pictures into them, and later

    def plays(files: str) -> bool:
        begun = sorted(run.folder.glob(files), key=lambda path: path.stat().st_mtime_ns)
        played[files] = {path: frames_in(path) for path in begun[-2:]}
        return any(count > 5 for count in played[files].values())

    run.until(lambda: len(list((run.folder / "rec").glob("o-*.mp4"))) >= 4)
    run.until(lambda: plays("clips/demo-*.mp4"))
    run.until(lambda: plays("rec/o-*.mp4"))
    run.signal(signal.SIGKILL)
    run.wait()
    made = sorted((run.folder / "rec").glob("o-*.mp4"), key=lambda path: path.stat().st_mtime_ns)
    assert all(2 < seconds_of(path) < 3.1 for path in made[1:-2])
    assert all(frames_in(path) >= count for files in played.values() for path, count in files.items())


def test_a_stream_is_published_and_goes_on_when_its_server_was_away(maskstream, rtsp_server, room):
    server = rtsp_server(record=True)
    url = f"rtsp://me:s3cret@127.0.0.1:{server.port}/in"
    run = maskstream("--source", "demo", "--realtime", "--loop", "--sink", url)
    run.until(lambda: "published at" in run.stderr)

    def moves() -> bool:
        with open_source(SourceConfig(source=server.url)) as viewer:
            pictures = [viewer.read(room).image.copy() for _ in range(50)]
        assert pictures[-1].std() > 20
        return bool(np.abs(pictures[10].astype(int) - pictures[-1]).mean() > 0.5)

    run.until(moves)
    server.kill()
    run.until(lambda: "is away" in run.stderr)
    server.start()
    run.until(lambda: run.stderr.count("published at") == 2)
    run.until(moves)
    began_s = time.monotonic()
    run.signal(signal.SIGINT)
    assert run.wait() == 0
    assert time.monotonic() - began_s < 3.5 * slowness()
    assert "s3cret" not in run.stdout + run.stderr


def test_viewers_stay_connected_while_the_camera_is_away(maskstream, rtsp_server, room):
    camera, server = rtsp_server(), rtsp_server(record=True)
    run = maskstream("--source", camera.url, "--sink", f"rtsp://127.0.0.1:{server.port}/in")
    run.until(lambda: "published at" in run.stderr)
    time.sleep(2)
    with open_source(SourceConfig(source=server.url, read_timeout_s=10)) as viewer:
        before = [viewer.read(room).image.copy() for _ in range(25)][-1]
        camera.kill()
        run.until(lambda: "away" in run.stderr)
        began_s = time.monotonic()
        while time.monotonic() - began_s < 8:
            picture = viewer.read(room).image.copy()
    assert before.std() > 20  # the clock's blocks
    stripes = picture[40:440:40]
    assert stripes.max() < 120 or picture.mean() < 60, "the placeholder is dark"
    assert np.abs(before.astype(int) - picture).mean() > 20


def test_what_is_published_has_no_face_with_privacy_on(maskstream, rtsp_server, room):
    counts = {}
    for privacy in ("none", "pixelate"):
        server = rtsp_server(record=True)
        url = f"rtsp://127.0.0.1:{server.port}/in"
        options = ("--sink", url, "--set", f"overlay.privacy={privacy}")
        run = maskstream("--source", "demo", "--realtime", "--loop", *options)
        run.until(lambda run=run: "published at" in run.stderr)
        time.sleep(2)
        with open_source(SourceConfig(source=server.url)) as viewer:
            pictures = [viewer.read(room).image.copy() for _ in range(250)][::10]
        run.signal(signal.SIGINT)
        assert run.wait() == 0
        counts[privacy] = sum(len(faces_in(picture)) for picture in pictures)
    assert counts["none"] > 10
    assert counts["pixelate"] == 0


def test_a_film_of_many_is_finished_at_its_own_end(maskstream, clip):
    films = [clip(f"{name}.mp4", count=count) for name, count in (("a", 20), ("b", 20), ("long", 3000))]
    sources = [word for film in films for word in ("--source", film)]
    run = maskstream(*sources, "--sink", "file:rec/{stream}.mp4", "--sink", "jsonl:rec/{stream}.jsonl", "--json")

    run.until(lambda: all(f"{name}.mp4: 20 frames" in run.stderr for name in ("a", "b")))
    overlay = psutil.Process(run.stage("overlay"))

    def opened() -> set[str]:
        return {Path(file.path).name for file in overlay.open_files() if "/rec/" in file.path}

    run.until(lambda: opened() == {"long.mp4", "long.jsonl"})
    for name in ("a", "b"):
        assert b"moof" not in (run.folder / "rec" / f"{name}.mp4").read_bytes()[:64]
        assert frames_in(run.folder / "rec" / f"{name}.mp4") == 20
    run.signal(signal.SIGINT)
    assert run.wait() == 0
    assert run.report["parts"] == {}


def test_a_recorder_that_is_killed_goes_on_in_a_part_that_the_report_names(maskstream, clip):
    run = maskstream("--source", clip(count=600), "--sink", "file:rec/o.mp4", "--json")
    first, second = run.folder / "rec" / "o.mp4", run.folder / "rec" / "o.2.mp4"
    run.until(lambda: first.exists() and first.stat().st_size > 50_000)
    os.kill(run.stage("overlay"), signal.SIGKILL)
    assert run.wait() == 0
    assert run.report["parts"] == {"rec/o.mp4": ["rec/o.2.mp4"]}
    assert run.stderr.count("rec/o.mp4: goes on in o.2.mp4") == 1
    ledger = run.report["streams"]["clip"]
    recorded, given = ledger["recorded"], ledger["recorded"] + ledger["not_recorded"]
    assert 0 <= given - ledger["shown"] <= 1  # the one that the sinks had, and that was not marked as shown yet
    assert 0 <= frames_in(first) + frames_in(second) - recorded <= 1
    # what waited, what was encoded, what the muxer held, and what the stage waited to give
    assert ledger["not_recorded"] <= LEAST + 3
    said = re.findall(r"clip: not recorded, as they waited when a life before died: (\d+) frame", run.stderr)
    assert [int(count) for count in said] == [ledger["not_recorded"]]
    assert b"moof" not in second.read_bytes()[:64]
