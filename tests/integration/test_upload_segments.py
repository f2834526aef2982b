"""Finished segments on their way to S3 (moto's s3): which go, under which name, once, and which are deleted here."""

import os
import threading

import pytest
from ports import free_port
from servers import until

from configs.errors import InputError
from overlay import upload
from overlay.upload import UploadConfig, Uploads
from recordings import s3 as to_s3
from recordings.being_written import BeingWritten
from recordings.s3 import Bucket, NotStored, etag_of
from recordings.uploaded import NAME, Uploaded
from transport.stage import StageContext


class Context(StageContext):
    """Of a process that is alone; `end` is told when its run ends."""

    def __init__(self):
        super().__init__(feeds="ipc:///nowhere/", counts={"uploaded": 0, "failed": 0}, gauges={"waiting": 0})
        self.end = threading.Event()
        self.stopping = self.end.is_set


def config(s3, folder, kind="record", to="s3://video/{stream}", **keep):
    sink = f"record:{folder}/" if kind == "record" else f"file:{folder}/{{stream}}.mp4"
    return UploadConfig(
        target=to, endpoint=s3.url, sinks=(sink,), streams=("door",), of_files=True,
        **({"keep_days": 0.0, "keep_gb": 0.0} | keep),
    )  # fmt: skip


def ran(s3, folder, **more):
    """What a run that ends at once uploads."""
    told, context = config(s3, folder, **more), Context()
    context.end.set()
    Uploads(told, Bucket(told.target, told.endpoint), context).run()
    return context


def made(folder, number, size=500):
    path = folder / f"door-20260101T0000{number:02}Z.mp4"
    path.write_bytes(os.urandom(size))
    return path


def test_what_is_noted_is_not_sent_again_and_a_lost_or_damaged_note_costs_nothing(s3, tmp_path, caplog):
    videos = [made(tmp_path, number) for number in range(3)]
    assert ran(s3, tmp_path).counts == {"uploaded": 3, "failed": 0}
    first = _written(s3)
    assert ran(s3, tmp_path).counts["uploaded"] == 0
    (tmp_path / NAME).unlink()
    assert ran(s3, tmp_path).counts["uploaded"] == 3  # asked for, and found
    (tmp_path / NAME).write_bytes(b"SQLite format 3\0" + b"\xff" * 9000)
    assert ran(s3, tmp_path).counts["uploaded"] == 3
    assert ran(s3, tmp_path).counts["uploaded"] == 0
    assert _written(s3) == first
    assert s3.objects() == {f"door/{video.name}": video.read_bytes() for video in videos}


def _written(s3):
    listed = s3.client.list_objects_v2(Bucket="video").get("Contents", ())
    return {one["Key"]: one["LastModified"] for one in listed}


def test_a_recording_that_is_being_written_waits_and_one_that_nobody_writes_any_more_does_not(s3, tmp_path):
    video = made(tmp_path, 1)
    told, context = config(s3, tmp_path), Context()
    uploads = Uploads(told, Bucket(told.target, told.endpoint), context)
    thread = threading.Thread(target=uploads.run)
    with BeingWritten(video):
        thread.start()
        finished = made(tmp_path, 0)
        until(lambda: context.counts["uploaded"] == 1)
        assert s3.objects() == {f"door/{finished.name}": finished.read_bytes()}
    until(lambda: context.counts["uploaded"] == 2)
    context.end.set()
    thread.join(20)
    assert set(s3.objects()) == {f"door/{finished.name}", f"door/{video.name}"}


def test_what_is_added_beside_a_recording_later_is_sent_again(s3, tmp_path, monkeypatch):
    video = made(tmp_path, 1)
    lines = video.with_suffix(".jsonl")
    lines.write_text("{}\n")
    told, context = config(s3, tmp_path), Context()
    thread = threading.Thread(target=Uploads(told, Bucket(told.target, told.endpoint), context).run)
    thread.start()
    until(lambda: context.counts["uploaded"] == 1)
    lines.write_text("{}\n{}\n")
    monkeypatch.setattr(upload, "SETTLE_S", 0.0)
    until(lambda: s3.objects().get(f"door/{lines.name}") == b"{}\n{}\n")
    context.end.set()
    thread.join(20)
    assert context.counts["uploaded"] == 1


def test_another_recording_of_the_same_name_is_not_written_over(s3, tmp_path):
    video = made(tmp_path, 1)
    video.with_suffix(".vtt").write_text("WEBVTT")
    s3.client.put_object(Bucket="video", Key=f"door/{video.name}", Body=b"another host's")
    ran(s3, tmp_path)
    assert s3.objects() == {
        f"door/{video.name}": b"another host's",
        f"door/{video.stem}.2.mp4": video.read_bytes(),
        f"door/{video.stem}.2.vtt": b"WEBVTT",
    }


def test_only_what_is_in_the_bucket_is_deleted(s3, tmp_path, monkeypatch, caplog):
    """The oldest is still being written, and too old all the same."""
    monkeypatch.setattr(upload, "LAST_OF_FILES_S", 1.0)
    videos = [made(tmp_path, number) for number in range(4)]
    for number, video in enumerate(videos):
        os.utime(video, (1e9 + number, 1e9 + number))
    with BeingWritten(videos[0]):
        ran(s3, tmp_path, keep_days=1.0)
    assert {path.name for path in tmp_path.glob("*.mp4")} == {videos[0].name, videos[3].name}
    assert set(s3.objects()) == {f"door/{video.name}" for video in videos[1:]}
    assert caplog.text.count("none goes before it is there") == 1


def test_room_is_made_where_the_note_cannot_be_written(s3, tmp_path, monkeypatch):
    """As on a full disk, on which recording would never go on."""

    def full(self):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Uploaded, "_opened", full)
    videos = [made(tmp_path, number) for number in range(4)]
    for number, video in enumerate(videos):
        os.utime(video, (1e9 + number, 1e9 + number))
    ran(s3, tmp_path, keep_days=1.0)
    assert [path.name for path in tmp_path.glob("*.mp4")] == [videos[3].name]
    assert len(s3.objects()) == 4


def test_large_files_go_in_parts_and_are_checked_as_a_whole(s3, tmp_path, monkeypatch):
    monkeypatch.setattr(to_s3, "PART_BYTES", 5 << 20)
    video = made(tmp_path, 1, 12 << 20)
    ran(s3, tmp_path)
    found = s3.client.head_object(Bucket="video", Key=f"door/{video.name}")
    with video.open("rb") as content:
        assert found["ETag"] == f'"{etag_of(content, 12 << 20)}"'
    assert found["ETag"].endswith('-3"')
    assert s3.objects()[f"door/{video.name}"] == video.read_bytes()


def test_a_file_that_arrives_damaged_is_not_taken_for_uploaded(s3, tmp_path):
    video = made(tmp_path, 1)
    bucket = Bucket("s3://video", s3.url)
    with video.open("rb") as content, pytest.raises(NotStored, match="is not there as it was sent"):
        bucket.put(content, "door.mp4", 500, "0" * 32)


def test_a_wrong_key_is_refused_and_one_in_a_file_is_read(s3_stopped, monkeypatch, tmp_path):
    """moto asks for the key after the first two requests: the bucket is made, and is there."""
    monkeypatch.setenv("INITIAL_NO_AUTH_ACTION_COUNT", "1")
    s3_stopped.start()
    with pytest.raises(InputError, match="it does not know this key: see AWS_ACCESS_KEY_ID"):
        Bucket("s3://video", s3_stopped.url).check()
    (tmp_path / "key").write_text("from a file\n")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", f"file:{tmp_path}/key")
    assert Bucket("s3://video", s3_stopped.url)._client._request_signer._credentials.secret_key == "from a file"
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", f"file:{tmp_path}/nothing")
    with pytest.raises(InputError, match="AWS_SECRET_ACCESS_KEY: cannot read"):
        Bucket("s3://video", s3_stopped.url)


def test_without_keys_it_is_said_which_are_missing(monkeypatch, tmp_path):
    pytest.importorskip("boto3")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(InputError, match="no keys: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"):
        Bucket("s3://video", f"http://127.0.0.1:{free_port()}").check()
