"""What systemd is told by a real run, and that the files for systemd and containers ask for options that there are."""

import configparser
import itertools
import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"


def unit():
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str
    parser.read(DEPLOY / "maskstream.service")
    return parser


@pytest.fixture(params=["path", "abstract"])
def manager(request, tmp_path):
    """A socket as systemd's, and the name by which a service is told of it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as link:
        name = str(tmp_path / "notify") if request.param == "path" else f"@maskstream-test-{os.getpid()}"
        link.bind(name.replace("@", "\0", 1))
        link.settimeout(30)
        yield link, name


def test_systemd_hears_that_the_run_is_ready_lives_and_stops(manager, maskstream, monkeypatch):
    link, name = manager
    monkeypatch.setenv("NOTIFY_SOCKET", name)
    monkeypatch.setenv("WATCHDOG_USEC", "900000")
    run = maskstream("--source", "demo", "--loop", "--realtime", "--sink", "null")
    heard, fed_s = "", []
    while len(fed_s) < 8 or "READY=1" not in heard or "STATUS=1 of 1 streams flowing" not in heard:
        lines = link.recv(4096).decode()
        heard += lines + "\n"
        if "WATCHDOG=1" in lines and "READY=1" in heard:
            fed_s.append(time.monotonic())
    gaps_s = [after - before for before, after in itertools.pairwise(fed_s)]
    assert max(gaps_s) < 0.9, gaps_s
    run.signal(signal.SIGTERM)
    while "STOPPING=1" not in heard:
        heard += link.recv(4096).decode() + "\n"
    assert run.wait() == 0, run.stderr


def test_a_run_whose_manager_is_gone_goes_on(tmp_path, maskstream, monkeypatch):
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    run = maskstream("--source", "demo", "--sink", "null", "--json")
    assert run.wait() == 0, run.stderr
    assert run.report["streams"]["demo"]["shown"] > 0


def checked(arguments, folder):
    """The program refuses an option that it does not have, or a value that cannot be, before it prints them."""
    command = [sys.executable, str(ROOT / "run_pipeline.py"), *arguments, "--print-config"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def test_the_unit_starts_what_is_there(tmp_path):
    service = unit()["Service"]
    program, command, *arguments = shlex.split(service["ExecStart"])
    assert (Path(program).name, command, service["Type"], service["KillMode"]) == (
        "maskstream",
        "run",
        "notify",
        "mixed",
    )
    (tmp_path / "maskstream.yaml").write_text("sources: [{source: demo}]\n")
    done = checked([one.replace("/etc/", f"{tmp_path}/") for one in arguments], tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_understands_the_unit(tmp_path):
    program = tmp_path / "maskstream"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    text = (DEPLOY / "maskstream.service").read_text().replace("/opt/maskstream/bin/maskstream", str(program))
    (tmp_path / "maskstream.service").write_text(text)
    command = ["systemd-analyze", "verify", "--man=no", str(tmp_path / "maskstream.service")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert not [line for line in done.stderr.splitlines() if line.startswith("maskstream.service")], done.stderr


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile.cuda"])
def test_the_image_starts_with_options_that_there_are(name, tmp_path):
    text = (DEPLOY / name).read_text()
    [words] = re.findall(r"^CMD (\[.*\])$", text, re.M)
    command, *arguments = json.loads(words)
    assert command == "run"
    assert re.search(r"^USER \d+$", text, re.M), "not as root"
    done = checked(arguments, tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"host: '?0\.0\.0\.0", done.stdout)


def test_compose_starts_with_options_that_there_are(tmp_path):
    [(name, service)] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())["services"].items()
    command, *arguments = [re.sub(r"\$\{\w+:-(.*)\}", r"\1", word) for word in service["command"]]
    assert (name, command) == ("maskstream", "run")
    assert all(ports.startswith("127.0.0.1:") for ports in service["ports"]), "the box decides what it shows outside"
    for source in ("demo", "rtsp://camera.local/live"):
        done = checked([source if word == "demo" else word for word in arguments], tmp_path)
        assert done.returncode == 0, done.stderr
