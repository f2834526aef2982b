"""The windows of a run with several overlays: the newest picture of each stream, and none of a stream that is gone."""

import time
from contextlib import ExitStack, closing

import numpy as np
import pytest
import zmq

from overlay.show_windows import Shown, _waiting
from overlay.sinks import window_feed
from overlay.sinks.window_feed import PICTURE, STREAMS, WindowFeed, feed_address
from transport.frame import Frame


class Windows:
    """Notes down what is shown."""

    def __init__(self):
        self.streams, self.shown, self.away = [], [], {}

    def show(self, stream, picture):
        self.streams = [*dict.fromkeys([*self.streams, stream])]
        self.shown.append((stream, int(picture[0, 0, 0])))

    def idle(self, silent_s):
        self.away = silent_s

    def ended(self, stream):
        self.streams.remove(stream)


@pytest.fixture
def feeds(tmp_path):
    """Two overlays, and what the windows hear of them."""
    with ExitStack() as stack:
        context = zmq.Context()
        stack.callback(context.destroy, linger=0)
        overlays, links = {}, {}
        for name in ("overlay.1", "overlay.2"):
            address = feed_address(f"ipc://{tmp_path}/", name)
            overlays[name] = stack.enter_context(closing(WindowFeed(address)))
            links[name] = context.socket(zmq.SUB)
            for topic in (PICTURE, STREAMS):
                links[name].subscribe(topic)
            links[name].connect(address)
        deadline = time.monotonic() + 10
        while not all(overlay._feed.wanted(0.1) for overlay in overlays.values()):
            assert time.monotonic() < deadline
        yield overlays, links


def show(overlay, stream, value):
    image = np.full((4, 6, 3), value, np.uint8)
    overlay.show(Frame(stream, value, 0, image), image, 1.0)


def heard(links, count):
    """So many messages, with the overlay that each is of."""
    told, deadline = [], time.monotonic() + 10
    while len(told) < count:
        assert time.monotonic() < deadline
        told += [(name, message) for name, link in links.items() if link.poll(100) for message in _waiting(link)]
    return told


def test_the_newest_picture_of_each_stream_of_all_overlays_is_shown(feeds, monkeypatch):
    (first, second), links = feeds[0].values(), feeds[1]
    windows = Windows()
    known = Shown(windows)
    monkeypatch.setattr(window_feed, "FPS", 1e9)
    show(first, "door", 1)
    show(first, "door", 2)
    show(second, "yard", 3)
    known.take(heard(links, 3))
    assert sorted(windows.shown) == [("door", 2), ("yard", 3)]


def test_a_stream_that_an_overlay_no_longer_names_has_no_window_and_a_silent_one_is_away(feeds):
    (first, second), links = feeds[0].values(), feeds[1]
    windows = Windows()
    known = Shown(windows)
    show(first, "door", 1)
    show(second, "yard", 2)
    known.take(heard(links, 2))
    assert sorted(windows.streams) == ["door", "yard"]
    first.ended("door")
    second.idle({"yard": 3.5})
    known.take(heard(links, 2))
    assert windows.streams == ["yard"]
    assert windows.away == {"yard": 3.5}
