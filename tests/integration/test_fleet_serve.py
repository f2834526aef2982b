"""The fleet's page with real shards: what it shows, whom it fences, and what it still knows after its own end."""

import json
import select
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request

import pytest
from certificates import certificate
from fleet_page import TOKEN, fleet_page, shard
from ports import free_port
from program import ROOT
from prometheus_client.parser import text_string_to_metric_families

from run.lease import read_lease

__all__ = ["fleet_page", "shard"]


def balanced(account):
    left = account["shown"] + sum(account["dropped"].values()) + account["in_flight"] + account["unaccounted"]
    return account["captured"] == left


def figures(text):
    return {
        (sample.name, sample.labels.get("shard") or sample.labels.get("state", "")): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


def test_two_shards_are_one_page_and_their_accounts_outlive_them_and_the_page(fleet_page, shard, tmp_path):
    fleet_page.start()
    north, south = shard("north-0", "a"), shard("south-0", "b")
    assert fleet_page.camera("door")["state"] == "not_started"
    fleet_page.until(lambda: all(camera["state"] == "flowing" for camera in fleet_page.status()["cameras"]))
    fleet_page.until(lambda: fleet_page.status()["account"]["captured"] > 100)
    whole = fleet_page.status()
    assert {(one["name"], one["site"], one["shard"]) for one in whole["cameras"]} == {
        ("door", "north", "north-0"),
        ("gate", "south", "south-0"),
    }
    assert whole["cameras"][0]["fps"] > 0
    assert balanced(whole["account"])
    assert whole["lives"] == 2

    # a picture, of now, from the shard's page; only known shards are asked
    code, jpeg, headers = fleet_page.ask("/snapshot/north-0/door.jpg")
    assert (code, headers["Content-Type"], jpeg[:2]) == (200, "image/jpeg", b"\xff\xd8")
    assert float(headers["X-Age-Ms"]) < 5000
    fleet_page.until(lambda: fleet_page.ask("/snapshot/north-0/door.jpg")[1] != jpeg)
    assert fleet_page.ask("/snapshot/north-9/door.jpg")[0] == 404
    assert fleet_page.ask("/snapshot/north-0/cellar.jpg")[:2] == (502, b"it answers 404\n")
    assert fleet_page.ask("/snapshot/north-0/..%2Fapi%2Fstatus.jpg")[0] == 502

    # events of both, and the picture of one
    def events():
        told = json.loads(fleet_page.ask("/api/events")[1])
        assert told["unreached"] == {}
        return told["events"]

    fleet_page.until(lambda: {event["shard"] for event in events()} == {"north-0", "south-0"})
    found = events()
    assert [event["time"] for event in found] == sorted(event["time"] for event in found)
    pictured = next(event for event in found if event["picture"])
    assert fleet_page.ask(f"/events/{pictured['shard']}/{pictured['id']}.jpg")[1][:2] == b"\xff\xd8"

    # Prometheus finds the shards, and what it finds is theirs
    targets = json.loads(fleet_page.ask("/sd")[1])
    assert [target["labels"]["shard"] for target in targets] == ["north-0", "south-0"]
    assert targets[0]["labels"] | {"host": ""} == {
        "fleet": "plant", "site": "north", "shard": "north-0", "host": "", "__scheme__": "http",
    }  # fmt: skip
    for target in targets:
        request = urllib.request.Request(f"http://{target['targets'][0]}/metrics")
        request.add_header("Authorization", f"Bearer {TOKEN}")
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert f'shard="{target["labels"]["shard"]}"'.encode() in answer.read()
    told = figures(fleet_page.ask("/metrics")[1])
    assert told["maskstream_fleet_shard_up", "north-0"] == told["maskstream_fleet_shard_up", "south-0"] == 1
    assert told["maskstream_fleet_cameras", "flowing"] == 1  # of one site, then of the other
    assert told["maskstream_fleet_frames_captured_total", "north-0"] > 50

    # a shard that is killed is silent, and what it had under way is unaccounted for
    killed = fleet_page.shard("north-0")["run"]
    north.kill()
    fleet_page.until(lambda: fleet_page.camera("door")["state"] == "silent")
    gone = fleet_page.shard("north-0")
    assert gone["heard"] == fleet_page.camera("door")["since"] <= fleet_page.status()["now"] - 6
    assert balanced(gone["account"])
    assert gone["account"]["in_flight"] == 0
    fleet_page.until(lambda: "north-0: silent" in fleet_page.log)
    assert fleet_page.ask("/snapshot/north-0/door.jpg")[:2] == (502, b"its shard is silent\n")
    assert figures(fleet_page.ask("/metrics")[1])["maskstream_fleet_shard_up", "north-0"] == 0
    assert fleet_page.ask("/livez")[0] == fleet_page.ask("/readyz")[0] == 200

    # and the page, too: it knows the account of the one that is dead, and since when
    fleet_page.end(signal.SIGKILL)
    fleet_page.start()
    again = fleet_page.shard("north-0")
    assert (again["heard"], again["run"], again["account"]["captured"]) == (
        gone["heard"], killed, gone["account"]["captured"],
    )  # fmt: skip
    assert again["state"] == "silent"  # at once: it is not known how it is
    fleet_page.until(lambda: fleet_page.camera("gate")["state"] == "flowing")
    shard("north-0", "a", epoch=2)
    fleet_page.until(lambda: fleet_page.camera("door")["state"] == "flowing")
    second = fleet_page.shard("north-0")
    assert (second["lives"], second["epoch"]) == (2, 2)
    assert second["account"]["captured"] >= gone["account"]["captured"]
    assert balanced(second["account"])
    south.signal(signal.SIGTERM)
    assert south.wait() == 0
    fleet_page.until(lambda: fleet_page.camera("gate")["state"] == "ended")
    assert fleet_page.shard("south-0")["account"]["in_flight"] == 0
    assert fleet_page.end() == 0
    assert TOKEN not in fleet_page.log
    assert "Traceback" not in fleet_page.log
    assert {path.stat().st_mode & 0o777 for path in (fleet_page.folder / "kept").iterdir()} == {0o600}


class Net:
    """What lies between a shard and the page. While it is `cut` nothing comes through, and nobody is told so."""

    def __init__(self, port):
        self._to, self.cut, self.tries = port, False, 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                near, _ = self._listening.accept()
            except OSError:
                return
            threading.Thread(target=self._carry, args=(near,), daemon=True).start()

    def _carry(self, near):
        if self.cut:
            self.tries += 1
        with near, socket.create_connection(("127.0.0.1", self._to)) as far:
            while True:
                for one in select.select([near, far], [], [], 5)[0]:
                    data = one.recv(65536)
                    if not data and not (self.cut and one is far):
                        return
                    if not self.cut:
                        (far if one is near else near).sendall(data)

    def close(self):
        self._listening.close()


def test_a_copy_that_was_cut_off_is_fenced_by_the_answer_within_5_s_of_the_nets_return(fleet_page, shard, tmp_path):
    fleet_page.start()
    net = Net(fleet_page.port)
    old = shard("north-0", "a", "--set", f"run.status=http://127.0.0.1:{net.port}/status", epoch=7)
    fleet_page.until(lambda: fleet_page.camera("door")["state"] == "flowing")
    net.cut = True
    fleet_page.until(lambda: fleet_page.camera("door")["state"] == "silent")
    shard("north-0", "c", epoch=8)
    fleet_page.until(lambda: fleet_page.shard("north-0")["epoch"] == 8)
    fleet_page.until(lambda: net.tries >= 4)  # one that doubled its wait would sleep for long by now
    assert read_lease(tmp_path / "a").state == "running"
    net.cut, back_s = False, time.monotonic()
    old.until(lambda: read_lease(tmp_path / "a").state != "running")
    fenced_s = time.monotonic() - back_s
    assert old.wait() == 5
    net.close()
    assert read_lease(tmp_path / "a").fenced_by == 8
    print(f"fenced {fenced_s:.1f} s after the net's return")
    assert fenced_s < 5
    fleet_page.until(lambda: "epoch 7 is over since 8" in fleet_page.log)
    told = fleet_page.shard("north-0")
    assert (told["epoch"], told["lives"]) == (8, 2)
    assert fleet_page.camera("door")["state"] == "flowing"
    assert balanced(told["account"])


def status_of(shard="north-0", cameras=("door",), run="3fa98c01d2e4b567", epoch=1, **more):
    """A status as shards send it, for what no test can start so many cameras for."""
    streams = [
        {"name": name, "state": "flowing", "fps": 25.0, "age_ms": {"p50": 20.0, "p95": 40.0}, "why": [],
         "captured": 10, "shown": 8, "dropped": {"superseded": 1}, "in_flight": 1, "persons": {"mask": 2}}
        for name in cameras
    ]  # fmt: skip
    about = {"site": shard.partition("-")[0], "host": "box-1", "shard": shard, "run": run, "epoch": epoch}
    return about | {"phase": "running", "port": 9, "streams": streams} | more


def test_who_may_tell_and_look(fleet_page):
    fleet_page.start()
    assert fleet_page.ask("/status", status_of(), token="another-token")[0] == 401
    code, said, _ = fleet_page.ask("/status", status_of(shard="north-9"))
    assert (code, said) == (400, b"no shard north-9 is in the plan: look at maskstream fleet plan\n")
    assert fleet_page.ask("/status", b"{")[0] == 400
    assert fleet_page.ask("/status", b" " * (5 << 20))[0] == 413
    code, said, _ = fleet_page.ask("/status", status_of())
    assert (code, json.loads(said)) == (200, {"epoch": 1, "life": "3fa98c01d2e4b567"})
    assert fleet_page.ask("/api/status", token="another-token")[0] == 200  # from this machine looking is free
    code, said, _ = fleet_page.ask("/snapshot/north-0/door.jpg")  # nobody is at its port
    assert code == 502
    assert b"127.0.0.1:9 cannot be reached" in said
    assert list(json.loads(fleet_page.ask("/api/events")[1])["unreached"]) == ["north-0"]

    # a plan that is changed is taken over; one that cannot be used is not
    text = fleet_page.file.read_text()
    fleet_page.file.write_text(text.replace("{name: door, site: north", "{name: door, site: nowhere"))
    fleet_page.until(lambda: "the plan before stays" in fleet_page.log)
    fleet_page.file.write_text(text.replace("{name: door,", "{name: porch,"))
    fleet_page.until(lambda: "was changed" in fleet_page.log)
    fleet_page.until(lambda: {one["name"] for one in fleet_page.status()["cameras"]} == {"porch", "door", "gate"})
    assert not fleet_page.camera("door")["in_plan"]
    twice = serve(fleet_page.file, "--folder", fleet_page.folder / "kept", "--port", free_port())
    assert (twice.returncode, "another fleet serve has it" in twice.stderr) == (1, True)


def test_tls_both_ways_and_a_page_for_others_asks_everybody_for_the_token(fleet_page, shard, monkeypatch):
    """The shard trusts the page's certificate by SSL_CERT_FILE, the page the shard's by the file in its options."""
    cert, key = certificate(fleet_page.folder, "serve", also=",IP:127.0.0.1")
    shards_cert, shards_key = certificate(fleet_page.folder, "shard")
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))
    serving = f'serve: {{url: "https://127.0.0.1:{fleet_page.port}", tls_cert: {cert}, tls_key: {key}}}\n'
    web = f"defaults: {{web: {{tls_cert: {shards_cert}, tls_key: {shards_key}}}}}\n"
    fleet_page.file.write_text(fleet_page.file.read_text().partition("defaults:")[0] + web + serving)
    fleet_page.scheme = "https"
    fleet_page.start()
    shard("north-0", "a")
    fleet_page.until(lambda: fleet_page.camera("door")["state"] == "flowing")
    fleet_page.until(lambda: fleet_page.ask("/snapshot/north-0/door.jpg")[0] == 200)
    assert json.loads(fleet_page.ask("/sd")[1])[0]["labels"]["__scheme__"] == "https"
    other, _ = certificate(fleet_page.folder, "other")
    shards_cert.write_bytes(other.read_bytes())  # not the shard's any more: read at the next start of the page
    fleet_page.end()
    url = f'serve: {{url: "http://fleet.example:{fleet_page.port}"}}\n'
    fleet_page.file.write_text(fleet_page.file.read_text().partition("serve:")[0] + url)
    fleet_page.scheme = "http"
    fleet_page.start()
    for path in ("/", "/api/status", "/sd", "/metrics", "/snapshot/north-0/door.jpg"):
        assert fleet_page.ask(path, token="another-token")[0] == 401
    assert fleet_page.ask("/", token=TOKEN)[0] == fleet_page.ask("/livez", token="another-token")[0] == 200
    told = status_of(
        run="4fa98c01d2e4b567", epoch=2, port=int(json.loads(fleet_page.ask("/sd")[1])[0]["targets"][0][10:])
    )
    assert fleet_page.ask("/status", told)[0] == 200
    code, said, _ = fleet_page.ask("/snapshot/north-0/door.jpg")
    assert (code, b"is not trusted" in said) == (502, True)


def serve(file, *options, token=TOKEN):
    program = [sys.executable, "-P", "-c", "import run_pipeline; run_pipeline.main()", "fleet", "serve", str(file)]
    environment = {"PYTHONPATH": str(ROOT), "HOME": str(file.parent)} | ({"MASKSTREAM_TOKEN": token} if token else {})
    return subprocess.run(
        [*program, *map(str, options)], env=environment, cwd=file.parent, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize(
    ("serving", "token", "says"),
    [
        ("", TOKEN, "serve: is missing"),
        ("serve: {{url: 'http://127.0.0.1:{port}'}}", "short", "serve.token: the page's token must be 8 or more"),
        ("serve: {{url: 'http://127.0.0.1:{port}'}}", "", "the variable MASKSTREAM_TOKEN is not set"),
        ("serve: {{url: 'http://127.0.0.1:{taken}'}}", TOKEN, "cannot listen on 127.0.0.1 port {taken}"),
        ("serve: {{url: 'http://127.0.0.1:{port}', tls_cert: none.pem}}", TOKEN, "serve.tls_cert: "),
        ("serve: {{url: 'http://127.0.0.1:{port}', tls_cert: a.pem, tls_key: b.key}}", TOKEN, "is not the key of"),
    ],
)
def test_what_cannot_be_served_is_one_line(fleet_page, serving, token, says):
    certificate(fleet_page.folder, "a")
    certificate(fleet_page.folder, "b")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        names = {"port": free_port(), "taken": taken.getsockname()[1]}
        before = fleet_page.file.read_text().partition("serve:")[0]
        fleet_page.file.write_text(before + serving.format(**names))
        done = serve(fleet_page.file, token=token)
    assert done.returncode == 1
    assert says.format(**names) in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert token not in done.stderr + done.stdout or not token
