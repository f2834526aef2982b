"""Recordings of a run go to S3 (moto's server, as a process), which is away, stopped, or refuses."""

import json
import os
import signal
import time
from pathlib import Path

import pytest
from servers import KEYS, PAUSE, RESUME

from recordings.s3 import ANSWER_S


def options(s3, prefix="{site}/{stream}/", *more):
    settings = [f"overlay.upload=s3://video/{prefix}", f"overlay.upload_endpoint={s3.url}", "run.site=north", *more]
    return [word for setting in settings for word in ("--set", setting)]


def recorded(folder):
    """The recordings that lie in a folder, and what lies beside them."""
    found = [path for path in folder.glob("*") if path.suffix in (".mp4", ".jsonl", ".vtt")]
    return {path.name: path.read_bytes() for path in found}


def test_a_film_is_recorded_and_all_of_it_is_in_the_bucket_at_the_end(maskstream, s3, clip):
    film = clip(count=100, g="25")
    run = maskstream("--source", film, "--sink", "record:rec/", "--segment", "1s", "--json", *options(s3))
    assert run.wait() == 0
    here = recorded(run.folder / "rec")
    assert len(here) == 12  # four segments, each with its boxes and cues
    assert s3.objects() == {f"north/clip/{name}": content for name, content in here.items()}
    assert run.report["upload"] == {"uploaded": 4, "failed": 0, "waiting": 0}


@pytest.mark.parametrize("away_s", [5, pytest.param(60, marks=pytest.mark.fleet)])
def test_while_the_bucket_is_away_nothing_is_deleted_and_then_all_arrives(maskstream, s3_stopped, away_s):
    """`record_gb` has room for less than one segment, so that all but the newest would go."""
    more = ["overlay.record_gb=0.000001"]
    run = maskstream(
        "--source", "demo", "--realtime", "--loop", "--sink", "file:rec/door.mp4", "--segment", "1s", "--json",
        *options(s3_stopped, "{stream}", *more),
    )  # fmt: skip
    rec = run.folder / "rec"
    run.until(lambda: "overlay.upload" not in run.stderr and "away (" in run.stderr and rec.exists())
    seen: set[str] = set()
    began_s = time.monotonic()

    def was_away_for_long():
        now = {path.name for path in rec.glob("*.mp4")}
        assert seen <= now
        seen.update(now)
        return time.monotonic() - began_s > away_s and len(seen) >= max(3, away_s // 3)

    run.until(was_away_for_long, 2 * away_s + 60)
    assert run.stderr.count("none goes before it is there") == 1
    contents = {name: (rec / name).read_bytes() for name in sorted(seen)[:-1]}
    s3_stopped.start()
    run.until(lambda: len(list(rec.glob("*.mp4"))) <= 3)
    run.signal(signal.SIGINT)
    assert run.wait() == 0
    there = s3_stopped.objects()
    assert {f"demo/{name}" for name in contents} <= there.keys()
    assert all(there[f"demo/{name}"] == content for name, content in contents.items())
    assert run.stderr.count("away (") == 1
    assert "s3://video/{stream}: back" in run.stderr
    assert run.report["upload"]["failed"] >= 1
    assert KEYS["aws_secret_access_key"] not in run.stderr + run.stdout


def test_a_server_that_stands_still_holds_up_neither_the_pictures_nor_the_end(maskstream, s3):
    run = maskstream(
        "--source", "demo", "--realtime", "--loop", "--sink", "file:rec/door.mp4", "--segment", "1s",
        "--sink", "jsonl:o.jsonl", *options(s3),
    )  # fmt: skip
    run.until(lambda: len(s3.objects()) >= 1)
    s3.signal(PAUSE)
    before = len(run.lines())
    run.until(lambda: len(run.lines()) > before + 60)
    began_s = time.monotonic()
    run.signal(signal.SIGINT)
    assert run.wait() == 0
    assert time.monotonic() - began_s < ANSWER_S / 2
    s3.signal(RESUME)
    left = recorded(run.folder / "rec").keys() - {Path(key).name for key in s3.objects()}
    assert left
    again = maskstream(
        "--source", "demo", "--sink", f"file:{run.folder}/rec/door.mp4", "--segment", "1s", "--json", *options(s3)
    )
    assert again.wait() == 0
    assert {Path(key).name for key in s3.objects()} == recorded(run.folder / "rec").keys()


def test_the_process_that_uploads_is_killed_again_and_again_and_all_arrives(maskstream, s3):
    run = maskstream(
        "--source", "demo", "--realtime", "--loop", "--sink", "file:rec/door.mp4", "--segment", "1s", "--json",
        *options(s3),
    )  # fmt: skip
    for count in (1, 2, 3):
        run.until(lambda count=count: len(s3.objects()) >= count)
        os.kill(run.stage("upload"), signal.SIGKILL)
    finished = {f"north/demo/{name}" for name in sorted(recorded(run.folder / "rec"))[:-1]}
    run.until(lambda: finished <= s3.objects().keys())
    run.signal(signal.SIGINT)
    assert run.wait() == 0
    there, here = s3.objects(), recorded(run.folder / "rec")
    assert all(here[Path(key).name] == content for key, content in there.items())
    assert sorted(there)[: len(there)] == [f"north/demo/{name}" for name in sorted(here)][: len(there)]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"overlay.upload": "s3://nothing/{stream}/"}, "s3://nothing/{stream}/: there is no such bucket: make it"),
        ({"overlay.upload": "s3://video/{camera}/"}, "{camera} stands for nothing: use {site}, {stream}"),
        ({"run.site": ""}, "which site is this? Set run.site, or leave {site} out"),
        ({"overlay.upload": "video/{stream}"}, "write it as s3://BUCKET/{site}/{stream}/; keys come from the env"),
        ({"overlay.upload": "s3://me:s3cret@video/"}, "write it as s3://BUCKET/{site}/{stream}/; keys come from the"),
        ({"overlay.upload_endpoint": "127.0.0.1:9000"}, "'127.0.0.1:9000': write it as https://HOST:PORT"),
        ({"overlay.upload": ""}, "overlay.upload_endpoint is of overlay.upload, which is not given"),
        ({"overlay.segment": ""}, "overlay.upload takes finished segments: give --sink file:OUT.mp4 with --segment"),
        (
            {"overlay.sinks": "['file:rec/{stream}/a.mp4']", "overlay.upload": "s3://video/"},
            "streams would share their keys",
        ),
        ({"overlay.sinks": "[file:a/x.mp4, file:b/x.mp4]"}, "would be uploaded under one name: give one another name"),
    ],
)
def test_what_cannot_be_uploaded_is_refused_in_one_line_before_anything_begins(maskstream, s3, changes, said):
    settings = {
        "overlay.upload": "s3://video/{site}/{stream}/", "overlay.upload_endpoint": s3.url, "run.site": "north",
        "overlay.segment": "1s", "overlay.sinks": "[file:rec/door.mp4]",
    } | changes  # fmt: skip
    run = maskstream("--source", "demo", *[word for pair in settings.items() for word in ("--set", "=".join(pair))])
    assert run.wait() != 0
    assert said in run.stderr.splitlines()[-1]
    assert "Traceback" not in run.stderr
    assert "s3cret" not in run.stderr
    assert not (run.folder / "rec").exists()


def test_the_json_of_a_run_without_upload_has_nothing_of_it(maskstream):
    run = maskstream("--source", "demo", "--sink", "null", "--json")
    assert run.wait() == 0
    assert "upload" not in json.loads(run.stdout.splitlines()[-1])
