"""Addresses, taken apart: what is shown, what is refused and how it is to be written, how libraries get them."""

import os

import pytest

from configs.address import check_address, take_apart, written
from configs.errors import InputError
from configs.redact import learn, learn_secret, redact


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("rtsp://me:pa#ss@door/live", "rtsp://***@door/live: in a user or password write # as %23"),
        ("rtsp://me:pa/ss@door/live", "rtsp://***@door/live: in a user or password write / as %2F"),
        ("rtsp://me:pa?ss@door/live", "rtsp://***@door/live: in a user or password write ? as %3F"),
        ("rtsp://me:p#a/s?s@door", "rtsp://***@door: in a user or password write # as %23 and / as %2F and ? as %3F"),
        ("rtsp://me:12/34@192.0.2.1/live", "rtsp://***@192.0.2.1/live: in a user or password write / as %2F"),
        ("rtsp://me#x:pa@door/live", "rtsp://***@door/live: in a user or password write # as %23"),
        ("webhook:https://me:pa#ss@door/x", "webhook:https://***@door/x: in a user or password write # as %23"),
        ("mqtt://me:pa/ss@door:1883/x", "mqtt://***@door:1883/x: in a user or password write / as %2F"),
        ("rtsp://me:pa@door:99999/x", "rtsp://***@door:99999/x: the port must be a number from 1 to 65535"),
        ("rtsp://me:pa@door:0/x", "rtsp://***@door:0/x: the port must be a number from 1 to 65535"),
        ("rtsp://me:password", "rtsp://***: the port must be a number from 1 to 65535"),
        ("rtsp://me:pa@/x", "rtsp://***/x: names no host: write it as rtsp://HOST/PATH"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_what_to_write(address, said):
    with pytest.raises(InputError) as error:
        check_address(address)
    assert str(error.value) == said


@pytest.mark.parametrize(
    "address",
    [
        "rtsp://me:pa@ss@door:554/live#x", "rtsp://me:open sesame@door", "rtsp://door:554/live@hd", "rtsp://[::1]:554/x",
        "https://door/x?mail=me@example.org", "udp://@:1234", "udp://@239.0.0.1:1234", "http://door.local/a?b=c#d",
        "clip@2.mp4", "demo", "0",
    ],
)  # fmt: skip
def test_what_may_be_meant_is_not_refused(address):
    check_address(address)


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("rtsp://door:554/live@hd", "rtsp://***"),  # the host may be the user
        ("rtsp://192.0.2.1/live@hd", "rtsp://192.0.2.1/***"),
        ("https://example.org/x?mail=me@example.org", "https://example.org/x?***"),
        ("http://192.0.2.1/a?user=me&pwd=p@ss&channel=1", "http://192.0.2.1/a?user=***&pwd=***&channel=1"),
        ("http://door/user=me&password=p@ss", "http://***"),
        ("http://door/a?channel=1&channel=s3cret-and-long", "http://door/a?channel=1&***"),
        ("http://door/snap.jpg?live", "http://door/snap.jpg?***"),
        ("webhook:https://me:pw@door/x?x=y", "webhook:https://***@door/x?***"),
    ],
)
def test_where_two_readings_are_possible_more_is_hidden(address, shown):
    assert take_apart(address).shown == shown
    assert redact(f"({address}): lost") == f"({shown}): lost"


def test_names_of_files_are_no_addresses(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "12:30@home.mp4").touch()
    for name in ("12:30@home.mp4", "clip@2.mp4", "C:film.mp4", "what?.mp4", "a=b.mp4", "/dev/v4l/by-id/x"):
        assert take_apart(name) is None


def test_what_cannot_be_sent_is_encoded_once():
    once = written('rtsp://ü:a b%zz%41"\n@döor/ä b\r\n?x=y z&{stream}')
    assert once == "rtsp://%C3%BC:a%20b%25zz%41%22%0A@döor/%C3%A4%20b%0D%0A?x=y%20z&{stream}"
    assert written(once) == once
    assert written("rtmp://me:open sesame@door/x y") == "rtmp://me:open sesame@door/x%20y"


def test_what_was_learnt_is_hidden_in_any_form():
    address = 'rtsp://me:op"en s€same@door/live'
    learn(address)
    for form in (address, written(address), repr(address), ascii(address), address.encode().decode("latin-1")):
        assert "same" not in redact(f"<{form}> again")
    assert redact("Authorization: Basic bWU6b3AiZW4gc+KCrHNhbWU=") == "Authorization: Basic ***"
    assert redact('user "op\\"en s\\u20acsame"') == 'user "***"'


def test_short_and_ordinary_secrets_are_hidden_in_their_address_only():
    learn("rtsp://a:1@door/live", "rtsp://live:password@192.0.2.1/x", "rtsp://door:abc@door:1/")
    assert redact("1 of a: user or password, live") == "1 of a: user or password, live"
    assert redact("rtsp://a:1@door/live, rtsp://door:abc@door:1/") == "rtsp://***@door/live, rtsp://***@door:1/"
    assert redact("abc abcd ab") == "*** abcd ab"
    assert redact("door, 192.0.2.1") == "door, 192.0.2.1"


def test_what_a_secret_holds_is_no_pattern():
    learn_secret("a.c|.*")
    assert redact("abc a.c|.* a.c") == "abc *** a.c"


def test_what_is_no_text_harms_nobody():
    odd = os.fsdecode(b"rtsp://me:s3cret\xff@door/\xfe?pwd=\xff")
    learn(odd)
    assert "s3cret" not in redact(odd)
    assert "s3cret" not in redact(written(odd))
    assert written(odd).isascii()


def test_our_own_hints_stay():
    for hint in (
        "write it as mqtt://HOST/TOPIC, mqtt://USER:PASSWORD@HOST:PORT/TOPIC",
        "is not http://HOST:PORT/PATH, nor",
    ):
        assert redact(hint) == hint


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("webhook:https://hooks.example/services/T024BE7LD/B01/Xq9vTz3nY6pLw2rK8sDf", "webhook:https://hooks.example/services/***/***/***"),
        ("webhook:https://h.example/api/webhook/my-front-door", "webhook:https://h.example/api/***/***"),
        ("webhook:https://h.example/bot110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/send", "webhook:https://h.example/***"),
        ("webhook:http://127.0.0.1:9000/hook", "webhook:http://127.0.0.1:9000/hook"),
    ],
)  # fmt: skip
def test_of_a_webhook_s_path_only_the_first_word_is_shown(address, shown):
    """Who knows the path of a Slack, Discord or Home Assistant hook may post to it."""
    assert redact(address) == shown
    token = max(address.split("/"), key=len)
    if "***" in shown and len(token) > 15:
        learn(address)
        assert token not in redact(f"POST {address.removeprefix('webhook:')} answered 500 ({token})")
