"""`maskstream init`: cameras that were named become a configuration that runs, without a password in it."""

import os
import subprocess
import sys

import pytest
from program import ROOT
from terminal import at_a_terminal

from configs.load import load_config

COMMAND = (sys.executable, "-c", "from run_pipeline import main; main()", "init")


def init(*arguments, folder):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    command = [*COMMAND, *map(str, arguments)]
    return subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL
    )


def test_a_password_stands_in_a_file_of_its_own_and_the_configuration_runs(rtsp_server, tmp_path, monkeypatch):
    server = rtsp_server(auth="me:it's a @secret")
    address = server.url.replace("it's a @secret", "it's a %40secret").replace(" ", "%20")
    made = init("--camera", f"door={address}", "--camera", "rtsp://127.0.0.1:9/x?token=abc123", folder=tmp_path)
    assert made.returncode == 0, made.stderr
    assert "door: 640x480" in made.stdout
    assert "problem 127.0.0.1-x" in made.stdout
    text, secrets = (tmp_path / "cameras.yaml").read_text(), tmp_path / "cameras.env"
    for told in (made.stdout, made.stderr, text):
        assert "secret" not in told
        assert "abc123" not in told
    assert secrets.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "snapshots" / "door.jpg").stat().st_size > 1000
    read = subprocess.run(["sh", "-c", f"set -a; . {secrets}; env -0"], capture_output=True, text=True)
    for pair in read.stdout.split("\0"):
        name, _, value = pair.partition("=")
        monkeypatch.setenv(name, value) if name else None
    door, other = load_config(tmp_path / "cameras.yaml").sources
    assert (door.source, door.wait) == (server.url.replace("it's a @secret", "it%27s%20a%20%40secret"), True)
    assert other.source == "rtsp://127.0.0.1:9/x?token=abc123"
    again = init("--camera", "demo", folder=tmp_path)
    assert again.returncode == 1
    assert again.stderr.startswith("maskstream: error: cameras.yaml is there already")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [((), "there is no terminal to ask at: give --camera"), (("--camera", "nonsense://x"), "unknown kind of URL")],
)
def test_what_cannot_be_written_is_one_line_and_writes_nothing(tmp_path, arguments, said):
    refused = init(*arguments, folder=tmp_path)
    assert refused.returncode == 1
    assert said in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_at_a_terminal_it_asks(tmp_path):
    code, told = at_a_terminal("hall=demo\n\n", "init", folder=tmp_path)
    assert code == 0, told
    assert "webcams here:" in told
    assert "next: maskstream run --config cameras.yaml" in told
    [hall] = load_config(tmp_path / "cameras.yaml").sources
    assert (hall.name, hall.source) == ("hall", "demo")
