"""Recordings go to S3 (moto's server, as a process), which is away, stopped, full of others' files, or refuses."""

import json
import os
import signal
import threading
import time
from pathlib import Path

import pytest
from conftest import _free_port
from servers import KEYS, PAUSE, RESUME, S3, until

from configs.errors import InputError
from overlay import upload
from overlay.upload import UploadConfig, Uploads
from recordings import s3
from recordings.being_written import BeingWritten
from recordings.s3 import Bucket, NotStored, etag_of
from recordings.uploaded import NAME, Uploaded
from transport.stage import StageContext


@pytest.fixture(autouse=True)
def keys(monkeypatch):
    for name, value in KEYS.items():
        monkeypatch.setenv(name.upper(), value)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")


@pytest.fixture
def stopped(tmp_path):
    """A server that is not started yet."""
    folder = tmp_path / "s3"
    folder.mkdir()
    server = S3(folder)
    yield server
    server.kill()


@pytest.fixture
def server(stopped):
    stopped.start()
    return stopped


def options(server, prefix="{site}/{stream}/", *more):
    settings = [f"overlay.upload=s3://video/{prefix}", f"overlay.upload_endpoint={server.url}", "run.site=north", *more]
    return [word for setting in settings for word in ("--set", setting)]


def recorded(folder):
    """The recordings that lie in a folder, and what lies beside them."""
    found = [path for path in folder.glob("*") if path.suffix in (".mp4", ".jsonl", ".vtt")]
    return {path.name: path.read_bytes() for path in found}


def test_a_film_is_recorded_and_all_of_it_is_in_the_bucket_at_the_end(maskstream, server, clip):
    film = clip(count=100, g="25")
    run = maskstream("--source", film, "--sink", "record:rec/", "--segment", "1s", "--json", *options(server))
    assert run.wait() == 0
    here = recorded(run.folder / "rec")
    assert len(here) == 12  # four segments, each with its boxes and cues
    assert server.objects() == {f"north/clip/{name}": content for name, content in here.items()}
    assert run.report["upload"] == {"uploaded": 4, "failed": 0, "waiting": 0}


@pytest.mark.parametrize("away_s", [5, pytest.param(60, marks=pytest.mark.fleet)])
def test_while_the_bucket_is_away_nothing_is_deleted_and_then_all_arrives(maskstream, stopped, away_s):
    """`record_gb` has room for less than one segment, so that all but the newest would go."""
    more = ["overlay.record_gb=0.000001"]
    run = maskstream(
        "--source", "demo", "--realtime", "--loop", "--sink", "file:rec/door.mp4", "--segment", "1s", "--json",
        *options(stopped, "{stream}", *more),
    )  # fmt: skip
    rec = run.folder / "rec"
    run.until(lambda: "overlay.upload" not in run.stderr and "away (" in run.stderr and rec.exists())
    seen: set[str] = set()
    deadline_s = time.monotonic() + away_s
    while time.monotonic() < deadline_s:
        now = {path.name for path in rec.glob("*.mp4")}
        assert seen <= now
        seen |= now
        time.sleep(0.05)
    assert len(seen) >= max(3, away_s // 3)
    assert run.stderr.count("none goes before it is there") == 1
    contents = {name: (rec / name).read_bytes() for name in sorted(seen)[:-1]}
    stopped.start()
    run.until(lambda: len(list(rec.glob("*.mp4"))) <= 3)
    run.signal(signal.SIGINT)
    assert run.wait() == 0
    there = stopped.objects()
    assert {f"demo/{name}" for name in contents} <= there.keys()
    assert all(there[f"demo/{name}"] == content for name, content in contents.items())
    assert run.stderr.count("away (") == 1
    assert "s3://video/{stream}: back" in run.stderr
    assert run.report["upload"]["failed"] >= 1
    assert KEYS["aws_secret_access_key"] not in run.stderr + run.stdout


def test_a_server_that_stands_still_holds_up_neither_the_pictures_nor_the_end(maskstream, server):
    run = maskstream(
        "--source", "demo", "--realtime", "--loop", "--sink", "file:rec/door.mp4", "--segment", "1s",
        "--sink", "jsonl:o.jsonl", *options(server),
    )  # fmt: skip
    run.until(lambda: len(server.objects()) >= 1)
    server.signal(PAUSE)
    before = len(run.lines())
    run.until(lambda: len(run.lines()) > before + 60)
    began_s = time.monotonic()
    run.signal(signal.SIGINT)
    assert run.wait() == 0
    assert time.monotonic() - began_s < 4
    server.signal(RESUME)
    left = recorded(run.folder / "rec").keys() - {Path(key).name for key in server.objects()}
    assert left
    again = maskstream(
        "--source", "demo", "--sink", f"file:{run.folder}/rec/door.mp4", "--segment", "1s", "--json", *options(server)
    )
    assert again.wait() == 0
    assert {Path(key).name for key in server.objects()} == recorded(run.folder / "rec").keys()


def test_the_process_that_uploads_is_killed_again_and_again_and_all_arrives(maskstream, server):
    run = maskstream(
        "--source", "demo", "--realtime", "--loop", "--sink", "file:rec/door.mp4", "--segment", "1s", "--json",
        *options(server),
    )  # fmt: skip
    for count in (1, 2, 3):
        run.until(lambda count=count: len(server.objects()) >= count)
        os.kill(run.stage("upload"), signal.SIGKILL)
    run.until(lambda: len(server.objects()) >= 5)
    run.signal(signal.SIGINT)
    assert run.wait() == 0
    there, here = server.objects(), recorded(run.folder / "rec")
    assert all(here[Path(key).name] == content for key, content in there.items())
    assert len(here.keys() - {Path(key).name for key in there}) <= 1
    assert sorted(there)[: len(there)] == [f"north/demo/{name}" for name in sorted(here)][: len(there)]


class Context(StageContext):
    """Of a process that is alone; `end` is told when its run ends."""

    def __init__(self):
        super().__init__(feeds="ipc:///nowhere/", counts={"uploaded": 0, "failed": 0}, gauges={"waiting": 0})
        self.end = threading.Event()
        self.stopping = self.end.is_set


def config(server, folder, kind="record", to="s3://video/{stream}", **keep):
    sink = f"record:{folder}/" if kind == "record" else f"file:{folder}/{{stream}}.mp4"
    return UploadConfig(
        target=to, endpoint=server.url, sinks=(sink,), streams=("door",), of_files=True,
        **({"keep_days": 0.0, "keep_gb": 0.0} | keep),
    )  # fmt: skip


def ran(server, folder, **more):
    """What a run that ends at once uploads."""
    told, context = config(server, folder, **more), Context()
    context.end.set()
    Uploads(told, Bucket(told.target, told.endpoint), context).run()
    return context


def made(folder, number, size=500):
    path = folder / f"door-20260101T0000{number:02}Z.mp4"
    path.write_bytes(os.urandom(size))
    return path


def test_what_is_noted_is_not_sent_again_and_a_lost_or_damaged_note_costs_nothing(server, tmp_path, caplog):
    videos = [made(tmp_path, number) for number in range(3)]
    assert ran(server, tmp_path).counts == {"uploaded": 3, "failed": 0}
    first = _written(server)
    assert ran(server, tmp_path).counts["uploaded"] == 0
    (tmp_path / NAME).unlink()
    assert ran(server, tmp_path).counts["uploaded"] == 3  # asked for, and found
    (tmp_path / NAME).write_bytes(b"SQLite format 3\0" + b"\xff" * 9000)
    assert ran(server, tmp_path).counts["uploaded"] == 3
    assert ran(server, tmp_path).counts["uploaded"] == 0
    assert _written(server) == first
    assert server.objects() == {f"door/{video.name}": video.read_bytes() for video in videos}


def _written(server):
    listed = server.client.list_objects_v2(Bucket="video").get("Contents", ())
    return {one["Key"]: one["LastModified"] for one in listed}


def test_a_recording_that_is_being_written_waits_and_one_that_nobody_writes_any_more_does_not(server, tmp_path):
    video = made(tmp_path, 1)
    told, context = config(server, tmp_path), Context()
    uploads = Uploads(told, Bucket(told.target, told.endpoint), context)
    thread = threading.Thread(target=uploads.run)
    with BeingWritten(video):
        thread.start()
        finished = made(tmp_path, 0)
        until(lambda: context.counts["uploaded"] == 1)
        assert server.objects() == {f"door/{finished.name}": finished.read_bytes()}
    until(lambda: context.counts["uploaded"] == 2)
    context.end.set()
    thread.join(20)
    assert set(server.objects()) == {f"door/{finished.name}", f"door/{video.name}"}


def test_what_is_added_beside_a_recording_later_is_sent_again(server, tmp_path, monkeypatch):
    monkeypatch.setattr(upload, "SETTLE_S", 0.2)
    video = made(tmp_path, 1)
    lines = video.with_suffix(".jsonl")
    lines.write_text("{}\n")
    told, context = config(server, tmp_path), Context()
    thread = threading.Thread(target=Uploads(told, Bucket(told.target, told.endpoint), context).run)
    thread.start()
    until(lambda: context.counts["uploaded"] == 1)
    lines.write_text("{}\n{}\n")
    until(lambda: server.objects().get(f"door/{lines.name}") == b"{}\n{}\n")
    context.end.set()
    thread.join(20)
    assert context.counts["uploaded"] == 1


def test_another_recording_of_the_same_name_is_not_written_over(server, tmp_path):
    video = made(tmp_path, 1)
    video.with_suffix(".vtt").write_text("WEBVTT")
    server.client.put_object(Bucket="video", Key=f"door/{video.name}", Body=b"another host's")
    ran(server, tmp_path)
    assert server.objects() == {
        f"door/{video.name}": b"another host's",
        f"door/{video.stem}.2.mp4": video.read_bytes(),
        f"door/{video.stem}.2.vtt": b"WEBVTT",
    }


def test_only_what_is_in_the_bucket_is_deleted(server, tmp_path, monkeypatch, caplog):
    """The oldest is still being written, and too old all the same."""
    monkeypatch.setattr(upload, "LAST_OF_FILES_S", 1.0)
    videos = [made(tmp_path, number) for number in range(4)]
    for number, video in enumerate(videos):
        os.utime(video, (1e9 + number, 1e9 + number))
    with BeingWritten(videos[0]):
        ran(server, tmp_path, keep_days=1.0)
    assert {path.name for path in tmp_path.glob("*.mp4")} == {videos[0].name, videos[3].name}
    assert set(server.objects()) == {f"door/{video.name}" for video in videos[1:]}
    assert caplog.text.count("none goes before it is there") == 1


def test_room_is_made_where_the_note_cannot_be_written(server, tmp_path, monkeypatch):
    """As on a full disk, on which recording would never go on."""

    def full(self):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Uploaded, "_opened", full)
    videos = [made(tmp_path, number) for number in range(4)]
    for number, video in enumerate(videos):
        os.utime(video, (1e9 + number, 1e9 + number))
    ran(server, tmp_path, keep_days=1.0)
    assert [path.name for path in tmp_path.glob("*.mp4")] == [videos[3].name]
    assert len(server.objects()) == 4


def test_large_files_go_in_parts_and_are_checked_as_a_whole(server, tmp_path, monkeypatch):
    monkeypatch.setattr(s3, "PART_BYTES", 5 << 20)
    video = made(tmp_path, 1, 12 << 20)
    ran(server, tmp_path)
    found = server.client.head_object(Bucket="video", Key=f"door/{video.name}")
    with video.open("rb") as content:
        assert found["ETag"] == f'"{etag_of(content, 12 << 20)}"'
    assert found["ETag"].endswith('-3"')
    assert server.objects()[f"door/{video.name}"] == video.read_bytes()


def test_a_file_that_arrives_damaged_is_not_taken_for_uploaded(server, tmp_path):
    video = made(tmp_path, 1)
    bucket = Bucket("s3://video", server.url)
    with video.open("rb") as content, pytest.raises(NotStored, match="is not there as it was sent"):
        bucket.put(content, "door.mp4", 500, "0" * 32)


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
def test_what_cannot_be_uploaded_is_refused_in_one_line_before_anything_begins(maskstream, server, changes, said):
    settings = {
        "overlay.upload": "s3://video/{site}/{stream}/", "overlay.upload_endpoint": server.url, "run.site": "north",
        "overlay.segment": "1s", "overlay.sinks": "[file:rec/door.mp4]",
    } | changes  # fmt: skip
    run = maskstream("--source", "demo", *[word for pair in settings.items() for word in ("--set", "=".join(pair))])
    assert run.wait() != 0
    assert said in run.stderr.splitlines()[-1]
    assert "Traceback" not in run.stderr
    assert "s3cret" not in run.stderr
    assert not (run.folder / "rec").exists()


def test_a_wrong_key_is_refused_and_one_in_a_file_is_read(stopped, monkeypatch, tmp_path):
    """moto asks for the key after the first two requests: the bucket is made, and is there."""
    monkeypatch.setenv("INITIAL_NO_AUTH_ACTION_COUNT", "1")
    stopped.start()
    with pytest.raises(InputError, match="it does not know this key: see AWS_ACCESS_KEY_ID"):
        Bucket("s3://video", stopped.url).check()
    (tmp_path / "key").write_text("from a file\n")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", f"file:{tmp_path}/key")
    assert Bucket("s3://video", stopped.url)._client._request_signer._credentials.secret_key == "from a file"
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", f"file:{tmp_path}/nothing")
    with pytest.raises(InputError, match="AWS_SECRET_ACCESS_KEY: cannot read"):
        Bucket("s3://video", stopped.url)


def test_without_keys_it_is_said_which_are_missing(monkeypatch, tmp_path):
    pytest.importorskip("boto3")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(InputError, match="no keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        Bucket("s3://video", f"http://127.0.0.1:{_free_port()}").check()


def test_the_json_of_a_run_without_upload_has_nothing_of_it(maskstream):
    run = maskstream("--source", "demo", "--sink", "null", "--json")
    assert run.wait() == 0
    assert "upload" not in json.loads(run.stdout.splitlines()[-1])
