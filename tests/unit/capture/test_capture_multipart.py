"""MJPEG over HTTP is taken apart as browsers do: what the cameras of the field leave out is not missed."""

import pytest

from capture.multipart import LARGEST, Multipart, TooLarge

PICTURES = [b"\xff\xd8" + bytes(range(256)) * size + b"\n\n\xff\xd9" for size in (4, 1, 9)]


def parts(stream, boundary="frame", step=7):
    """All parts of a stream that comes a few bytes at a time."""
    found, multipart = [], Multipart(boundary)
    for begin in range(0, len(stream), step):
        multipart.feed(stream[begin : begin + step])
        while (part := multipart.part()) is not None:
            found.append(part)
    return found


def stream(
    before=b"--frame\r\n", headers=(b"Content-Type: image/jpeg", b"Content-Length: %d"), after=b"\r\n", end=b"\r\n"
):
    head = end.join([*headers, b""]) + end
    return b"".join(before + (head % len(body) if b"%d" in head else head) + body + after for body in PICTURES)


@pytest.mark.parametrize("step", [1, 7, 100_000])
@pytest.mark.parametrize(
    ("sent", "boundary"),
    [
        (stream(), "frame"),
        (stream(), '"frame"'),
        (stream(), "--frame"),
        (stream(), "other"),  # the header says something else than the stream
        (stream(), ""),
        (stream(before=b"----frame\r\n"), "--frame"),
        (stream(before=b"--frame\n", end=b"\n", after=b"\n"), "frame"),
        (stream(before=b"", after=b"\r\n--frame\r\n"), "frame"),  # ESP32, Tasmota: none before the first part
        (stream(headers=[b"Content-Length: %d"]), "frame"),  # no Content-Type
        (stream(headers=[b"Content-Type: image/jpeg"]) + b"--frame\r\n", "frame"),  # no Content-Length
        (stream(headers=[b"Content-Type: image/jpeg", b"Content-Length: 0"]) + b"--frame\r\n", "frame"),
        (stream(headers=[]) + b"--frame\r\n", "frame"),  # no headers at all
        (stream(headers=[b"content-type:image/jpeg", b"CONTENT-LENGTH:%d", b"X-Timestamp: 1.5"]), "frame"),
        (stream(headers=[b"Content-Type: image/jpeg; charset=utf-8", b"Content-Length: %d"]), "frame"),
        (b"\r\n\r\n" + stream(), "frame"),
        (b"This is MJPEG: enjoy\r\n" + stream(), "frame"),
        (stream(after=b""), "frame"),  # the boundary follows without a line end
        (stream(after=b"rest of a part that is longer than it said" * 300 + b"\r\n"), "frame"),
    ],
)
def test_every_part_is_found(sent, boundary, step):
    assert [body for _, body in parts(sent, boundary, step)] == PICTURES


def test_a_part_tells_what_it_is():
    sent = stream(headers=[b"Content-Type: IMAGE/JPEG; charset=x", b"Content-Length: %d"])
    assert {media_type for media_type, _ in parts(sent)} == {"image/jpeg"}
    assert {media_type for media_type, _ in parts(stream(headers=[b"Content-Length: %d"]))} == {""}


def test_what_is_no_picture_does_not_fill_the_memory():
    with pytest.raises(TooLarge):
        parts(b"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % (LARGEST + 1))
    with pytest.raises(TooLarge):
        parts(b"--frame\r\nContent-Type: image/jpeg\r\n\r\n" + b"x" * (LARGEST + 100), step=2**22)
    multipart = Multipart("frame")
    for _ in range(100):
        multipart.feed(b"x" * 100_000)
        assert multipart.part() is None
    assert len(multipart._buffer) < 200_000
