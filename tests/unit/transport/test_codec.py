"""What goes over a socket comes back the same, and what is no message is refused."""

import msgspec
import numpy as np
import pytest

from transport.codec import (
    VERSION,
    Beat,
    Open,
    Ready,
    Refused,
    Return,
    WireError,
    decode,
    decode_header,
    encode,
    encode_frame,
)
from transport.frame import Box, Face, Frame, Prediction
from transport.pixels import Colours, Pixels


def frame(**changes):
    image = np.arange(4 * 6 * 3, dtype=np.uint8).reshape(4, 6, 3)
    face = Face(
        Box(1.5, -2.0, 30.0, 40.0), Prediction("mask", 0.9, {"mask": 0.9, "no_mask": 0.1}, age_ms=80.0), track=5
    )
    return Frame(
        **{
            "stream": "door",
            "seq": 7,
            "captured_ns": 123,
            "pixels": image,
            "faces": (face, Face(Box(0, 0, 1, 1))),
            "media_ms": 40.0,
            "name": "é.png",
            "live": True,
            "corrupt": True,
            "candidates": (Face(Box(3, 0, 2, 2), track=9),),
        }
        | changes
    )


def wire(**changes):
    return encode_frame(frame(slot=3, **changes), 77)


def test_a_frame_comes_back_the_same():
    header = decode(wire())
    assert (header.segment, header.slot, header.height, header.width) == (77, 3, 4, 6)
    out = header.with_pixels(frame().pixels)
    assert {name: getattr(out, name) for name in out.__slots__ if name != "pixels"} == {
        name: getattr(frame(slot=3), name) for name in out.__slots__ if name != "pixels"
    }
    assert np.array_equal(out.image, frame().image)


def test_the_colours_of_planes_go_with_the_frame():
    pixels = Pixels(np.zeros((24, 16), np.uint8), Colours(1, True), 16)
    header = decode(wire(pixels=pixels))
    assert (header.height, header.width, header.colours) == (16, 16, Colours(1, True))


def test_a_frame_sends_a_header_only():
    assert len(wire(candidates=())) < 350


def test_a_frame_that_is_in_no_slot_is_not_sent():
    with pytest.raises(AssertionError, match="is in no slot"):
        encode_frame(frame(), 77)


@pytest.mark.parametrize(
    "message",
    [
        Return("a"),
        Open("a", "/proc/1/fd/7", 1 << 62, "ipc:///run/returns-3"),
        Ready("detect", 12, {"model": "m"}),
        Beat("detect", 12, 0, 1, 1, 5),
        Refused("detect", "why"),
    ],
)
def test_every_other_message_comes_back_the_same(message):
    assert decode(encode(message)) == message


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x01" + msgspec.msgpack.encode({"type": "return", "stream": "a"}),
        VERSION,
        VERSION + b"\xc1",
        VERSION + msgspec.msgpack.encode({"type": "return"}),
        VERSION + msgspec.msgpack.encode({"type": "return", "stream": 5}),
        VERSION + msgspec.msgpack.encode({"type": "unheard_of"}),
        VERSION + msgspec.msgpack.encode([1, 2, 3]),
        VERSION + b"\x83\xa4type\xa6return\xa6stream\xa1s\xa1x" + b"\x91" * 100_000 + b"\x90",  # lists in lists
        b"\x80\x04\x95K\x01.",  # a pickle
        wire()[:-1],
    ],
)
def test_what_is_no_message_is_refused(data):
    with pytest.raises(WireError):
        decode(data)


def test_what_is_noted_beside_pixels_is_a_frame():
    assert decode_header(wire()).seq == 7
    with pytest.raises(WireError, match="where a frame should be"):
        decode_header(encode(Return("a")))


@pytest.mark.parametrize(
    "wrong", [{"height": 1 << 40}, {"width": 0}, {"seq": -1}, {"slot": -1}, {"colours": [1, True]}]
)
def test_absurd_numbers_are_refused(wrong):
    header = msgspec.msgpack.decode(wire()[1:]) | wrong
    with pytest.raises(WireError, match="px"):
        decode(VERSION + msgspec.msgpack.encode(header))


@pytest.mark.parametrize(
    "image",
    [np.zeros((4, 6), np.uint8), np.zeros((4, 6, 4), np.uint8), np.zeros((4, 6, 3)), np.zeros((0, 6, 3), np.uint8)],
)
def test_a_frame_refuses_what_is_no_picture(image):
    with pytest.raises(ValueError, match="uint8"):
        frame(pixels=image)


def test_a_frame_prints_its_shape_and_not_its_pixels():
    assert repr(frame()) == "Frame(door #7, 6x4, 2 faces)"
