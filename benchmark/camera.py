"""A camera of our own, MJPEG over HTTP, that goes away and comes back when we want it to."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import numpy as np

FPS = 10.0
SIZE = (320, 240)  # px
PICTURES = 50  # then the first one comes again
_HEAD = b"--picture\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"


class Camera:
    """Serves a bar that moves over a grey picture to whoever asks, on a port of loopback. Use it in a `with` block."""

    def __init__(self) -> None:
        self._jpegs = [_jpeg(number) for number in range(PICTURES)]
        self._server: _Server | None = None
        self._port = 0

    @property
    def url(self) -> str:
        """Where its stream is, also while it is away."""
        return f"http://127.0.0.1:{self._port}/camera"

    def come(self) -> None:
        """Be there, at the same port as before."""
        self._server = _Server(self._port, self._jpegs)
        self._port = self._server.server_address[1]

    def go_away(self) -> None:
        """Close all connections; new ones are refused."""
        if self._server is not None:
            self._server.close()
            self._server = None

    def __enter__(self) -> Camera:
        self.come()
        return self

    def __exit__(self, *_: object) -> None:
        self.go_away()


class _Server(ThreadingHTTPServer):
    """One life of the camera."""

    daemon_threads = True

    def __init__(self, port: int, jpegs: list[bytes]) -> None:
        self.jpegs, self.closing = jpegs, threading.Event()
        self._clients: set[socket.socket] = set()
        super().__init__(("127.0.0.1", port), _Answer)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,), name="camera", daemon=True)
        self._thread.start()

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        client, address = super().get_request()
        self._clients.add(client)
        return client, address

    def shutdown_request(self, request: socket.socket | tuple[bytes, socket.socket]) -> None:
        self._clients.discard(request)  # type: ignore[arg-type]  # the other kind is of UDP
        super().shutdown_request(request)

    def close(self) -> None:
        self.closing.set()
        self.shutdown()
        self._thread.join()
        self.server_close()
        for client in list(self._clients):
            with contextlib.suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: object, client_address: object) -> None:
        """A viewer that went is none of our business."""


class _Answer(BaseHTTPRequestHandler):
    server: _Server

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=picture")
        self.end_headers()
        number = 0
        while not self.server.closing.wait(1 / FPS - time.monotonic() % (1 / FPS)):
            jpeg = self.server.jpegs[number % len(self.server.jpegs)]
            self.wfile.write(_HEAD % len(jpeg) + jpeg + b"\r\n")
            number += 1

    def log_message(self, format: str, *args: object) -> None:
        """Standard error is for what goes on."""


def _jpeg(number: int) -> bytes:
    width, height = SIZE
    picture = np.full((height, width, 3), 90, np.uint8)
    left = number * width // PICTURES
    picture[:, left : left + 20] = 200
    return cv2.imencode(".jpg", picture)[1].tobytes()
