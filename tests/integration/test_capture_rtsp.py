"""Network cameras: a real RTSP server on loopback."""

import itertools
import time

import numpy as np
import pytest
from reading import read

from capture.picture import NotYet, SourceLost
from capture.sources import open_source
from configs.errors import InputError
from configs.schema import SourceConfig


def read_until_lost(source, room):
    """The reason of the loss, and how long after the call it came, s."""
    began_s = time.monotonic()
    try:
        while time.monotonic() - began_s < 30:
            read(source, room)
    except SourceLost as lost:
        return str(lost), time.monotonic() - began_s
    pytest.fail("the source was not lost within 30 s")


def test_pictures_are_fresh_and_in_order(rtsp_server, room):
    server = rtsp_server()
    with open_source(SourceConfig(source=server.url)) as camera:
        assert camera.live
        assert camera.fps == pytest.approx(25, abs=1)
        made_ns, ages_ms = [], []
        for _ in range(50):
            picture = read(camera, room)
            made_ns.append(server.clock_ns(picture.image))
            ages_ms.append((picture.captured_ns - made_ns[-1]) / 1e6)
    assert all(earlier < later for earlier, later in itertools.pairwise(made_ns))
    assert 0 < np.median(ages_ms[10:]) < 500  # 43 ms on a quiet machine, 40 of them FFmpeg waiting for the next picture


def test_the_first_picture_does_not_wait_for_the_next_key_frame(rtsp_server, room):
    """The server sends one every 4 s."""
    began_s = time.monotonic()
    with open_source(SourceConfig(source=rtsp_server().url)) as camera:
        read(camera, room)
    assert time.monotonic() - began_s < 3  # 0.2 s and the server's start on a quiet machine


def test_a_served_film_shows_its_pictures(rtsp_server, room, clip):
    server = rtsp_server(file=clip(count=100))
    seen = []
    with open_source(SourceConfig(source=server.url)) as camera:
        while len(set(seen)) < 15 and len(seen) < 250:  # it stands still until its player runs
            seen.append(clip.index_of(read(camera, room).image))
    assert len(set(seen)) == 15
    assert seen == sorted(seen)


def test_a_killed_server_is_a_lost_source_and_comes_back(rtsp_server, room):
    server = rtsp_server(auth="me:s3cret")
    config = SourceConfig(source=server.url, read_timeout_s=2)
    with open_source(config) as camera:
        read(camera, room)
        server.kill()
        _, after_s = read_until_lost(camera, room)
        assert after_s < 3
    with pytest.raises(InputError, match="connection refused"):
        open_source(config)
    server.start()
    with open_source(config) as camera:
        assert read(camera, room).image.shape == (480, 640, 3)


def test_a_server_that_hangs_is_lost_after_the_read_timeout(rtsp_server, room):
    server = rtsp_server()
    with open_source(SourceConfig(source=server.url, read_timeout_s=1)) as camera:
        read(camera, room)
        server.pause()
        reason, after_s = read_until_lost(camera, room)
    assert reason == "no picture for 1 s"
    assert 0.9 < after_s < 3


def test_a_camera_slower_than_the_read_timeout_is_slow_and_not_lost(rtsp_server, room):
    server = rtsp_server(interval_s=1.5)
    pictures, waits = 0, 0
    with open_source(SourceConfig(source=server.url, read_timeout_s=0.5, open_timeout_s=2)) as camera:
        while pictures < 4:
            try:
                camera.read(room)
                pictures += 1
            except NotYet:
                waits += 1
    assert waits >= 3  # two in each interval


def test_a_server_that_hangs_from_the_start_is_refused_after_the_open_timeout(rtsp_server):
    server = rtsp_server()
    server.pause()
    began_s = time.monotonic()
    with pytest.raises(InputError, match="no answer within 1 s"):
        open_source(SourceConfig(source=server.url, open_timeout_s=1))
    assert time.monotonic() - began_s < 3


@pytest.mark.parametrize(
    ("user", "path", "reason"),
    [
        ("me:wr0ng-secret@", "/live", "401 unauthorized: user or password is wrong or missing"),
        ("me:s3cret@", "/other", "404 not found: the path of the URL is wrong"),
    ],
)
def test_a_refusal_is_one_line_without_the_password(rtsp_server, capfd, user, path, reason):
    port = rtsp_server(auth="me:s3cret").port
    with pytest.raises(InputError) as refusal:
        open_source(SourceConfig(source=f"rtsp://{user}127.0.0.1:{port}{path}"))
    assert str(refusal.value) == f"rtsp://***@127.0.0.1:{port}{path}: {reason}"
    assert "cret" not in "".join(capfd.readouterr())


def test_udp_transport(rtsp_server, room):
    with open_source(SourceConfig(source=rtsp_server().url, rtsp_transport="udp")) as camera:
        assert read(camera, room).image.shape == (480, 640, 3)
