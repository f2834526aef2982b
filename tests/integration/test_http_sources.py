"""What comes over HTTP, through the real program: live HLS, a film, snapshots."""

import itertools
import os
import re
import signal
import time

import cv2
import numpy as np
import pytest
from conftest import send

from capture.picture import NotYet
from capture.sources import open_source
from configs.schema import SourceConfig

QUICK = ("--sink", "jsonl:o.jsonl", "--sink", "null", "--json")


class LiveHls:
    """Answers with a playlist that grows by a segment a second, and keeps five."""

    def __init__(self, files):
        self.parts = {name: data for name, data in files.items() if name.endswith(".ts")}
        self.began_s = 0.0

    def __call__(self, request):
        name = request.path.strip("/")
        if name in self.parts:
            return send(request, self.parts[name], Content_Type="video/mp2t")
        self.began_s = self.began_s or time.monotonic() - 4  # there are four when it is asked for the first time
        done = min(len(self.parts), int(time.monotonic() - self.began_s))
        first = max(0, done - 5)
        lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:1", f"#EXT-X-MEDIA-SEQUENCE:{first}"]
        for part in list(self.parts)[first:done]:
            lines += ["#EXTINF:1.0,", part]
        return send(request, "\n".join([*lines, ""]).encode(), Content_Type="application/vnd.apple.mpegurl")


def test_live_hls_is_shown_evenly(http_server, clip, maskstream):
    server = http_server(LiveHls(clip.segments(300)))
    run = maskstream("--source", f"{server.url}/live.m3u8", *QUICK)
    run.until(lambda: len(run.lines()) >= 100)
    run.signal(signal.SIGINT)
    assert run.wait() == 0
    stream = run.report["streams"]["127.0.0.1-live.m3u8"]
    assert sum(stream["dropped"].values()) < 0.2 * stream["captured"]  # it was two thirds
    due_s = [
        np.datetime64(line["captured"].rstrip("Z")).astype("datetime64[us]").astype(int) / 1e6 for line in run.lines()
    ]
    steps_ms = [1000 * (later - earlier) for earlier, later in itertools.pairwise(due_s)]
    even = sum(30 < step_ms < 50 for step_ms in steps_ms)
    assert even > 0.8 * len(steps_ms)


class Film:
    """Answers with a film, by ranges and slowly; the first answer breaks off in the middle."""

    def __init__(self, path):
        self.data, self.whole = path.read_bytes(), False

    def __call__(self, request):
        asked = re.match(r"bytes=(\d+)-", request.headers.get("Range", ""))
        begin = int(asked[1]) if asked else 0
        request.send_response(206 if asked else 200)
        request.send_header("Content-Length", str(len(self.data) - begin))
        request.send_header("Accept-Ranges", "bytes")
        request.end_headers()
        end = len(self.data) if self.whole else len(self.data) // 2
        self.whole = True
        for place in range(begin, end, 4096):
            request.wfile.write(self.data[place : min(end, place + 4096)])
            time.sleep(0.01)


def test_a_film_goes_on_after_a_break_and_after_its_capture_was_killed(http_server, clip, maskstream):
    server = http_server(Film(clip(count=400, container={"movflags": "faststart"})))
    run = maskstream("--source", f"{server.url}/film.mp4", *QUICK)
    run.until(lambda: len(run.lines()) >= 100)
    os.kill(run.stage("capture-127.0.0.1-film.mp4"), signal.SIGKILL)
    assert run.wait() == 0
    stream = run.report["streams"]["127.0.0.1-film.mp4"]
    assert (stream["captured"], stream["shown"], stream["dropped"]) == (400, 400, {})
    assert [line["seq"] for line in run.lines()] == sorted({line["seq"] for line in run.lines()})
    media_ms = [line["media_ms"] for line in run.lines()]
    assert media_ms[-1] == 399 * 40


def test_snapshots_that_stay_away_for_a_while_are_one_absence(http_server, maskstream, tmp_path):
    broken, asked = [False], itertools.count()

    def answer(request):
        grey = next(asked) * 7 % 250
        image = cv2.imencode(".jpg", np.full((48, 64, 3), grey, np.uint8))[1].tobytes()
        send(request, image, 503 if broken[0] else 200, Content_Type="image/jpeg")

    server = http_server(answer, "HTTP/1.1")
    config = tmp_path / "snapshots.yaml"
    config.write_text(f"sources: [{{source: '{server.url}/snap.jpg', fps: 20, read_timeout_s: 0.5}}]")
    run = maskstream("--config", config, *QUICK)
    run.until(lambda: len(run.lines()) >= 20)
    broken[0] = True
    run.until(lambda: "away" in run.stderr)
    broken[0], seen = False, len(run.lines())
    run.until(lambda: len(run.lines()) >= seen + 20)
    run.signal(signal.SIGINT)
    assert run.wait() == 0
    assert run.report["stages"]["capture"]["reconnects"] == 1
    assert "the server says 503" in run.stderr
    assert "session" not in run.stderr


def test_a_snapshot_camera_hears_that_the_run_stops(http_server, room):
    image = cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8))[1].tobytes()
    server = http_server(lambda request: send(request, image, Content_Type="image/jpeg"))
    with open_source(SourceConfig(source=server.url, fps=0.01)) as camera:
        camera.read(room)
        began_s = time.monotonic()
        with pytest.raises(NotYet):
            camera.read(room)
        assert time.monotonic() - began_s < 3
