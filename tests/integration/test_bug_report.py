"""What a report of a fault needs, versions and an archive without secrets; and what completes a line in a shell."""

import json
import os
import subprocess
import sys
import tarfile

import pytest
from ports import free_port
from program import ROOT

COMMAND = [sys.executable, "-c", "from run_pipeline import main; main()"]


def ran(*arguments, **environment):
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    return subprocess.run(
        [*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=100, env=environment
    )


def test_the_version_is_what_a_report_needs():
    told = ran("--version")
    assert told.returncode == 0
    assert told.stdout.startswith("maskstream 0.")
    assert f"Python {sys.version.split()[0]}" in told.stdout
    assert "onnxruntime 1." in told.stdout


def test_an_archive_for_a_report_has_how_runs_stand_and_no_secret(maskstream, tmp_path):
    options = tmp_path / "cameras.yaml"
    camera = "rtsp://me:s3cret-word@192.0.2.1/live"
    options.write_text(f"sources: [{{source: '{camera}'}}]\nweb: {{token: 't0ken-of-mine'}}\n")
    log = tmp_path / "run.log"
    log.write_text("x\n" * 600_000 + "capture: " + camera + " away\n")
    run = maskstream("--source", "demo", "--realtime", "--loop", "--sink", "web", "--port", free_port())
    run.until(lambda: "capture-demo: ready" in run.stderr)
    made = ran("doctor", "--config", options, "--bundle", tmp_path / "report.tar.gz", "--log", log)
    assert "look at it before you send it" in made.stdout
    with tarfile.open(tmp_path / "report.tar.gz") as archive:
        files = {entry.name.removeprefix("maskstream/"): archive.extractfile(entry).read() for entry in archive}
    assert set(files) == {"versions.txt", "findings.json", "options.yaml", "runs.json", "log.txt"}
    assert not any(secret in content for content in files.values() for secret in (b"s3cret-word", b"t0ken-of-mine"))
    assert b"192.0.2.1/live" in files["options.yaml"]
    assert len(files["log.txt"]) < 1_100_000
    assert files["log.txt"].endswith(b"rtsp://***@192.0.2.1/live away\n")
    assert '"demo"' in json.dumps([one for one in json.loads(files["runs.json"]) if one.get("phase") == "running"])
    none = ran("doctor", "--bundle", tmp_path / "other.tar.gz", "--log", tmp_path / "no.log")
    assert none.returncode == 1
    assert none.stderr == f"maskstream: error: {tmp_path}/no.log: cannot be read (No such file or directory)\n"
    assert not (tmp_path / "other.tar.gz").exists()


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("maskstream ru", {"run"}),
        ("maskstream run --loo", {"--loop"}),
        ("maskstream check --pic", {"--pictures"}),
    ],
)
def test_a_shell_completes_commands_and_options(typed, offered):
    count = len(typed.split()) - 1
    told = ran(_MASKSTREAM_COMPLETE="complete_bash", COMP_WORDS=typed, COMP_CWORD=str(count))
    assert set(told.stdout.split()) == offered
