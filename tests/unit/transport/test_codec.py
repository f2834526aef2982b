"""What goes over a socket comes back the same, and what is no message is refused."""

import msgspec
import numpy as np
import pytest

from transport.codec import (
    VERSION,
    Beat,
    End,
    Ready,
    Refused,
    Return,
    Sweep,
    SweepRequest,
    Ticket,
    WireError,
    decode,
    encode,
)
from transport.frame import Box, Face, Frame, Prediction


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
            "image": image,
            "faces": (face, Face(Box(0, 0, 1, 1))),
            "media_ms": 40.0,
            "name": "é.png",
            "live": True,
            "corrupt": True,
            "candidates": (Face(Box(3, 0, 2, 2), track=9),),
        }
        | changes
    )


def wire(message, **how):
    return [bytes(memoryview(part).cast("B")) for part in encode(message, **how)]


def test_a_frame_with_its_pixels_comes_back_the_same():
    out = decode(wire(frame()))
    assert np.array_equal(out.image, frame().image)
    assert (out.stream, out.seq, out.captured_ns, out.faces) == ("door", 7, 123, frame().faces)
    assert (out.media_ms, out.name, out.live, out.slot) == (40.0, "é.png", True, None)
    assert (out.corrupt, out.candidates) == (True, frame().candidates)


def test_received_pixels_are_read_only():
    out = decode(wire(frame()))
    with pytest.raises(ValueError, match="read-only"):
        out.image[0, 0] = 0


def test_a_frame_in_a_slot_sends_a_header_only():
    parts = wire(frame(slot=3, candidates=()))
    assert len(parts) == 1
    assert len(parts[0]) < 320
    seen = []
    out = decode(parts, lambda *place: seen.append(place) or frame().image)
    assert seen == [("door", 3, 7, 4, 6)]
    assert out.slot == 3


def test_over_tcp_a_frame_in_a_slot_takes_its_pixels_along():
    parts = wire(frame(slot=3), with_pixels=True)
    assert len(parts) == 2
    assert decode(parts).slot is None


def test_a_frame_whose_slot_was_given_away_is_none():
    assert decode(wire(frame(slot=3)), lambda *place: None) is None


@pytest.mark.parametrize(
    "message",
    [
        End("a"),
        Sweep("a", 9),
        Return("a", (Ticket(1, "shown", 5, 2), Ticket(2, "stale", 7, 0))),
        SweepRequest("a"),
        Ready("detect", 12, {"model": "m"}),
        Beat("detect", 12, 0, 1, 1, 5),
        Refused("detect", "why"),
    ],
)
def test_every_other_message_comes_back_the_same(message):
    assert decode(wire(message)) == message


@pytest.mark.parametrize(
    "parts",
    [
        [b""],
        [b"\x01" + msgspec.msgpack.encode({"type": "end", "stream": "a"})],
        [VERSION],
        [VERSION + b"\xc1"],
        [VERSION + msgspec.msgpack.encode({"type": "end"})],
        [VERSION + msgspec.msgpack.encode({"type": "end", "stream": 5})],
        [VERSION + msgspec.msgpack.encode({"type": "unheard_of"})],
        [VERSION + msgspec.msgpack.encode([1, 2, 3])],
        [VERSION + b"\x83\xa4type\xa3end\xa6stream\xa1s\xa1x" + b"\x91" * 100_000 + b"\x90"],  # lists in lists
        [b"\x80\x04\x95K\x01."],  # a pickle
        wire(frame())[:1],
        [wire(frame())[0], b"too short"],
        [*wire(frame()), b"one too many"],
        wire(frame(slot=3)),
    ],
)
def test_what_is_no_message_is_refused(parts):
    with pytest.raises(WireError):
        decode(parts)


def test_absurd_sizes_are_refused():
    header = msgspec.msgpack.decode(wire(frame(slot=3))[0][1:]) | {"height": 1 << 40}
    with pytest.raises(WireError, match="px"):
        decode([VERSION + msgspec.msgpack.encode(header)], lambda *place: frame().image)


@pytest.mark.parametrize(
    "image",
    [np.zeros((4, 6), np.uint8), np.zeros((4, 6, 4), np.uint8), np.zeros((4, 6, 3)), np.zeros((0, 6, 3), np.uint8)],
)
def test_a_frame_refuses_what_is_no_picture(image):
    with pytest.raises(ValueError, match="uint8"):
        frame(image=image)


def test_a_frame_prints_its_shape_and_not_its_pixels():
    assert repr(frame()) == "Frame(door #7, 6x4, 2 faces)"
