"""Films with gaps and with damage, through the real program."""

import json
import os
import signal
import time
import urllib.request

from ports import free_port
from test_streams import TOKEN, ask

STUCK_S = 5.0  # after this much time at one picture a stage is taken for stuck here


def test_a_gap_in_a_film_is_waited_for_and_pause_removal_and_the_end_are_heard_meanwhile(maskstream, clip):
    """A gap of more than 60 s had capture killed as stuck."""
    times_ms = [*range(0, 280, 40), 900_000]
    film, other = (clip(name, count=8, times_ms=times_ms) for name in ("film.mp4", "other.mp4"))
    port = free_port()
    line = ("--source", film, "--source", other, "--realtime", "--sink", "web", "--port", port, "--token", TOKEN)
    run = maskstream(*line, "--json", "--set", f"run.hang_timeout_s={STUCK_S}")

    def api(method, path=""):
        code, _, answer = ask(port, f"/api/streams{path}", method, Authorization=f"Bearer {TOKEN}")
        assert code == 200
        return json.loads(answer)

    def streams(of):
        return {stream["name"]: stream[of] for stream in api("GET")}

    run.until(lambda: "web: ready" in run.stderr)
    run.until(lambda: list(streams("captured").values()) == [7, 7])
    began_s = time.monotonic()
    run.until(lambda: time.monotonic() - began_s > STUCK_S + 2)
    api("POST", "/film/pause")
    run.until(lambda: streams("state")["film"] == "paused")
    api("POST", "/film/resume")
    run.until(lambda: streams("state")["film"] == "flowing")
    assert streams("captured") == {"film": 7, "other": 7}
    api("DELETE", "/film")
    run.until(lambda: "film: ended" in run.stderr or "film" not in streams("state"))
    run.signal(signal.SIGTERM)
    assert run.wait(20) == 0
    assert "stuck" not in run.stderr
    assert "killed" not in run.stderr
    assert run.report["stages"]["capture"]["restarts"] == 0


def test_the_run_says_what_decoded_a_film_and_nothing_of_what_ffmpeg_does_not_decode(maskstream, clip):
    run = maskstream("--source", clip("film.mp4", count=8), "--decode", "cpu", "--sink", "null", "--json")
    assert run.wait(60) == 0, run.stderr
    assert run.report["streams"]["film"]["decoder"] == "cpu"
    run = maskstream("--source", "demo", "--sink", "null", "--json", "--fps", "1")
    assert run.wait(60) == 0, run.stderr
    assert "decoder" not in run.report["streams"]["demo"]


def test_damaged_pictures_are_shown_counted_and_told_once(maskstream, clip):
    path, port = clip("lossy.ts", count=90, g="30", size=(640, 480), crf="1"), free_port()
    data = path.read_bytes()
    packets = [data[at : at + 188] for at in range(0, len(data), 188)]
    inner = [n for n, packet in enumerate(packets) if packet[1] & 0x5F == 1 and packet[2] == 0]  # of id 256, no start
    lost = set(inner[len(inner) // 3 :: len(inner) // 3])
    path.write_bytes(b"".join(packet for n, packet in enumerate(packets) if n not in lost))
    line = ("--source", path, "--realtime", "--loop", "--sink", "web", "--port", port, "--token", TOKEN)
    run = maskstream(*line, "--sink", "jsonl:o.jsonl", "--json")

    def counted() -> int:
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/metrics", headers={"Authorization": f"Bearer {TOKEN}"}
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            figures = answer.read().decode()
        [value] = [line for line in figures.splitlines() if line.startswith("maskstream_frames_corrupt_total{")]
        return int(float(value.split()[-1]))

    run.until(lambda: len(run.lines()) > 120 and counted() >= 2)
    run.signal(signal.SIGINT)
    assert run.wait(20) == 0
    stream, lines = run.report["streams"]["lossy"], run.lines()
    assert stream["corrupt"] >= sum(line.get("corrupt", False) for line in lines) > 0
    assert run.stderr.count("marks pictures as damaged") == 1


def test_a_film_whose_capture_dies_again_and_again_goes_on_exactly_and_is_not_decoded_from_its_beginning(
    maskstream, clip
):
    """Every life had decoded all again that came before: it was killed for not being ready, after a long film."""
    path = clip("long.mp4", count=4000, size=(160, 120), preset="medium", bf="2", g="50")
    quick = ("--set", "detect.width=64", "--set", "run.max_restarts=20")
    run, deaths = maskstream("--source", path, "--sink", "jsonl:o.jsonl", "--json", *quick), 0
    for shown in (900, 2100, 2150, 3300):
        run.until(lambda shown=shown: len(run.lines()) > shown)
        os.kill(run.stage("capture-long"), signal.SIGKILL)
        deaths += 1
        run.until(lambda deaths=deaths: run.stderr.count("capture-long: ready") == 1 + deaths)
    assert run.wait() == 0
    stream = run.report["streams"]["long"]
    assert stream["captured"] == 4000
    assert [round(line["media_ms"]) for line in run.lines()] == [40 * line["seq"] for line in run.lines()]
    assert len(run.lines()) == stream["shown"] >= 4000 - 18 * deaths
    assert "no key frame leads back" not in run.stderr
