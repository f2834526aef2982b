"""`fps` of a source: so many pictures a second are looked at, the others are counted and nothing else."""

import numpy as np
import pytest
from made_films import joined
from reading import read

from capture.kinds.demo import Demo
from capture.kinds.film import Film
from capture.picture import Place
from capture.realtime import Realtime
from capture.sieve import Sieve
from capture.sources import check_source
from configs.errors import InputError
from configs.schema import SourceConfig


def looked_at(source, room):
    """(media_ms, skipped before it) of each picture; of the end (None, skipped before it)."""
    with source:
        pictures = []
        while (picture := read(source, room)) is not None:
            pictures.append((round(picture.media_ms), source.skipped()))
        return [*pictures, (None, source.skipped())]


@pytest.mark.parametrize(("rate", "fps", "kept"), [(25, 5, 5), (30, 10, 10), (25, 12.5, 12.5), (29.97, 30, 29.97)])
def test_the_rate_is_kept_to(rate, fps, kept):
    sieve = Sieve(fps)
    assert sum(sieve.keeps(number / rate) for number in range(round(100 * rate))) == pytest.approx(100 * kept, abs=1)


def test_a_clock_that_trembles_costs_no_interval():
    rng, sieve = np.random.default_rng(1), Sieve(5)
    kept = [n / 25 for n in range(2500) if sieve.keeps(n / 25 + rng.uniform(-0.005, 0.005))]
    assert len(kept) == 500
    assert max(np.diff(kept)) < 0.25


def test_of_a_film_it_means_the_films_own_time(clip, room):
    film = clip(count=50)
    kept = [(0, 0)] + [(200 * number, 4) for number in range(1, 10)]
    assert looked_at(Film(film, fps=5), room) == [*kept, (None, 4)]


def test_of_a_film_at_its_own_rate_they_are_counted_too(clip, room):
    with Realtime(Film(clip(count=50), fps=5)) as film:
        counts = []
        while read(film, room) is not None:
            counts.append(film.skipped())
        assert [*counts, film.skipped()] == [0, *[4] * 10]


def test_a_film_that_is_read_on_keeps_the_same_pictures(clip, room):
    film = joined("two.ts", clip("1.ts", count=100, g="10"), clip("2.ts", count=100, g="10"))
    whole = []
    with Film(film, fps=4) as source:
        source._bookmarked_s = -1e9
        while (picture := read(source, room)) is not None:
            whole.append((clip.index_of(picture.image), round(picture.media_ms), picture.bookmark))
            source._bookmarked_s = -1e9  # a bookmark with each picture that may have one
    marks = [(number, mark) for number, (_, _, mark) in enumerate(whole) if mark]
    assert marks
    for place in (7, 20):
        before = tuple(sorted((mark for mark in marks if mark[0] <= place), reverse=True)[:2])
        with Film(film, place=Place(place, before), fps=4) as source:
            rest = [(clip.index_of(one.image), round(one.media_ms)) for one in iter(lambda: read(source, room), None)]
        assert rest == [(index, ms) for index, ms, _ in whole[place:]]


def test_the_demo_goes_on_with_the_picture_that_is_next(room):
    whole = looked_at(Demo(fps=2), room)
    assert whole[:2] == [(0, 0), (480, 11)] or whole[:2] == [(0, 0), (520, 12)]
    assert looked_at(Demo(start=3, fps=2), room) == whole[3:]


def test_a_folder_has_no_time(tmp_path):
    with pytest.raises(InputError, match=r"fps is for .*a video file"):
        check_source(SourceConfig(source=str(tmp_path), fps=5))
