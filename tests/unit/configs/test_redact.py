"""No password of any URL in any text."""

import pytest

from configs.redact import redact


@pytest.mark.parametrize(
    "url",
    [
        "rtsp://admin:s3cret@door.local:554/live",
        "rtsps://admin:s3cret@10.0.0.7/live",
        "RTSP://admin:s3cret@door/live",
        "http://s3cret@door/live",
        "rtsp://admin:p@s3cret@door/live",
        "rtsp://admin:p/s3cret@door/live",
        "rtsp://admin:'s3cret@door/live",
        "http://door/video.cgi?user=admin&pwd=s3cret",
        "rtsp://door/user=admin&password=s3cret&channel=1",
    ],
)
def test_the_password_is_hidden(url):
    assert "s3cret" not in redact(url)
    assert "s3cret" not in redact(f"cannot open '{url}': 401 Unauthorized, see {url}")
    assert "door" in redact(url) or "10.0.0.7" in redact(url)


@pytest.mark.parametrize("text", ["walk.mp4", "me@door.local", "udp://@:1234", "rtsp://door.local:554/live?size=2", ""])
def test_text_without_a_password_stays(text):
    assert redact(text) == text


def test_json_stays_json():
    line = '{"source":"rtsp://me:s3cret@door/live","mail":"me@door"}'
    assert redact(line) == '{"source":"rtsp://***@door/live","mail":"me@door"}'
