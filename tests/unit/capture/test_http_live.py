"""What comes by HTTP without an end is live; MJPEG in all its forms."""

import time

import cv2
import numpy as np
import pytest
from http_answers import chunked, jpeg, multipart, opened, until_lost
from reading import read

from capture.kinds.mjpeg import MjpegCamera
from capture.kinds.network import NetworkCamera
from capture.picture import NotYet, SourceLost, Undecodable
from capture.still_scene import StillScene


@pytest.mark.parametrize(
    ("name", "container"),
    [("clip.ts", {}), ("clip.flv", {"flvflags": "no_duration_filesize"}),
     ("clip.mp4", {"movflags": "frag_keyframe+empty_moov"}), ("clip.mkv", {"live": "1"})],
)  # fmt: skip
def test_what_has_no_length_and_no_end_is_live(http_server, clip, room, name, container):
    codec = "libx264"
    server = http_server(chunked(clip(name, count=30, codec=codec, container=container).read_bytes()), "HTTP/1.1")
    with opened(server.url) as camera:
        assert isinstance(camera, NetworkCamera)
        assert camera.live
        assert [clip.index_of(camera.read(room).image) for _ in range(30)] == list(range(30))
        with pytest.raises(SourceLost, match="the stream ended"):
            camera.read(room)


def test_a_live_stream_that_falls_silent_is_lost(http_server, clip, room):
    data = clip("clip.ts", count=30).read_bytes()

    def answer(request):
        request.send_response(200)
        request.end_headers()
        request.wfile.write(data)
        time.sleep(10)

    with opened(http_server(answer).url, read_timeout_s=0.3) as camera:
        images, lost = until_lost(camera, room)
    assert len(images) > 20
    assert lost.startswith("nothing came for")


def test_mjpeg_without_a_boundary_before_the_first_part_is_shown(http_server, room):
    parts = [b"Content-Type: image/jpeg\r\n\r\n" + jpeg(grey) + b"\r\n--frame\r\n" for grey in (40, 80)]
    with opened(http_server(multipart(*parts)).url) as camera:
        assert isinstance(camera, MjpegCamera)
        assert [round(int(read(camera, room).image.mean()), -1) for _ in range(2)] == [40, 80]
        with pytest.raises(SourceLost, match="the stream ended"):
            camera.read(room)


def test_of_mjpeg_that_stands_still_what_is_not_due_is_skipped_and_what_differs_is_not(http_server, room, monkeypatch):
    monkeypatch.setattr("capture.still_scene.LOOK_S", 0.0)  # these pictures come all at once
    empty = np.full((48, 64, 3), 90, np.uint8)
    visited = cv2.rectangle(empty.copy(), (8, 8), (40, 40), (200, 200, 200), -1)
    bodies = [cv2.imencode(".jpg", image)[1].tobytes() for image in [empty] * 10 + [visited]]
    parts = [b"--frame\r\nContent-Type: image/jpeg\r\n\r\n" + body + b"\r\n" for body in [*bodies, bodies[0]]]
    with opened(http_server(multipart(*parts)).url) as camera:
        camera.still = StillScene(1, lambda: 0, lambda: 0)
        assert [round(int(read(camera, room).image[20, 20, 0]), -1) for _ in range(2)] == [90, 200]
        assert camera.still.taken() == 9


def test_mjpeg_that_falls_silent_is_lost_and_meanwhile_not_yet_there(http_server, room):
    part = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg(7)) + jpeg(7) + b"\r\n"

    def answer(request):
        multipart(*[part] * 5)(request)
        time.sleep(10)

    with opened(http_server(answer).url, read_timeout_s=1.2) as camera:
        for _ in range(5):
            read(camera, room)
        began_s = time.monotonic()
        with pytest.raises(NotYet):
            camera.read(room)
        with pytest.raises(SourceLost, match=r"no picture for 1\.2 s"):
            camera.read(room)
        assert 1.1 < time.monotonic() - began_s < 3


def test_a_slow_mjpeg_camera_is_slow_and_not_lost(http_server, room):
    part = b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg(7)) + jpeg(7) + b"\r\n"

    def answer(request):
        multipart(part)(request)
        for _ in range(3):
            time.sleep(0.5)
            request.wfile.write(part)

    with opened(http_server(answer).url, read_timeout_s=0.2) as camera:
        assert len([read(camera, room) for _ in range(4)]) == 4


def test_mjpeg_that_calls_itself_something_else_is_known_by_how_it_begins(http_server, room):
    parts = [b"--x\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg(7)) + jpeg(7)] * 2

    def answer(request):
        request.send_response(200)
        request.end_headers()
        request.wfile.write(b"".join(parts) + b"\r\n")

    with opened(http_server(answer).url) as camera:
        assert isinstance(camera, MjpegCamera)
        assert read(camera, room).image.shape == (48, 64, 3)


@pytest.mark.parametrize("head", [b"ICY 200 OK\r\n", b"HTTP/1.1 200 OK\r\nfoo\r\n", b"HTTP/1.0 200\n"])
def test_what_is_hardly_http_is_read_all_the_same(http_server, room, head):
    part = b"--x\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(jpeg(7)) + jpeg(7) + b"\r\n"

    def answer(request):
        request.wfile.write(head + b"Content-Type: multipart/x-mixed-replace;boundary=x\r\n\r\n")
        for _ in range(50):
            request.wfile.write(part)
            time.sleep(0.02)

    with opened(http_server(answer).url) as camera:
        assert camera.live
        assert [read(camera, room).image.shape for _ in range(3)] == [(48, 64, 3)] * 3


def test_a_broken_picture_of_mjpeg_is_counted_and_other_parts_are_passed_over(http_server, room):
    head = b"--frame\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"
    bodies = [(b"text/plain", b"motion"), (b"image/jpeg", jpeg(40)[:400]), (b"image/jpeg", jpeg(80))]
    parts = [head % (kind, len(body)) + body + b"\r\n" for kind, body in bodies]
    with opened(http_server(multipart(*parts)).url) as camera:
        with pytest.raises(Undecodable):
            camera.read(room)
        assert round(int(read(camera, room).image.mean()), -1) == 80
