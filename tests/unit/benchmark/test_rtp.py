"""A film's packets in RTP: what a viewer puts together again is what the film holds, and when it is sent."""

import asyncio
import struct
from types import SimpleNamespace

import av
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmark.clip import generate
from benchmark.rtp import CodedFilm, CodedPicture, fragments, framed, read_film, units
from benchmark.rtsp_camera import WAITING_BYTES, Viewer, description


def put_together(payloads):
    """The units that a viewer makes of payloads."""
    found = []
    for payload in payloads:
        if payload[0] & 0x1F != 28:
            found.append(payload)
        elif payload[1] & 0x80:
            found.append(bytes([payload[0] & 0x60 | payload[1] & 0x1F]) + payload[2:])
        else:
            found[-1] += payload[2:]
    return found


@given(st.binary(min_size=1, max_size=9000), st.sampled_from([0x65, 0x41, 0x06]))
def test_a_unit_is_put_together_again_and_no_part_is_larger_than_a_packet(content, kind):
    unit = bytes([kind]) + content
    parts = list(fragments(unit))
    assert put_together(parts) == [unit]
    assert max(map(len, parts)) <= 1402
    if len(parts) > 1:
        assert [part[1] & 0x40 for part in parts] == [0] * (len(parts) - 1) + [0x40]


def test_a_film_is_read_picture_by_picture(tmp_path):
    clip = generate(tmp_path, (320, 240), 10, camera_bit_rate=500_000)
    film = read_film(clip.path)
    assert len(film.pictures) == clip.pictures
    assert film.fps == 10
    assert [number for number, picture in enumerate(film.pictures) if picture.key] == list(range(0, 160, 20))
    with av.open(str(clip.path)) as mp4:
        packets = [bytes(packet) for packet in mp4.demux(video=0) if packet.size]
    assert [put_together(picture.payloads) for picture in film.pictures] == [list(units(one)) for one in packets]
    assert film.format.count(",") == 1  # SPS and PPS
    assert "a=framerate:10\r\n" in description(film)


def test_packets_are_numbered_on_and_the_last_of_a_picture_is_marked():
    sent = framed(CodedPicture([b"\x65abc", b"\x65de"], True), 0xFFFF, 2**32 + 7, 5)
    heads, at = [], 0
    while at < len(sent):
        mark, channel, length = struct.unpack_from("!cBH", sent, at)
        assert (mark, channel) == (b"$", 0)
        heads.append(struct.unpack_from("!BBHII", sent, at + 4))
        at += 4 + length
    assert heads == [(0x80, 96, 0xFFFF, 7, 5), (0x80, 96 | 0x80, 0, 7, 5)]


@pytest.mark.parametrize(("size", "packets"), [(1, 1), (1400, 1), (1401, 1), (1402, 2), (2801, 2), (2802, 3)])
def test_a_unit_that_fits_is_one_packet(size, packets):
    assert len(list(fragments(bytes([0x41]) * size))) == packets


class Connection:
    """Takes what is sent; its buffer is as full as it is told for each picture, and after the last one it breaks."""

    def __init__(self, *waiting):
        self._waiting, self.sent = iter(waiting), []
        self.transport = SimpleNamespace(get_write_buffer_size=lambda: next(self._waiting))

    def write(self, content):
        self.sent.append(struct.unpack_from("!BBHII", content, 4)[2:4])


def test_what_a_viewer_does_not_take_is_left_out_up_to_the_next_key_picture():
    """Numbers go on without a gap, times tell what is missing, and the film begins anew at its end."""
    film = CodedFilm([CodedPicture([b"ab", b"c"], key=number == 0) for number in range(3)], 300.0, "")
    connection = Connection(0, 0, 0, 0, WAITING_BYTES + 1, 0, 0, 0)
    with pytest.raises(RuntimeError):  # from StopIteration
        asyncio.run(Viewer(film, None, connection, 1)._play())
    assert connection.sent == [(0, 0), (2, 300), (4, 600), (6, 900), (8, 1800), (10, 2100)]
