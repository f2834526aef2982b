"""What many tests need: clips whose pictures tell their own number, a room for pictures, a real RTSP server."""

from __future__ import annotations

import http.server
import os
import select
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from ports import free_port
from program import maskstream
from servers import database, nats_at, s3, s3_keys, s3_stopped
from shards import collector, shard

import configs.environment  # noqa: F401 - before a test imports a library that reads it
from configs import redact

__all__ = ["collector", "database", "maskstream", "nats_at", "s3", "s3_keys", "s3_stopped", "shard"]

# An example that takes longer on a busy machine is no fault of what it shows: at a load of 22 one took 0.2 s.
hypothesis.settings.register_profile("ours", deadline=None)
hypothesis.settings.load_profile("ours")


@pytest.fixture(autouse=True)
def nothing_learnt(monkeypatch: pytest.MonkeyPatch) -> None:
    """What one test lets the process learn must not be hidden in the texts of the next."""
    for name, value in (("_addresses", {}), ("_secrets", set()), ("_hosts", set()), ("_pattern", None)):
        monkeypatch.setattr(redact, name, value)


@pytest.fixture
def room() -> Callable[[int, int], np.ndarray]:
    """Stands in for a slot: always the same memory, in the height and width asked for."""
    memory = np.zeros(1920 * 1080 * 3, np.uint8)
    return lambda height, width: memory[: height * width * 3].reshape(height, width, 3)


@pytest.fixture
def clip(tmp_path: Path) -> Clips:
    """`clip("walk.mp4", count=30)` makes a video, gives its path; `clip.index_of(image)` tells which picture it is."""
    return Clips(tmp_path)


class Clips:
    """Videos of pictures that spell their own number, as ten black and white blocks along the upper edge."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(
        self,
        name: str = "clip.mp4",
        count: int = 30,
        size: tuple[int, int] = (320, 240),
        fps: int = 25,
        codec: str = "libx264",
        turned: int = 0,
        times_ms: list[int] | None = None,
        pixel_shape: Fraction | None = None,
        pixels: str = "yuv420p",
        container: dict[str, str] | None = None,
        **options: str,
    ) -> Path:
        """A video of size (width, height).

        `times_ms` places the pictures where the rate is not even, `turned` is the rotation that a player must make,
        degrees against the clock, `pixel_shape` the width of a pixel by its height, `pixels` FFmpeg's name of how they
        are stored; `container` and `options` are its for the container and the encoder.
        """
        import av

        path = self._folder / name
        with av.open(str(path), "w", options=container or {}) as output:
            track = output.add_stream(codec, rate=fps)
            track.width, track.height, track.pix_fmt = *size, pixels
            track.thread_count = 1
            track.options = ({"preset": "ultrafast"} if codec == "libx264" else {}) | options
            track.codec_context.time_base = Fraction(1, 1000) if times_ms else Fraction(1, fps)
            if pixel_shape:
                track.codec_context.sample_aspect_ratio = pixel_shape
            if turned:
                track.set_display_rotation(turned)
            for index in range(count):
                frame = av.VideoFrame.from_ndarray(self.picture(index, size), format="bgr24")
                frame.pts = times_ms[index] if times_ms else index
                frame.time_base = track.codec_context.time_base
                output.mux(track.encode(frame))
            output.mux(track.encode(None))
        return path

    def segments(self, count: int = 100, **options: str) -> dict[str, bytes]:
        """The same video as HLS: `film.m3u8` and MPEG-TS segments of a second each; `options` are the muxer's."""
        import av

        folder = self._folder / f"hls{len(list(self._folder.iterdir()))}"
        folder.mkdir()
        options = {"hls_time": "1", "hls_list_size": "0"} | options
        playlist = str(folder / "film.m3u8")
        with av.open(str(self(count=count, g="25"))) as video, av.open(playlist, "w", "hls", options) as output:
            track = output.add_stream_from_template(video.streams.video[0])
            for packet in video.demux(video=0):
                if packet.size:
                    packet.stream = track
                    output.mux(packet)
        paths = sorted(folder.iterdir(), key=lambda path: (len(path.name), path.name))  # film2.ts before film10.ts
        return {path.name: path.read_bytes() for path in paths}

    @staticmethod
    def picture(index: int, size: tuple[int, int] = (320, 240)) -> np.ndarray:
        """Picture `index`: (H, W, 3) uint8, blue below the blocks."""
        width, height = size
        image = np.full((height, width, 3), (200, 60, 20), np.uint8)
        for bit in range(10):
            image[: height // 8, bit * width // 10 : (bit + 1) * width // 10] = 255 * (index >> bit & 1)
        return image

    @staticmethod
    def index_of(image: np.ndarray) -> int:
        """The number that a picture spells, also after it was encoded and scaled."""
        height, width = image.shape[:2]
        middles = [(2 * bit + 1) * width // 20 for bit in range(10)]
        return sum(1 << bit for bit, x in enumerate(middles) if image[height // 16, x].mean() > 127)


@pytest.fixture
def http_server() -> Iterator[Callable[..., HttpServer]]:
    """`http_server(answer)` serves on loopback; `answer(request)` gets the handler of each GET and writes to it."""
    servers: list[HttpServer] = []

    def serve(answer: Callable[[http.server.BaseHTTPRequestHandler], None], protocol: str = "HTTP/1.0") -> HttpServer:
        servers.append(HttpServer(answer, protocol))
        return servers[-1]

    yield serve
    for server in servers:
        server.close()


class HttpServer:
    """An HTTP server in threads. `url` has no path; `asked` are the paths and headers of the GETs so far."""

    def __init__(self, answer: Callable[[http.server.BaseHTTPRequestHandler], None], protocol: str) -> None:
        asked: list[tuple[str, dict[str, str]]] = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = protocol

            def do_GET(self) -> None:
                asked.append((self.path, dict(self.headers)))
                try:
                    answer(self)
                except OSError:  # the client went away
                    self.close_connection = True

            def log_message(self, *_: object) -> None: ...

        self.asked = asked
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.socket.close()


def send(request: http.server.BaseHTTPRequestHandler, body: bytes, status: int = 200, **headers: str) -> None:
    """A whole answer; `content_type="image/jpeg"` is a header."""
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name.replace("_", "-"), value)
    request.send_header("Content-Length", str(len(body)))
    request.end_headers()
    request.wfile.write(body)


@pytest.fixture
def rtsp_server() -> Iterator[Callable[..., RtspServer]]:
    """`rtsp_server(file=..., auth="user:password")` starts a real RTSP server on loopback and gives it.

    Without a file it serves a clock, a picture every `interval_s`. Skips where the Debian packages are not installed.
    """
    missing = _missing_for_rtsp()
    if missing:
        pytest.skip(f"the RTSP server needs Debian's gst-rtsp-server: {missing}")
    servers: list[RtspServer] = []

    def serve(
        file: Path | None = None, auth: str = "", record: bool = False, interval_s: float | None = None
    ) -> RtspServer:
        servers.append(RtspServer(file, auth, record, interval_s))
        servers[-1].start()
        return servers[-1]

    yield serve
    for server in servers:
        server.kill()


class RtspServer:
    """tests/integration/rtsp_server.py as a process. `url` holds the user and password, if it asks for them."""

    def __init__(self, file: Path | None, auth: str, record: bool = False, interval_s: float | None = None) -> None:
        self._file, self._auth, self._record, self.port = file, auth, record, free_port()
        self._interval_s = interval_s
        self._process: subprocess.Popen[str] | None = None
        self.url = f"rtsp://{auth + '@' if auth else ''}127.0.0.1:{self.port}/live"

    def start(self) -> None:
        """Start it, again too, on the same port; returns when it serves."""
        options = ["--port", str(self.port)]
        options += ["--file", str(self._file)] if self._file else []
        options += ["--auth", self._auth] if self._auth else []
        options += ["--record"] if self._record else []
        options += ["--interval", str(self._interval_s)] if self._interval_s else []
        self._process = subprocess.Popen([*_RTSP_SERVER, *options], stdout=subprocess.PIPE, text=True)
        assert select.select([self._process.stdout], [], [], 20)[0], "the RTSP server did not start within 20 s"
        assert self._process.stdout.readline() == "ready\n", "the RTSP server ended; its stderr says why"

    def kill(self) -> None:
        """SIGKILL: no goodbye to the clients."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process.stdout.close()
            self._process = None

    def pause(self) -> None:
        """It hangs: connections stay open, nothing comes."""
        os.kill(self._process.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self._process.pid, signal.SIGCONT)

    @staticmethod
    def clock_ns(image: np.ndarray) -> int:
        """When a picture of the clock was made, as time.monotonic_ns(), to the millisecond."""
        return _bits(image[8:24]) * 1_000_000

    @staticmethod
    def number(image: np.ndarray) -> int:
        """How many pictures the clock had made before this one."""
        return _bits(image[40:56])


def _bits(band: np.ndarray) -> int:
    blocks = band[:, 8:640:16].mean(axis=(0, 2))
    return sum(1 << bit for bit, block in enumerate(blocks) if block > 127)


_RTSP_SERVER = ("/usr/bin/python3", str(Path(__file__).parent / "integration" / "rtsp_server.py"))


def _missing_for_rtsp() -> str:
    """What keeps the RTSP server from running here; empty: nothing."""
    if not Path(_RTSP_SERVER[0]).exists():
        return f"no {_RTSP_SERVER[0]}"
    check = subprocess.run([*_RTSP_SERVER, "--check"], capture_output=True, text=True, timeout=60)
    return "" if check.returncode == 0 else check.stderr.strip().splitlines()[-1]
