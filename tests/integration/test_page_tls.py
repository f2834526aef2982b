"""TLS of the page's own, and a supervisor that hangs: whoever looks is told, and whoever restarts, too."""

import contextlib
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys

from browser import page, seqs
from certificates import certificate
from ports import free_port
from program import ROOT
from test_events import command
from test_web_doors import raw
from test_web_page import until

__all__ = ["page"]

TOKEN = "a-token-of-the-test"


def alive() -> str:
    """What the health check of the images says, of all runs on this machine."""
    done = subprocess.run([sys.executable, "-m", "web.alive"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stderr == ""
    assert done.returncode == (1 if done.stdout else 0)
    return done.stdout


def test_the_page_speaks_tls_and_says_when_the_supervisor_hangs(maskstream, page, tmp_path):
    cert, key = certificate(tmp_path)
    renewed = certificate(tmp_path, "renewed")
    port = free_port()
    demo = ("--source", "demo", "--realtime", "--loop", "--sink", "web", "--port", port, "--token", TOKEN)
    run = maskstream(*demo, "--tls-cert", cert, "--tls-key", key)
    run.until(lambda: "capture-demo: ready" in run.stderr)
    assert f"https://127.0.0.1:{port}/" in run.stderr
    assert b" 400 " in (answer := raw(port, b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"))
    assert b"https" in answer
    raw(port, b"\x16\x03\x01 nonsense")
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(2)]
    silent[1].sendall(b"\x16\x03\x01")
    page.goto(f"https://127.0.0.1:{port}/", wait_until="commit")
    until(lambda: seqs(page))

    url = f"https://127.0.0.1:{port}"
    listed = command("streams", "list", "--json", cwd=run.folder)
    assert "several runs" in listed.stderr or [stream["name"] for stream in json.loads(listed.stdout)] == ["demo"]
    by_name = command("streams", "list", "--url", url, "--token", TOKEN, cwd=run.folder)
    assert by_name.returncode == 1
    assert "is not trusted" in by_name.stderr
    assert "SSL_CERT_FILE" in by_name.stderr
    assert f":{port}" not in alive()

    first = ssl.get_server_certificate(("127.0.0.1", port))
    for new, old in zip(renewed, (cert, key), strict=True):
        shutil.copy(new, old)
    run.signal(signal.SIGSTOP)
    try:
        until(lambda: "no word from the pipeline" in page.locator("#summary").inner_text())
        assert page.locator(".tile .state").inner_text() == "unknown"
        assert "fps" not in page.locator(".tile .figures").inner_text()
        was = seqs(page)["demo"]
        until(lambda: seqs(page)["demo"] > was)  # pictures go on, and they are of now
        until(lambda: f"{url}: the supervisor has said nothing for" in alive())
        until(lambda: ssl.get_server_certificate(("127.0.0.1", port)) != first)
    finally:
        run.signal(signal.SIGCONT)
    for link in silent:
        with link, contextlib.suppress(ConnectionError):
            assert link.recv(1) == b"", "one that says nothing is let go after 10 s"
    until(lambda: f":{port}" not in alive())
    until(lambda: page.locator(".tile .state").inner_text() == "flowing")
    assert "the renewed certificate" in run.stderr
    assert "Traceback" not in run.stderr
    assert page.complaints == []
    os.kill(run.stage("web"), signal.SIGKILL)  # its next life speaks TLS, too
    run.until(lambda: run.stderr.count("web: ready") == 2)
    until(lambda: seqs(page) and seqs(page)["demo"] > was)
