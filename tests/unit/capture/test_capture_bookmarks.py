"""Where a film goes on after a death: the same pictures at the same times as without one, from the key frame before."""

import itertools
import logging
import zlib
from pathlib import Path

import pytest
from conftest import send
from http_answers import films, opened, parts_of
from made_films import joined
from reading import read

from capture import http_file
from capture.decoder import Decoder
from capture.kinds import film
from capture.kinds.film import Film
from capture.picture import NotYet, Place, SourceLost

CASES = Path(__file__).resolve().parents[3] / ".." / "shared" / "cases" / "files"
SHORT = {"g": "10", "bf": "3", "preset": "medium"}  # a key frame every 10 pictures, and pictures out of order
UNEVEN_MS = list(itertools.accumulate([40, 50, 7, 933, 40, 41, 39, 200] * 12))
NO_WAY = "no key frame leads back"


@pytest.fixture(autouse=True)
def every_key_frame_is_marked(monkeypatch):
    monkeypatch.setattr(film, "_BOOKMARK_EVERY_S", 0)
    monkeypatch.setattr(film, "_TICK_S", 0)  # what is passed over is told of at once


@pytest.fixture
def decoded(monkeypatch):
    """Counts the pictures that are decoded, whoever does it."""
    count, note = [0], Decoder._note
    monkeypatch.setattr(
        Decoder, "_note", lambda self, frame: (count.__setitem__(0, count[0] + 1), note(self, frame))[1]
    )
    return count


def play(source, room, most=10_000):
    """Checksum, position, damage and bookmark of each picture that is left, up to so many."""
    with source:
        pictures = itertools.islice(iter(lambda: read(source, room), None), most)
        return [(zlib.crc32(p.image), p.media_ms, p.corrupt, p.bookmark) for p in pictures]


def bookmarks(whole):
    """All that came with the pictures of a film, as (number of the picture, bookmark)."""
    return [(number, picture[3]) for number, picture in enumerate(whole) if picture[3]]


def goes_on_exactly(reopened, whole, marked, room):
    """Whether a film that is opened at each of these bookmarks, and some pictures later, gives what is left of it."""
    for number, bookmark in marked:
        for count in {number, number + 1, min(number + 13, len(whole)), len(whole)}:
            rest = play(reopened(Place(count, ((number, bookmark),))), room)
            assert [picture[:3] for picture in rest] == [picture[:3] for picture in whole[count:]], (number, count)


MADE = {
    "b-frames.mp4": {},
    "late.mp4": {"container": {"output_ts_offset": "3600"}},
    "uneven.mp4": {"times_ms": UNEVEN_MS},
    "fragments.mp4": {"container": {"movflags": "frag_keyframe+empty_moov"}},
    "open.mp4": {"x264-params": "open-gop=1"},
    "turned.mp4": {"turned": 90},
    "a.mov": {},
    "a.mkv": {},
    "late-uneven.mkv": {"times_ms": UNEVEN_MS, "container": {"output_ts_offset": "3600"}},
    "a.flv": {},
    "a.ts": {},
    "late.ts": {"container": {"output_ts_offset": "3600"}},
    "a.avi": {"codec": "mpeg4", "bf": "2", "preset": None},
    "a.webm": {"codec": "libvpx", "deadline": "realtime", "bf": None, "preset": None},
    "all-keys.mov": {"codec": "mjpeg", "pixels": "yuvj420p", "bf": None, "preset": None},
    "raw.h264": {},
}


@pytest.mark.parametrize("name", MADE)
def test_a_film_goes_on_from_the_key_frame_before_exactly(clip, room, decoded, caplog, name):
    options = {key: value for key, value in (SHORT | MADE[name]).items() if value is not None}
    path = clip(name, count=len(UNEVEN_MS), **options)
    whole = play(Film(path), room)
    marked = bookmarks(whole)
    assert len(whole) == len(UNEVEN_MS)
    assert len(marked) >= 9
    with caplog.at_level(logging.INFO, "capture"):
        goes_on_exactly(lambda place: Film(path, place=place), whole, marked[:: max(1, len(marked) // 10)], room)
    assert NO_WAY not in caplog.text
    decoded[0] = 0
    number, bookmark = marked[-1]
    Film(path, place=Place(number, ((number, bookmark),))).close()
    assert decoded[0] < 25  # the first picture, and those of the way from a key frame


def test_a_loop_goes_on_in_its_round(clip, room, decoded):
    path = clip(count=30, **SHORT)
    whole = play(Film(path, loop=True), room, most=100)
    marked = bookmarks(whole)
    decoded[0] = 0
    for number, bookmark in (marked[-1], marked[5], marked[1]):
        place = Place(number + 4, ((number, bookmark),))
        rest = play(Film(path, loop=True, place=place), room, most=96 - number)
        assert [picture[:3] for picture in rest] == [picture[:3] for picture in whole[number + 4 :]]
    assert decoded[0] < 3 * 25 + sum(100 - number for number, _ in (marked[-1], marked[5], marked[1]))


def test_a_recorder_that_began_anew_is_no_hindrance(clip, room, caplog):
    """Other ids, a clock that begins again at the same time, another size: all in one file."""
    parts = [
        clip("1.ts", count=30, **SHORT),
        clip("2.ts", count=30, container={"mpegts_start_pid": "512", "mpegts_pmt_start_pid": "768"}, **SHORT),
        clip("3.ts", count=30, container={"mpegts_start_pid": "900"}, size=(640, 360), **SHORT),
    ]
    path = joined("restarted.ts", *parts)
    whole = play(Film(path), room)
    assert len(bookmarks(whole)) == 8
    with caplog.at_level(logging.INFO, "capture"):
        goes_on_exactly(lambda place: Film(path, place=place), whole, bookmarks(whole), room)
    assert NO_WAY not in caplog.text


def test_the_same_time_twice_is_told_apart_by_where_it_lies(clip, room, caplog):
    path = joined("twice.ts", clip("1.ts", count=30, **SHORT), clip("2.ts", count=30, **SHORT))
    whole = play(Film(path), room)
    with caplog.at_level(logging.INFO, "capture"):
        goes_on_exactly(lambda place: Film(path, place=place), whole, bookmarks(whole), room)
    assert NO_WAY not in caplog.text


@pytest.mark.parametrize("name", sorted(path.name for path in CASES.glob("v*")) or [""])
def test_films_of_the_field_go_on_exactly(room, name):
    if not name or name in ("v13_audio.mp4", "v24_cut_nomoov.mp4", "v17_8k.mp4"):
        pytest.skip("no pictures in it, or too large for a room of a test")
    whole = play(Film(CASES / name), room)
    marked = bookmarks(whole)
    goes_on_exactly(lambda place: Film(CASES / name, place=place), whole, marked[:1] + marked[-1:], room)


def test_what_a_bookmark_leads_to_is_looked_at_and_if_it_is_another_picture_all_is_decoded_again(clip, room, caplog):
    path, other = clip(count=60, **SHORT), clip("other.mp4", count=60, **SHORT)
    whole, marked = play(Film(path), room), bookmarks(play(Film(other), room))
    number, bookmark = marked[3]
    wrong = film.decode(bookmark)
    wrong = film.Bookmark(wrong.frame, wrong.checksum ^ 1, wrong.count, wrong.damaged, wrong.before, wrong.began_ms)
    with caplog.at_level(logging.INFO, "capture"):
        rest = play(Film(path, place=Place(47, ((number, wrong.encode()),))), room)
    assert [picture[:3] for picture in rest] == [picture[:3] for picture in whole[47:]]
    assert [NO_WAY in record.getMessage() for record in caplog.records] == [True]
    caplog.clear()
    with caplog.at_level(logging.INFO, "capture"):
        rest = play(Film(path, place=Place(47, ((number, wrong.encode()), marked[2]))), room)
    assert [picture[:3] for picture in rest] == [picture[:3] for picture in whole[47:]]
    assert not caplog.records  # the bookmark before it leads there


def test_where_all_is_decoded_again_it_says_meanwhile_that_there_is_nothing_yet(clip, room):
    source, waits = Film(clip(count=40), place=Place(30)), 0
    while True:
        try:
            picture = source.read(room)
            break
        except NotYet:
            waits += 1
    assert clip.index_of(picture.image) == 30
    assert waits == 30


@pytest.mark.parametrize("ranges", [True, False])
def test_a_film_by_url_goes_on_by_asking_for_a_part_of_it_if_the_server_gives_parts(
    http_server, clip, room, caplog, ranges, monkeypatch
):
    monkeypatch.setattr(http_file, "_READ_OVER", 0)
    path = clip("film.nut", 100, codec="rawvideo")
    assert path.stat().st_size > 10_000_000
    server = http_server(films(path, ranges))
    whole = play(opened(server.url), room)
    marked, sent = bookmarks(whole), len(server.asked)
    with caplog.at_level(logging.INFO, "capture"):
        rest = play(opened(server.url, Place(95, marked[90:91])), room)
    assert [picture[:3] for picture in rest] == [picture[:3] for picture in whole[95:]]
    asked = [headers.get("Range", "") for _, headers in server.asked[sent:]]
    assert (NO_WAY in caplog.text) != ranges
    assert any(begin for begin in asked) == ranges


@pytest.mark.parametrize("options", [{}, {"hls_segment_type": "fmp4"}])
def test_a_playlist_goes_on_in_the_segment_of_its_place(http_server, clip, room, caplog, options):
    server = http_server(parts_of(clip.segments(150, **options)))
    whole = play(opened(f"{server.url}/film.m3u8"), room)
    marked, sent = bookmarks(whole), len(server.asked)
    with caplog.at_level(logging.INFO, "capture"):
        rest = play(opened(f"{server.url}/film.m3u8", Place(140, marked[-1:])), room)
    assert [picture[:3] for picture in rest] == [picture[:3] for picture in whole[140:]]
    assert NO_WAY not in caplog.text
    assert not [path for path, _ in server.asked[sent:] if "film2." in path or "film3." in path]


def test_a_film_whose_server_is_away_when_it_goes_on_is_lost_and_no_refusal(http_server, clip, room):
    path, away = clip(count=60, **SHORT), []

    def answer(request):
        send(request, b"", 503) if away else films(path)(request)

    server = http_server(answer)
    source = opened(server.url, loop=True, read_timeout_s=0.2)
    for _ in range(60):
        read(source, room)
    away.append(True)
    with source, pytest.raises(SourceLost, match="503"):
        read(source, room)
