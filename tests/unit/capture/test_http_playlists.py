"""HLS with an end: films in segments, whole, broken off, encrypted or missing."""

import time

import pytest
from conftest import send
from http_answers import numbers, opened, parts_of, until_lost

from capture.kinds.http_film import PlaylistFilm
from capture.picture import Place


@pytest.mark.parametrize("options", [{}, {"hls_flags": "single_file"}, {"hls_segment_type": "fmp4"}])
def test_an_hls_film_is_every_picture_once_and_then_the_end(http_server, clip, room, options):
    server = http_server(parts_of(clip.segments(75, **options)))
    with opened(f"{server.url}/film.m3u8", Place(10)) as film:
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
