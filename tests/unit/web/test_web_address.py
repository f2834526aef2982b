"""The addresses under which a proxy shows the page."""

import pytest

from configs.errors import InputError
from configs.schema import WebConfig
from web.address import local_url, public_addresses, shown_url


def parts(url):
    [address] = public_addresses(WebConfig(url=url))
    return address.origin, address.prefix


@pytest.mark.parametrize(
    ("url", "origin", "prefix"),
    [
        ("https://cams.example", "https://cams.example", ""),
        ("https://cams.example:443/mask/", "https://cams.example", "/mask"),
        ("http://CAMS.example:8080/a/b", "http://cams.example:8080", "/a/b"),
        ("http://[::1]:81/", "http://[::1]:81", ""),
        ("https://k\u00e4se.example/%C3%A4/", "https://xn--kse-qla.example", "/\u00e4"),
    ],
)
def test_an_address_is_taken_apart_as_browsers_write_it(url, origin, prefix):
    assert parts(url) == (origin, prefix)


@pytest.mark.parametrize(
    "url",
    [
        "cams.example",
        "ftp://cams.example/",
        "https://",
        "https://user:secret@cams.example/",
        "https://cams.example/?a=b",
        "https://cams.example/#a",
        "https://cams.example/{name}/",
        "https://cams.example/a//b",
        "https://cams.example:port/",
        "https://[::1/",
        "https://..example/",
    ],
)
def test_what_is_no_address_is_refused_in_one_line(url):
    with pytest.raises(InputError, match=r"^web.url: .*"):
        public_addresses(WebConfig(url=url))


def test_where_it_is_found_on_this_machine_and_what_is_shown():
    assert local_url(WebConfig()) == "http://127.0.0.1:8080"
    assert local_url(WebConfig(host="0.0.0.0", tls_cert="c.pem")) == "https://127.0.0.1:8080"
    assert local_url(WebConfig(host="::")) == "http://[::1]:8080"
    assert local_url(WebConfig(host="192.0.2.5", port=81)) == "http://192.0.2.5:81"
    assert shown_url(WebConfig(url="https://cams.example/mask")) == "https://cams.example/mask/"
