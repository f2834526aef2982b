"""Cameras that give one image a request: when it is fetched, and what is no new picture."""

import time

import pytest
from conftest import send
from http_answers import jpeg, opened, until_lost
from reading import read

from capture.kinds.snapshot import SnapshotCamera
from capture.picture import NotYet, SourceLost, Undecodable


def snapshots(bodies, **headers):
    left = list(bodies)

    def answer(request):
        body = left.pop(0) if len(left) > 1 else left[0]
        if isinstance(body, int):
            send(request, b"", body)
        else:
            send(request, body, **({"Content_Type": "image/jpeg"} | headers))

    return answer


def test_snapshots_are_fetched_again_and_again_on_one_connection(http_server, room):
    server = http_server(snapshots([jpeg(40), jpeg(80), jpeg(120), jpeg(160)]), "HTTP/1.1")
    with opened(f"{server.url}/snap.jpg", fps=50) as camera:
        assert isinstance(camera, SnapshotCamera)
        assert camera.live
        assert [round(int(read(camera, room).image.mean()), -1) for _ in range(4)] == [40, 80, 120, 160]


def test_a_snapshot_url_is_told_by_what_it_answers_and_not_by_its_name(http_server):
    for headers in ({"Content_Type": "application/octet-stream"}, {"Content_Type": "IMAGE/JPEG; charset=x"}):
        with opened(f"{http_server(snapshots([jpeg(9)], **headers)).url}/cgi-bin/x") as camera:
            assert isinstance(camera, SnapshotCamera)


def test_snapshots_come_at_the_rate_that_was_asked_for(http_server, room):
    server = http_server(snapshots([jpeg(grey) for grey in range(0, 250, 10)]))
    began_s = time.monotonic()
    with opened(server.url, fps=20) as camera:
        for _ in range(5):
            read(camera, room)
    assert time.monotonic() - began_s >= 0.2
    assert len(server.asked) == 5


def test_an_image_that_did_not_change_is_no_new_picture(http_server, room):
    server = http_server(snapshots([jpeg(40), jpeg(40), 304, jpeg(80)], ETag='"x"'))
    with opened(server.url, fps=50) as camera:
        camera.read(room)
        waits = 0
        while True:
            try:
                picture = camera.read(room)
                break
            except NotYet:
                waits += 1
    assert waits == 2
    assert round(int(picture.image.mean()), -1) == 80
    assert server.asked[1][1]["If-None-Match"] == '"x"'


def test_a_broken_snapshot_is_counted_and_the_next_one_comes(http_server, room):
    server = http_server(snapshots([jpeg(40)[:400], jpeg(80)]))
    with opened(server.url, fps=50) as camera:
        with pytest.raises(Undecodable, match="not a whole image"):
            camera.read(room)
        assert read(camera, room).image.shape == (48, 64, 3)


def test_one_request_may_fail_but_a_camera_that_answers_none_is_lost(http_server, room):
    server = http_server(snapshots([jpeg(40), 503, jpeg(80), 404]))
    with opened(server.url, fps=50, read_timeout_s=0.3) as camera:
        assert [round(int(read(camera, room).image.mean()), -1) for _ in range(2)] == [40, 80]
        with pytest.raises(SourceLost, match="404 not found"):
            read(camera, room)


def test_a_snapshot_as_large_as_no_picture_is_not_held_in_memory(http_server, room):
    def answer(request):
        request.send_response(200)
        request.send_header("Content-Type", "image/jpeg")
        request.end_headers()
        for _ in range(80):
            request.wfile.write(jpeg(4)[:3] + bytes(2**20))

    with opened(http_server(answer).url, read_timeout_s=0.05) as camera:
        assert until_lost(camera, room) == ([], "more than 64 MB")
