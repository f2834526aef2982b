"""What an http URL is, its server says: a film, snapshots, MJPEG or a live stream; and how each of them breaks."""

import base64
import gzip
import hashlib
import itertools
import re
import time

import cv2
import numpy as np
import pytest
from conftest import send
from reading import read

from capture.http_file import HttpFile
from capture.http_film import HttpFilm, PlaylistFilm
from capture.mjpeg import MjpegCamera
from capture.network import NetworkCamera
from capture.snapshot import SnapshotCamera
from capture.sources import NotYet, SourceLost, Undecodable, open_source
from configs.errors import InputError
from configs.schema import SourceConfig


def jpeg(grey):
    return cv2.imencode(".jpg", np.full((48, 64, 3), grey, np.uint8))[1].tobytes()


def opened(url, start=0, **options):
    return open_source(SourceConfig(source=url, open_timeout_s=3, **({"read_timeout_s": 3} | options)), start)


def numbers(source, clip, room):
    return [clip.index_of(picture.image) for picture in iter(lambda: read(source, room), None)]


def until_lost(source, room):
    """All pictures until the source is lost, and why it is."""
    images = []
    while True:
        try:
            images.append(source.read(room).image.copy())
        except NotYet:
            continue
        except SourceLost as lost:
            return images, str(lost)


def films(path, ranges=True, breaks_at=()):
    """Answers with a film. `breaks_at`: how many bytes the first answers are short of what they promised."""
    data, breaks = path.read_bytes(), list(breaks_at)

    def answer(request):
        asked = re.match(r"bytes=(\d+)-", request.headers.get("Range", "") if ranges else "")
        begin = int(asked[1]) if asked else 0
        request.send_response(206 if asked else 200)
        request.send_header("Content-Length", str(len(data) - begin))
        if ranges:
            request.send_header("Accept-Ranges", "bytes")
        request.end_headers()
        short = breaks.pop(0) if breaks else 0
        request.wfile.write(data[begin : len(data) - short])
        time.sleep(0.2 if short else 0)  # so that the client reads what there is before it breaks

    return answer


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts"])
def test_a_film_is_every_picture_once_and_then_the_end(http_server, clip, room, name, ranges):
    server = http_server(films(clip(name, count=30), ranges))
    with opened(f"{server.url}/film") as film:
        assert isinstance(film, HttpFilm)
        assert not film.live
        assert numbers(film, clip, room) == list(range(30))
    with opened(f"{server.url}/film", start=20) as film:
        assert numbers(film, clip, room) == list(range(20, 30))


@pytest.mark.parametrize("ranges", [True, False])
def test_an_index_at_the_end_of_the_film_is_found(http_server, clip, room, ranges):
    path = clip(count=30, container={"movflags": "0"})
    assert path.read_bytes().find(b"moov") > path.read_bytes().find(b"mdat")
    with opened(http_server(films(path, ranges)).url) as film:
        assert numbers(film, clip, room) == list(range(30))


@pytest.mark.parametrize("ranges", [True, False])
def test_a_connection_that_breaks_is_taken_up_again(http_server, clip, room, ranges):
    path = clip("clip.ts", count=200)
    size = path.stat().st_size
    server = http_server(films(path, ranges, breaks_at=[size * 3 // 4, size // 3]))
    with opened(server.url) as film:
        assert numbers(film, clip, room) == list(range(200))
    assert len(server.asked) >= 3


def test_a_film_whose_server_stays_away_is_lost_and_not_ended_and_goes_on_at_its_place(http_server, clip, room):
    path = clip(count=200, container={"movflags": "faststart"})
    fine, there = films(path), [True]

    def answer(request):
        if there:
            films(path, breaks_at=[path.stat().st_size // 2])(request)
            there.clear()
        else:
            send(request, b"", 503)

    server = http_server(answer)
    with opened(server.url, read_timeout_s=0.3) as film:
        seen, lost = until_lost(film, room)
    seen = [clip.index_of(image) for image in seen]
    assert "503" in lost
    assert 20 < len(seen) < 200
    server = http_server(fine)
    with opened(server.url, start=len(seen)) as film:
        assert seen + numbers(film, clip, room) == list(range(200))


def test_a_film_plays_in_a_loop_and_in_real_time(http_server, clip, room):
    server = http_server(films(clip(count=5)))
    with opened(server.url, loop=True) as film:
        seen = [clip.index_of(film.read(room).image) for _ in range(12)]
    assert seen == [*range(5), *range(5), 0, 1]
    with opened(server.url, realtime=True) as film:
        assert film.live
        due_ns = [picture.captured_ns for picture in iter(lambda: film.read(room), None)]
    assert [round((later - earlier) / 1e6) for earlier, later in itertools.pairwise(due_ns)] == [40] * 4


def test_another_film_at_the_same_address_is_not_read_on(http_server, clip):
    data = clip(count=100).read_bytes()
    answers = iter(["one", "two"])

    def answer(request):
        send(request, data, ETag=next(answers))

    server = http_server(answer)
    with opened(server.url) as film:
        file: HttpFile = film._file
        file.seek(0)
        assert file.read(1000) == b""
        assert file.broke == "the film at this address is another one now"


def parts_of(files, trouble=None):
    """Answers with files by name and range; `trouble(request, name)` may answer in its place, then it says True."""

    def answer(request):
        name = request.path.strip("/")
        if trouble and trouble(request, name):
            return
        asked = re.match(r"bytes=(\d+)-", request.headers.get("Range", ""))
        begin = int(asked[1]) if asked else 0
        send(request, files[name][begin:], 206 if asked else 200)

    return answer


@pytest.mark.parametrize("options", [{}, {"hls_flags": "single_file"}, {"hls_segment_type": "fmp4"}])
def test_an_hls_film_is_every_picture_once_and_then_the_end(http_server, clip, room, options):
    server = http_server(parts_of(clip.segments(75, **options)))
    with opened(f"{server.url}/film.m3u8", start=10) as film:
        assert isinstance(film, PlaylistFilm)
        assert not film.live
        assert numbers(film, clip, room) == list(range(10, 75))


def test_a_master_playlist_leads_to_the_film(http_server, clip, room):
    files = clip.segments(50)
    files["all.m3u8"] = b"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=500000\nfilm.m3u8\n"
    with opened(f"{http_server(parts_of(files)).url}/all.m3u8") as film:
        assert numbers(film, clip, room) == list(range(50))


def test_a_film_in_encrypted_segments_is_left_to_ffmpeg(http_server, clip, room, tmp_path):
    (tmp_path / "key").write_bytes(bytes(range(16)))
    (tmp_path / "info").write_text(f"key\n{tmp_path / 'key'}\n")
    files = clip.segments(50, hls_key_info_file=str(tmp_path / "info")) | {"key": bytes(range(16))}
    with opened(f"{http_server(parts_of(files)).url}/film.m3u8") as film:
        assert numbers(film, clip, room) == list(range(50))


def test_a_segment_that_breaks_off_is_taken_up_again(http_server, clip, room):
    files, broken = clip.segments(100), []

    def breaks_once(request, name):
        if name not in ("film1.ts", "film2.ts") or name in broken:
            return False
        broken.append(name)
        request.send_response(200)
        request.send_header("Content-Length", str(len(files[name])))
        request.end_headers()
        request.wfile.write(files[name][: len(files[name]) // 2])
        time.sleep(0.2)
        return True

    with opened(f"{http_server(parts_of(files, breaks_once)).url}/film.m3u8") as film:
        assert numbers(film, clip, room) == list(range(100))
    assert broken == ["film1.ts", "film2.ts"]


def test_an_hls_film_whose_server_fails_is_lost_and_not_ended(http_server, clip, room):
    def fails(request, name):
        if name == "film3.ts":
            send(request, b"", 503)
        return name == "film3.ts"

    server = http_server(parts_of(clip.segments(125), fails))
    with opened(f"{server.url}/film.m3u8", read_timeout_s=0.3) as film:
        images, lost = until_lost(film, room)
    assert "503" in lost
    assert [clip.index_of(image) for image in images] == list(range(len(images)))
    assert 50 <= len(images) <= 75


def test_a_segment_that_the_server_does_not_have_is_said_and_passed_over(http_server, clip, room, caplog):
    def lacks(request, name):
        if name == "film2.ts":
            send(request, b"", 404)
        return name == "film2.ts"

    server = http_server(parts_of(clip.segments(125), lacks))
    with opened(f"{server.url}/film.m3u8") as film:
        seen = numbers(film, clip, room)
    assert set(seen) <= {*range(50), *range(75, 125)}
    assert len(seen) >= 90
    assert "does not have all segments" in caplog.text


def chunked(*bodies):
    def answer(request):
        request.send_response(200)
        request.send_header("Transfer-Encoding", "chunked")
        request.end_headers()
        for body in bodies:
            for begin in range(0, len(body), 9000):
                chunk = body[begin : begin + 9000]
                request.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        request.wfile.write(b"0\r\n\r\n")

    return answer


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


def test_a_film_that_is_sent_compressed_is_a_film(http_server, clip, room):
    data = gzip.compress(clip(count=30, container={"movflags": "faststart"}).read_bytes())
    server = http_server(lambda request: send(request, data, Content_Encoding="gzip"))
    with opened(server.url) as film:
        assert not film.live
        assert numbers(film, clip, room) == list(range(30))


@pytest.mark.parametrize(("name", "container"), [("clip.mp4", {"movflags": "faststart"}), ("clip.mkv", {})])
def test_a_film_without_a_length_is_one_if_its_container_tells_an_end(http_server, clip, room, name, container):
    server = http_server(chunked(clip(name, count=30, container=container).read_bytes()), "HTTP/1.1")
    with opened(server.url) as film:
        assert not film.live
        assert numbers(film, clip, room) == list(range(30))


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


def multipart(*parts, boundary="frame"):
    def answer(request):
        request.send_response(200)
        request.send_header("Content-Type", f"multipart/x-mixed-replace; boundary={boundary}")
        request.end_headers()
        for part in parts:
            request.wfile.write(part)
            time.sleep(0.02)

    return answer


def test_mjpeg_without_a_boundary_before_the_first_part_is_shown(http_server, room):
    parts = [b"Content-Type: image/jpeg\r\n\r\n" + jpeg(grey) + b"\r\n--frame\r\n" for grey in (40, 80)]
    with opened(http_server(multipart(*parts)).url) as camera:
        assert isinstance(camera, MjpegCamera)
        assert [round(int(read(camera, room).image.mean()), -1) for _ in range(2)] == [40, 80]
        with pytest.raises(SourceLost, match="the stream ended"):
            camera.read(room)


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


def challenged(challenge, accepts):
    def answer(request):
        if accepts(request.headers.get("Authorization", "")):
            send(request, jpeg(40), Content_Type="image/jpeg")
        else:
            send(request, b"", 401, WWW_Authenticate=challenge)

    return answer


def digest(algorithm, user, password):
    """Whether an Authorization header is the right answer to nonce `n` of realm `cam`, for GET /snap.jpg."""

    def accepts(header):
        said = dict(re.findall(r'(\w+)="?([^",]+)"?', header))

        def of(text):
            return hashlib.new(algorithm, text.encode()).hexdigest()

        secret, asked = of(f"{user}:cam:{password}"), of(f"GET:{said.get('uri')}")
        middle = f"n:{said.get('nc')}:{said.get('cnonce')}:auth"
        return said.get("response") == of(f"{secret}:{middle}:{asked}")

    return accepts


@pytest.mark.parametrize(
    ("challenge", "accepts"),
    [
        ('Basic realm="cam"', lambda said: said == "Basic " + base64.b64encode(b"me:pa ss@1").decode()),
        ('Digest realm="cam", nonce="n", qop="auth"', digest("md5", "me", "pa ss@1")),
        ('Digest realm="cam", nonce="n", qop="auth", algorithm=SHA-256', digest("sha256", "me", "pa ss@1")),
    ],
)
def test_user_and_password_are_given_when_they_are_asked_for(http_server, room, challenge, accepts):
    server = http_server(challenged(challenge, accepts))
    with opened(f"{server.url.replace('//', '//me:pa%20ss%401@')}/snap.jpg") as camera:
        assert read(camera, room).image.shape == (48, 64, 3)
    assert "Authorization" not in server.asked[0][1]
    with pytest.raises(InputError, match=r"//\*\*\*@.*: 401 unauthorized") as refusal:
        opened(f"{server.url.replace('//', '//me:wr0ng@')}/snap.jpg")
    assert (refusal.value.status, refusal.value.challenges) == (401, [challenge])


def redirects(to):
    def answer(request):
        request.send_response(302)
        request.send_header("Location", to)
        request.end_headers()

    return answer


def test_redirects_are_followed_and_the_password_is_not_given_to_another_server(http_server, room):
    other = http_server(challenged('Basic realm="x"', lambda said: said != ""))
    server = http_server(redirects(f"{other.url.replace('127.0.0.1', 'localhost')}/snap.jpg"))
    with pytest.raises(InputError, match="401"):
        opened(server.url.replace("//", "//me:s3cret@"))
    assert all("Authorization" not in headers for _, headers in other.asked)


def empty(request):
    send(request, b"")


def silent(request):
    request.send_response(200)
    request.end_headers()
    time.sleep(10)


def closes(request):
    request.close_connection = True


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (empty, "the answer is empty"),
        (silent, "it answers, but sends nothing"),
        (closes, "the server ends the connection without an answer"),
        (redirects("/x"), "it redirects again and again"),
        (redirects("rtsp://127.0.0.1/x"), "it redirects to what is no http URL"),
        (lambda request: send(request, b"", 404), "404 not found: the path of the URL is wrong"),
        (lambda request: send(request, b"", 403), "403 forbidden: this user may not see it"),
        (lambda request: send(request, b"", 503), "the server says 503 Service Unavailable"),
        (lambda request: send(request, b"<svg/>", Content_Type="image/svg+xml"), "image/svg+xml is no image"),
        (lambda request: send(request, b'<?xml version="1.0"?><MPD>', Content_Type="text/xml"), "a DASH playlist"),
        (lambda request: send(request, b"<html>login", Content_Type="text/html"), ""),
        (lambda request: send(request, b'{"error": 1}' * 99, Content_Type="application/json"), ""),
        (lambda request: send(request, bytes(100_000)), ""),
    ],
)
def test_what_is_no_picture_is_refused_in_one_line(http_server, capfd, answer, said):
    server = http_server(answer)
    began_s = time.monotonic()
    with pytest.raises(InputError) as refusal:
        open_source(SourceConfig(source=server.url.replace("//", "//me:s3cret@") + "/x", open_timeout_s=0.5))
    assert str(refusal.value).startswith(f"{server.url.replace('//', '//***@')}/x: {said}")
    assert "\n" not in str(refusal.value)
    assert time.monotonic() - began_s < 5
    assert "".join(capfd.readouterr()) == ""


def test_a_snapshot_as_large_as_no_picture_is_not_held_in_memory(http_server, room):
    def answer(request):
        request.send_response(200)
        request.send_header("Content-Type", "image/jpeg")
        request.end_headers()
        for _ in range(80):
            request.wfile.write(jpeg(4)[:3] + bytes(2**20))

    with opened(http_server(answer).url, read_timeout_s=0.05) as camera:
        assert until_lost(camera, room) == ([], "more than 64 MB")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"realtime": True}, "realtime is for films"),
        ({"loop": True}, "loop is for films"),
        ({"fps": 2.0}, "fps is for"),
    ],
)
def test_options_that_do_not_fit_what_is_sent_are_refused(http_server, options, said):
    part = b"--frame\r\nContent-Type: image/jpeg\r\n\r\n" + jpeg(1) + b"\r\n"
    with pytest.raises(InputError, match=said):
        opened(http_server(multipart(part)).url, **options)
