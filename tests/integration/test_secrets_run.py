"""The real program with passwords that are awkward to write: it connects, and shows them nowhere."""

import json
import signal
import urllib.error
import urllib.request

import psutil
from ports import free_port
from test_events import command

TOKEN = "tok3n-of-the-page"
SECRETS = ("admin", "sesame", "s3cret", TOKEN)


def ask(run, path, body=None):
    """What the page answers, also where it refuses."""
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{run.page_port}{path}", data, headers)
    try:
        with urllib.request.urlopen(request, timeout=30) as answer:
            return answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.read().decode()


def test_a_camera_with_a_blank_in_its_password_is_shown_and_its_login_nowhere(maskstream, rtsp_server, tmp_path):
    server = rtsp_server(auth="admin:open sesame")
    (tmp_path / "password").write_text("open sesame\n")
    (tmp_path / "token").write_text(TOKEN)
    (tmp_path / "c.yaml").write_text(
        f"sources:\n  - source: 'rtsp://admin:${{file:{tmp_path}/password}}@127.0.0.1:{server.port}/live'\n"
        f"    wait: true\nweb: {{token: 'file:{tmp_path}/token'}}\n"
    )
    port = free_port()
    run = maskstream(
        "--config", tmp_path / "c.yaml", "--sink", "file:{stream}.mp4", "--sink", "jsonl:o.jsonl", "--sink", "web",
        "--sink", "sqlite:e.db", "--sink", "mqtt://admin:open s3cret@127.0.0.1:1/masks", "--port", port, "--json",
        "--log", "json",
    )  # fmt: skip
    run.page_port = port
    run.until(lambda: len(run.lines()) > 3, 120)
    said = []
    for source in ("rtsp://admin:open s3cret@127.0.0.1:1/x", f"rtsp://admin:open s3cret@127.0.0.1:{server.port}/live"):
        answer = json.loads(ask(run, "/api/streams", {"source": source}))
        assert set(answer) == {"stream"}
        said.append(answer["stream"])
    said.append(ask(run, "/api/streams", {"source": "rtsp://admin:${HOME}@127.0.0.1/x"}))
    assert "is not looked up for requests over HTTP" in said[-1]
    said.append(ask(run, "/api/streams", {"source": "file:/etc/passwd"}))
    assert "is not looked up for requests over HTTP" in said[-1]
    said.append(ask(run, "/api/streams", {"source": "rtsp://admin:s3cret#x@127.0.0.1/x"}))
    assert "write # as %23" in said[-1]
    page = ("--url", f"http://127.0.0.1:{port}", "--token", f"file:{tmp_path}/token")
    there = f"rtsp://admin:${{file:{tmp_path}/password}}@127.0.0.1:{server.port}/live"
    added = command("streams", "add", there, "--name", "again", *page, cwd=tmp_path)  # references are looked up here
    assert added.stdout == "again: add\n", added.stderr
    missing = command("streams", "add", "rtsp://admin:${NONE}@h/", *page, cwd=tmp_path)
    assert (missing.returncode, missing.stderr) == (1, "maskstream: error: add: the variable NONE is not set\n")
    said += [added.stdout, added.stderr, command("streams", "list", *page, cwd=tmp_path).stdout]
    run.until(lambda: run.stderr.count("401 unauthorized") >= 1, 120)
    run.until(lambda: {line["stream"] for line in run.lines()} == {"127.0.0.1-live", "again"}, 120)
    said += [ask(run, path) for path in ("/api/status", "/api/streams", "/api/events", "/metrics", "/readyz", "/")]
    said += [" ".join(psutil.Process(pid).cmdline()) for pid in run.processes() - {run.pid}]
    run.signal(signal.SIGINT)
    run.wait()
    assert "127.0.0.1-live.mp4" in {path.name for path in run.folder.iterdir()}
    said += [run.stdout, run.stderr, (run.folder / "o.jsonl").read_text(), str(sorted(run.folder.iterdir()))]
    said.append((run.folder / "e.db").read_bytes().decode("latin-1"))
    for secret in SECRETS:
        assert secret not in "\n".join(said), secret


def test_a_camera_that_is_not_there_is_refused_without_its_login(maskstream):
    source = "rtsp://us\"er's3cret:a%41\\s3cret é\t`$x@127.0.0.1:1/live?token=s3cret;usr=s3cret"
    run = maskstream("--set", f"sources.0.source={source}", "--sink", "file:{stream}.mp4", "--json")
    assert run.wait() == 1
    assert run.stderr.splitlines()[-1] == (
        "maskstream: error: rtsp://***@127.0.0.1:1/live?token=***;usr=***: connection refused: "
        "is it switched on, and is the port right?"
    )
    assert list(run.report["streams"]) == ["127.0.0.1-live"]
    assert "s3cret" not in run.stdout + run.stderr


def test_a_saved_configuration_has_references_and_no_secrets(maskstream, tmp_path, monkeypatch):
    monkeypatch.setenv("CAMERA_PASSWORD", "s3cret")
    run = maskstream(
        "--source", "rtsp://me:${CAMERA_PASSWORD}@192.0.2.1/live", "--sink", "mqtt://me:open s3cret@h/t",
        "--token", "s3cret-s3cret", "--print-config",
    )  # fmt: skip
    assert run.wait() == 0
    assert "source: rtsp://me:${CAMERA_PASSWORD}@192.0.2.1/live  #" in run.stdout
    assert "sinks: ['mqtt://***@h/t']" in run.stdout
    assert "token: '***'" in run.stdout
    assert "s3cret" not in run.stdout + run.stderr
    (tmp_path / "saved.yaml").write_text(run.stdout)
    again = maskstream("--config", tmp_path / "saved.yaml")
    assert again.wait() == 1
    assert "overlay.sinks[0]: *** stands for a secret that was not printed" in again.stderr
