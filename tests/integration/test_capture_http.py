"""What comes over HTTP, through the real program: live HLS, a film, snapshots."""

import itertools
import os
import re
import signal
import time

import av
import cv2
import numpy as np
import pytest
from conftest import send

from capture.sources import NotYet, open_source
from configs.schema import SourceConfig

QUICK = ("--sink", "jsonl:o.jsonl", "--sink", "null", "--json")


def segments(clip, folder, count=400):
    """A film cut into MPEG-TS segments of 1 s, 25 pictures/s: {name: bytes}."""
    source = clip(count=count, g="25")
    with (
        av.open(str(source)) as film,
        av.open(str(folder / "s.m3u8"), "w", format="hls", options={"hls_time": "1", "hls_list_size": "0"}) as output,
    ):
        track = output.add_stream_from_template(film.streams.video[0])
        for packet in film.demux(video=0):
            if packet.dts is not None:
                packet.stream = track
                output.mux(packet)
    return {
        path.name: path.read_bytes()
        for path in sorted(folder.glob("*.ts"), key=lambda path: (len(path.name), path.name))
    }


class LiveHls:
    """Answers with a playlist that grows by a segment a second, and keeps five."""

    def __init__(self, parts, ended=False):
        self.parts, self.began_s, self.ended = parts, time.monotonic() - 4, ended

    def __call__(self, request):
        name = request.path.strip("/")
        if name in self.parts:
            return send(request, self.parts[name], Content_Type="video/mp2t")
        done = len(self.parts) if self.ended else min(len(self.parts), int(time.monotonic() - self.began_s))
        first = 0 if self.ended else max(0, done - 5)
        lines = ["#EXTM3U", "#EXT-X-VERSION:3", "#EXT-X-TARGETDURATION:1", f"#EXT-X-MEDIA-SEQUENCE:{first}"]
        for part in list(self.parts)[first:done]:
            lines += ["#EXTINF:1.0,", part]
        lines += ["#EXT-X-ENDLIST"] if self.ended else []
        return send(request, "\n".join([*lines, ""]).encode(), Content_Type="application/vnd.apple.mpegurl")


def test_live_hls_is_shown_evenly(http_server, clip, tmp_path, maskstream):
    server = http_server(LiveHls(segments(clip, tmp_path)))
    run = maskstream("--source", f"{server.url}/live.m3u8", *QUICK)
    run.until(lambda: len(run.lines()) >= 150)
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


def test_an_hls_film_is_every_picture_once_and_then_the_end(http_server, clip, tmp_path, room):
    server = http_server(LiveHls(segments(clip, tmp_path, count=100), ended=True))
    with open_source(SourceConfig(source=f"{server.url}/film.m3u8"), start=10) as film:
        assert not film.live
        assert [clip.index_of(picture.image) for picture in iter(lambda: film.read(room), None)] == list(range(10, 100))


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
    server = http_server(Film(clip(count=600, container={"movflags": "faststart"})))
    run = maskstream("--source", f"{server.url}/film.mp4", *QUICK)
    run.until(lambda: len(run.lines()) >= 100)
    os.kill(run.stage("capture-127.0.0.1-film.mp4"), signal.SIGKILL)
    assert run.wait() == 0
    stream = run.report["streams"]["127.0.0.1-film.mp4"]
    assert stream["captured"] == 600
    assert stream["shown"] + stream["dropped"].get("lost", 0) == 600
    assert [line["seq"] for line in run.lines()] == sorted({line["seq"] for line in run.lines()})
    media_ms = [line["media_ms"] for line in run.lines()]
    assert media_ms[-1] == 599 * 40


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


def test_a_snapshot_camera_hears_that_the_run_stops(http_server, room):
    image = cv2.imencode(".jpg", np.zeros((48, 64, 3), np.uint8))[1].tobytes()
    server = http_server(lambda request: send(request, image, Content_Type="image/jpeg"))
    with open_source(SourceConfig(source=server.url, fps=0.01)) as camera:
        camera.read(room)
        began_s = time.monotonic()
        with pytest.raises(NotYet):
            camera.read(room)
        assert time.monotonic() - began_s < 3
