"""A shard as its owner meets it: started in a folder of its own, commanded, and heard of by a collector."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import psutil
import pytest
from program import ROOT

from events.reading import read_history
from run.shard import read_note

DEMO = ("--source", "demo", "--realtime", "--loop")
TOKEN = "fleet-token-1"


class Collector:
    """What gathers a fleet's status and events. `answer` is what it says to a status, `takes` whether to an event."""

    def __init__(self):
        self.statuses, self.events, self.answer, self.takes = [], [], {}, True
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                said, code = b"{}", 200
                if self.path == "/status":
                    collector.statuses.append((self.headers["Authorization"], body))
                    said = json.dumps(collector.answer).encode()
                elif collector.takes:
                    collector.events.append(body)
                else:
                    code = 503
                self.send_response(code)
                self.send_header("Content-Length", str(len(said)))
                self.end_headers()
                self.wfile.write(said)

            def log_message(self, *_): ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def ids(self):
        return [event["id"] for event in self.events]


@pytest.fixture
def collector():
    made = Collector()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def shard(maskstream, tmp_path):
    """`shard(folder, ...)` starts a life of shard north-1 in that folder below the test's own."""

    def start(folder, *arguments, source=DEMO):
        place = ("--set", f"run.folder={tmp_path / folder}")
        return maskstream(*source, "--shard", "north-1", "--set", "run.site=north", *place, "--json", *arguments)

    return start


def asked(url, body=None, token=TOKEN):
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def command(*arguments, **variables):
    """`maskstream shard ...` to its end, with these variables in its environment and no others."""
    program = [sys.executable, "-c", "import run_pipeline; run_pipeline.main()", "shard", *map(str, arguments)]
    return subprocess.run(
        program, env={"PYTHONPATH": str(ROOT)} | variables, capture_output=True, text=True, timeout=120
    )


def shown(folder):
    note = read_note(folder)
    return sum(stream.shown for stream in note.streams.values()) if note else 0


def kept(folder):
    return [event.id for event in read_history(folder / "events.db")[0]] if (folder / "events.db").exists() else []


def stages_of(run):
    found = set()
    for child in psutil.Process(run.pid).children():
        with contextlib.suppress(psutil.Error):  # it ends just now
            found.update(child.cmdline()[-1:])
    return found
