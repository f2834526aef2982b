"""Films whose recorder began anew: clocks that jump, other ids, sound and pictures that come later."""

import itertools

import av
import pytest
from made_films import joined, shifted, with_sound
from reading import grows, play

from capture.kinds.film import Film


def test_positions_begin_at_zero_and_grow_although_the_time_stamps_do_not(clip, room):
    first, second = clip("1.ts", count=10), clip("2.ts", count=10)
    joined = first.with_name("joined.ts")
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    indices, positions_ms = play(Film(joined), room, clip)
    assert indices == [*range(10), *range(10)]
    assert positions_ms[0] == 0
    assert grows(positions_ms)


@pytest.mark.parametrize("first", ["pictures", "sound"])
def test_sound_that_begins_later_does_no_harm(clip, room, first):
    silent = clip("silent.ts", count=200)
    path = joined("late.ts", silent, with_sound(silent.with_name("loud.ts"), 1.0, silent, first))
    indices, positions_ms = play(Film(path), room, clip)  # the sound may have the id that the pictures had
    assert indices[:198] == list(range(198))
    assert indices[-200:] == list(range(200))
    assert grows(positions_ms)


def test_a_stream_that_is_in_no_header_does_no_harm(clip, room):
    path = with_sound(clip("loud.flv").with_name("late.flv"), 9.0, clip("long.flv", count=200))
    data, tags, at = path.read_bytes(), [], 13
    while at < len(data):
        size = 15 + int.from_bytes(data[at + 1 : at + 4])
        tags.append(data[at : at + size])
        at += size
    late = [tag for tag in tags if tag[0] == 9 or (tag[0] == 8 and int.from_bytes(tag[4:7]) > 6500)]
    path.write_bytes(data[:4] + b"\1" + data[5:13] + b"".join(late))  # no header of the film, sound after 6.5 s
    with av.open(str(path)) as container:
        assert not container.streams.audio
    assert play(Film(path), room, clip)[0] == list(range(200))


@pytest.mark.parametrize(
    "other",
    [
        {"mpegts_start_pid": "512"},
        {"mpegts_start_pid": "512", "mpegts_pmt_start_pid": "768"},
        {"mpegts_start_pid": "512", "mpegts_pmt_start_pid": "768", "mpegts_service_id": "7"},
    ],
    ids=["pid", "pid and pmt", "pid, pmt and program"],
)
def test_pictures_that_go_on_under_another_pid_are_followed(clip, room, other):
    parts = [clip("1.ts", count=20), clip("2.ts", count=20, container=other)]
    parts.append(clip("3.ts", count=20, container={"mpegts_start_pid": "900", "mpegts_pmt_start_pid": "901"}))
    indices, positions_ms = play(Film(joined("restarted.ts", *parts)), room, clip)
    assert indices == [*range(20)] * 3
    assert grows(positions_ms)
    assert positions_ms[-1] < 3000


def test_pictures_that_run_beside_the_first_ones_are_not_taken_for_their_end(clip, room):
    short, long = clip("short.ts", count=20), clip("long.ts", count=50)
    both = short.with_name("both.ts")
    with av.open(str(both), "w") as output, av.open(str(short)) as one, av.open(str(long)) as other:
        tracks = [output.add_stream_from_template(source.streams.video[0]) for source in (one, other)]
        packets = []
        for track, source in zip(tracks, (one, other), strict=True):
            for packet in source.demux(video=0):
                if packet.size:
                    packet.stream = track
                    packets.append(packet)
        for packet in sorted(packets, key=lambda packet: packet.dts):
            output.mux(packet)
    assert play(Film(both), room, clip)[0] == list(range(20))


@pytest.mark.parametrize("starts_s", [(0, 40000), (40000, 0), (0, 11), (90000, 10, 60000)])
def test_a_clock_that_jumps_makes_no_still(clip, room, starts_s):
    parts = [shifted(clip, f"{number}.ts", start_s) for number, start_s in enumerate(starts_s)]
    indices, positions_ms = play(Film(joined("jumps.ts", *parts)), room, clip)
    assert indices == [*range(20)] * len(parts)
    assert grows(positions_ms)
    assert max(later - earlier for earlier, later in itertools.pairwise(positions_ms)) < 200


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_a_gap_stays_one_and_hours_are_a_jump(clip, room, name):
    def last_ms(gap_ms):
        return play(Film(clip(name, count=3, times_ms=[0, 40, 40 + gap_ms])), room, clip)[1][-1]

    assert last_ms(70_000) == pytest.approx(70_040, abs=1)
    assert last_ms(3_500_000) == pytest.approx(3_500_040, abs=1)
    assert last_ms(40_000_000) < 30_000_000
