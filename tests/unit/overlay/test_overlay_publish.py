"""What is published of a stream that ends, and of one that comes under its name."""

import threading
from typing import ClassVar

import numpy as np

from overlay.sinks import publish
from overlay.sinks.publish import PublishSink
from transport.frame import Frame

IMAGE = np.full((48, 64, 3), 90, np.uint8)


class Publisher:
    """Stands in for the thread that sends to a server."""

    started: ClassVar[list[str]] = []

    def __init__(self, stream, url, width, height):
        self.url, self.closing = url, threading.Event()

    def start(self):
        self.started.append(self.url)

    def is_alive(self):
        return not self.closing.is_set()

    def join(self, timeout):
        assert self.closing.is_set()


def test_a_stream_that_ended_is_published_no_more_and_one_of_its_name_anew(monkeypatch):
    monkeypatch.setattr(publish, "_Publisher", Publisher)
    sink = PublishSink("rtsp://host/a", first="door")
    for stream in ("door", "hall"):
        sink.show(Frame(stream, 0, 0, IMAGE), IMAGE, 1.0)
    sink.ended("hall")
    sink.show(Frame("hall", 0, 0, IMAGE), IMAGE, 1.0)
    assert Publisher.started == ["rtsp://host/a", "rtsp://host/a/hall", "rtsp://host/a/hall"]
    for _ in range(50):
        sink.ended("hall")
        sink.show(Frame("hall", 0, 0, IMAGE), IMAGE, 1.0)
    assert len(sink._leaving) <= 1
    sink.close()
