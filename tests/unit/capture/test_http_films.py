"""Films by URL: every picture once, whatever becomes of the connection."""

import gzip
import itertools

import pytest
from conftest import send
from http_answers import chunked, films, numbers, opened, until_lost

from capture.http_file import HttpFile
from capture.kinds.http_film import HttpFilm
from capture.picture import Place


@pytest.mark.parametrize("ranges", [True, False])
@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.ts"])
def test_a_film_is_every_picture_once_and_then_the_end(http_server, clip, room, name, ranges):
    server = http_server(films(clip(name, count=30), ranges))
    with opened(f"{server.url}/film") as film:
        assert isinstance(film, HttpFilm)
        assert not film.live
        assert numbers(film, clip, room) == list(range(30))
    with opened(f"{server.url}/film", Place(20)) as film:
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
    with opened(server.url, Place(len(seen))) as film:
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
