"""A shard that records, whose recordings must reach the bucket (moto's S3) before or after its end."""

import json
import re
import urllib.request

from ports import free_port
from servers import KEYS
from shards import DEMO, TOKEN, command, stages_of

from recordings.retention import is_frameless
from run.lease import read_lease

SINK = "file:rec/door.mp4"


def uploading(s3):
    """The options of a run that records in segments, and uploads them."""
    return [
        "--sink", SINK, "--segment", "1s", "--set", "overlay.upload=s3://video/{site}/{stream}/",
        "--set", f"overlay.upload_endpoint={s3.url}",
    ]  # fmt: skip


def options_file(s3, path):
    """The same of two cameras without names, as `maskstream shard NAME deliver` reads them."""
    overlay = {"sinks": [SINK], "segment": "1s", "upload": "s3://video/{site}/{stream}/", "upload_endpoint": s3.url}
    told = {"sources": [{"source": "demo"}, {"source": "demo"}], "overlay": overlay, "run": {"site": "north"}}
    path.write_text(json.dumps(told))
    return path


def keys():
    """In the environment of the command."""
    return {name.upper(): value for name, value in KEYS.items()} | {"AWS_DEFAULT_REGION": "us-east-1"}


def segments(folder):
    """What was recorded, by the keys under which it is to be in the bucket; one that has no frame yet is left out."""
    found = [path for path in (folder / "rec").glob("*.mp4") if not is_frameless(path)]
    second = [path for path in found if path.name.startswith("door-demo-2-")]
    return {f"north/{'demo-2' if path in second else 'demo'}/{path.name}": path.read_bytes() for path in found}


def test_a_shard_that_is_drained_while_the_bucket_is_away_waits_uploads_all_and_ends(shard, s3_stopped, tmp_path):
    folder = tmp_path / "a"
    run = shard("a", *uploading(s3_stopped), "--sink", "web", "--port", port := free_port(), "--token", TOKEN)
    run.until(lambda: len(list((folder / "rec").glob("*.mp4"))) >= 3 and "away (" in run.stderr)
    (folder / "drain").write_text(read_lease(folder).life)
    run.until(lambda: read_lease(folder).state == "draining")
    run.until(lambda: not {"capture-demo", "overlay"} & stages_of(run))
    tries = failed(port)
    run.until(lambda: failed(port) > tries)  # it goes on asking for the bucket
    assert "upload" in stages_of(run)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/livez", timeout=20) as alive:
        assert alive.status == 200
    s3_stopped.start()
    assert run.wait() == 0
    assert len(segments(folder)) >= 3
    assert s3_stopped.objects() == segments(folder)
    assert (run.report["upload"]["uploaded"], run.report["upload"]["waiting"]) == (len(segments(folder)), 0)
    assert read_lease(folder).state == "ended"
    assert KEYS["aws_secret_access_key"] not in run.stderr + run.stdout


def failed(port):
    """How often the running shard could not upload."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}/metrics", headers={"Authorization": f"Bearer {TOKEN}"})
    with urllib.request.urlopen(request, timeout=20) as answer:
        lines = answer.read().decode().splitlines()
    [line] = [line for line in lines if line.startswith("maskstream_recordings_failed_total")]
    return float(line.split()[-1])


def test_what_a_killed_run_left_is_uploaded_by_command_and_it_is_said_if_it_cannot_be(shard, s3_stopped, tmp_path):
    folder = tmp_path / "a"
    run = shard("a", *uploading(s3_stopped), source=(*DEMO, "--source", "demo"))
    run.until(lambda: {key.split("/")[1] for key in segments(folder)} == {"demo", "demo-2"})
    run.kill()
    left = segments(folder)
    options = options_file(s3_stopped, tmp_path / "shard.yaml")
    deliver = ("north-1", "deliver", "--config", options, "--folder", folder)
    told = command(*deliver, "--within", "1s", **keys())
    assert told.returncode == 1
    said = r"shard north-1: not all was taken within 1 s: (\d+ recordings at least|recordings) left here"
    assert re.search(said, told.stderr.splitlines()[-1])
    s3_stopped.start()
    told = command(*deliver, **keys())
    assert told.returncode == 0, told.stderr
    assert s3_stopped.objects() == segments(folder) == left
