"""Events of the real program: kept, delivered to receivers that go away and come back, listed, reported."""

import contextlib
import csv
import io
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from ports import free_port
from program import ROOT

from events.event import Event
from events.reading import read_history
from events.store import Store


def command(*arguments, cwd):
    program = [sys.executable, "-c", "import run_pipeline; run_pipeline.main()", *map(str, arguments)]
    return subprocess.run(program, cwd=cwd, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60)


def kept(run) -> list[Event]:
    path = run.folder / "e.db"
    return read_history(path)[0] if path.exists() else []


class Broker:
    """Debian's mosquitto on loopback."""

    def __init__(self, folder):
        self.port, self._folder = free_port(), folder
        # It knows its subscribers after a restart: what is published before they are back waits for them.
        options = f"allow_anonymous true\nuser root\npersistence true\npersistence_location {folder}/\n"
        (folder / "mosquitto.conf").write_text(f"listener {self.port} 127.0.0.1\n{options}")
        self._process = None

    def start(self):
        self._process = subprocess.Popen(
            ["/usr/sbin/mosquitto", "-c", str(self._folder / "mosquitto.conf")], stderr=subprocess.DEVNULL
        )
        deadline_s = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            assert time.monotonic() < deadline_s, "mosquitto did not start"
            time.sleep(0.05)

    def stop(self):
        if self._process:
            self._process.terminate()
            self._process.wait(10)


@pytest.fixture
def broker(tmp_path):
    if not shutil.which("mosquitto", path="/usr/sbin:/usr/bin"):
        pytest.skip("needs Debian's mosquitto: apt-get install mosquitto")
    pytest.importorskip("paho.mqtt.client")
    broker = Broker(tmp_path)
    broker.start()
    yield broker
    broker.stop()


def test_a_broker_that_was_away_gets_all_events_in_order_and_once(maskstream, broker):
    from paho.mqtt.client import Client
    from paho.mqtt.enums import CallbackAPIVersion

    got: list[str] = []
    listener = Client(CallbackAPIVersion.VERSION2, "listener", clean_session=False)
    listener.on_connect = lambda client, *_: client.subscribe("masks/#", qos=1)
    listener.on_message = lambda client, data, message: got.append(json.loads(message.payload)["id"])
    listener.reconnect_delay_set(0.2, 0.2)
    listener.connect("127.0.0.1", broker.port)
    listener.loop_start()
    receiver = f"mqtt://me:s3cret@127.0.0.1:{broker.port}/masks"
    run = maskstream(
        "--source", "demo", "--realtime", "--loop", "--sink", "sqlite:e.db", "--sink", receiver, "--json"
    )  # fmt: skip
    run.until(lambda: len(got) >= 2)
    broker.stop()
    run.until(lambda: "away" in run.stderr)
    before = len(kept(run))
    run.until(lambda: len(kept(run)) >= before + 3)
    broker.start()  # nobody is there: it is tried every 5 s at the longest, and not after 30
    run.until(lambda: len(got) >= len(kept(run)) > before)
    run.signal(signal.SIGINT)
    assert run.wait() == 0
    delivered = Store(run.folder / "e.db").receivers()[receiver.replace("me:s3cret", "***")]["delivered"]
    deadline_s = time.monotonic() + 20
    while len(got) < delivered and time.monotonic() < deadline_s:
        time.sleep(0.02)
    listener.loop_stop()
    listener.disconnect()
    ids = [event.id for event in kept(run)]
    assert len(set(ids)) == len(ids)
    assert got == ids[: len(got)]
    counts = Store(run.folder / "e.db").receivers()[receiver.replace("me:s3cret", "***")]
    assert counts == {"delivered": len(got), "refused": 0, "lost": 0}
    assert "s3cret" not in run.stdout + run.stderr
    assert "deliver: mqtt" in run.stderr


@pytest.fixture
def hook():
    """An HTTP receiver; `answers` is what it says, `got` the bodies."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            status = server.answers(body)
            if status == 200:
                server.got.append((self.headers["X-Event-Id"], body))
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_): ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.got, server.answers = [], lambda body: 200
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_webhook_gets_each_event_with_its_picture_and_one_it_refuses_does_not_hold_up_the_rest(maskstream, hook):
    tries: list[str] = []

    def answers(body):
        tries.append(body["id"])
        if len(set(tries)) == 1 and len(tries) < 3:
            return 503  # twice later
        return 422 if len(set(tries)) == 2 else 200

    hook.answers = answers
    url = f"webhook:http://127.0.0.1:{hook.server_port}/in?token=s3cret"
    options = ("--set", "overlay.event_pictures=true", "--sink", "events:e.jsonl")
    run = maskstream("--source", "demo", "--realtime", "--loop", "--sink", "sqlite:e.db", "--sink", url, *options)
    run.until(lambda: len(hook.got) >= 3)
    run.signal(signal.SIGINT)
    assert run.wait() == 0
    ids = [event.id for event in kept(run)]
    sent = [number for number, _ in hook.got]
    assert sent == [ids[0], *ids[2 : len(sent) + 1]]
    assert tries[:3] == [ids[0]] * 3
    assert all(body["picture"] for _, body in hook.got)
    assert [json.loads(line)["id"] for line in (run.folder / "e.jsonl").read_text().splitlines()] == ids
    assert "s3cret" not in run.stdout + run.stderr

    listed = command("events", "e.db", "--since", "1h", "--json", cwd=run.folder)
    assert [json.loads(line)["id"] for line in listed.stdout.splitlines()] == ids
    rows = list(csv.DictReader(io.StringIO(command("events", "e.db", "--csv", cwd=run.folder).stdout)))
    assert [row["id"] for row in rows] == ids
    one = command("events", "e.db", "--label", "no_mask", cwd=run.folder)
    assert one.returncode == 0
    assert "no mask" in one.stdout
    report = command("report", "e.db", "--since", "24h", "-o", "r.html", cwd=run.folder)
    assert report.returncode == 0
    told = (run.folder / "r.html").read_text()
    assert "are not counted" in told
    assert "<td>haar, 320 px</td>" in told
    assert "adjusted for known errors" in told
    assert "people" not in told  # what was seen are faces
    missing = command("events", "none.db", cwd=run.folder)
    assert missing.returncode == 1
    assert "Traceback" not in missing.stderr


LOCK = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=20)
db.execute("BEGIN IMMEDIATE")
db.execute("UPDATE events SET text = text")
print("locked", flush=True)
sys.stdin.read()
db.execute("ROLLBACK")
"""


def test_a_database_browser_with_unsaved_edits_ends_nothing_and_costs_no_event(maskstream, hook):
    """Both processes meet the lock: the overlay has new events, and the delivery a backlog."""
    answers = {"status": 503}
    hook.answers = lambda body: answers["status"]
    url = f"webhook:http://127.0.0.1:{hook.server_port}/in"
    run = maskstream("--source", "demo", "--realtime", "--loop", "--sink", "sqlite:e.db", "--sink", url, "--json")
    run.until(lambda: len(kept(run)) >= 2 and "away" in run.stderr)
    lock = [sys.executable, "-c", LOCK, str(run.folder / "e.db")]
    with subprocess.Popen(lock, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as browser:
        assert browser.stdout.readline() == "locked\n"
        answers["status"] = 200
        run.until(lambda: run.stderr.count("another program has it locked") == 2)
        run.until(lambda: len(hook.got) >= 2)  # what it has already is delivered meanwhile
        browser.stdin.close()
    run.until(lambda: "records again" in run.stderr)
    run.until(lambda: len(hook.got) >= len(kept(run)) > 2)
    run.signal(signal.SIGINT)
    assert run.wait() == 0
    ids = [event.id for event in kept(run)]
    assert [number for number, _ in hook.got] == ids[: len(hook.got)]
    assert "died" not in run.stderr
    assert run.stderr.count("another program has it locked") == 2
    overlaid = run.report["stages"]["overlay"]
    assert (overlaid["events_kept"], overlaid["events_lost"]) == (len(ids), 0)
    assert run.report["deliver"]["delivered"] == len(hook.got)


@pytest.mark.parametrize("status", [308, 500])
def test_a_receiver_that_takes_nothing_is_not_asked_more_often_because_the_run_ends(maskstream, hook, status):
    tries: list[str] = []
    hook.answers = lambda body: tries.append(body["id"]) or status  # 308 without a place to go to
    url = f"webhook:http://127.0.0.1:{hook.server_port}/in"
    run = maskstream("--source", "demo", "--realtime", "--loop", "--sink", "sqlite:e.db", "--sink", url)
    run.until(lambda: len(tries) >= 3)
    run.signal(signal.SIGINT)
    assert run.wait() == 0
    assert len(tries) <= 5
    assert f"it answers {status}" in run.stderr
    assert "wait for the next run" in run.stderr


@pytest.mark.parametrize(
    ("sinks", "says"),
    [
        (["webhook:ftp://host/"], "is no address"),
        (["webhook:http://host/"], "add one --sink sqlite"),
        (["sqlite:e.db", "mqtt://host"], "mqtt://HOST/TOPIC"),
        (["sqlite:e.db", "mqtt://u:s3cret@ho st:x/"], "mqtt://***"),
        (["null", "--set", "overlay.rules=none.yaml"], "rules none.yaml: cannot be read"),
    ],
)
def test_what_cannot_work_is_one_line(maskstream, sinks, says):
    words = [word for sink in sinks for word in (["--sink", sink] if "=" not in sink and sink != "--set" else [sink])]
    run = maskstream("--source", "demo", *words)
    assert run.wait() == 1
    assert says in run.stderr
    assert "s3cret" not in run.stderr
    assert "Traceback" not in run.stderr
