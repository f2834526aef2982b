"""Certificates that can be used, and those that cannot: one line says which file is at fault."""

import asyncio
import re
import shutil
import ssl

import pytest
from certificates import certificate, openssl

import web.tls
from configs.errors import InputError
from configs.schema import WebConfig
from web.tls import Certificate, check_tls


@pytest.fixture
def files(tmp_path):
    return certificate(tmp_path)


def config(cert, key="") -> WebConfig:
    return WebConfig(tls_cert=str(cert), tls_key=str(key))


def test_certificate_and_key_in_two_files_or_in_one(files, tmp_path):
    cert, key = files
    check_tls(config(cert, key))
    both = tmp_path / "both.pem"
    both.write_text(cert.read_text() + key.read_text())
    check_tls(config(both))


def test_what_cannot_be_used_is_one_line_that_names_the_file(files, tmp_path):
    cert, key = files
    old, old_key = certificate(tmp_path, "old", days=-1)
    locked, words, broken = tmp_path / "locked.key", tmp_path / "words.pem", tmp_path / "broken.pem"
    openssl("pkey", "-in", key, "-aes256", "-passout", "pass:secret", "-out", locked)
    words.write_text("a certificate")
    broken.write_text("-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----\n")
    for given, says in (
        (config(tmp_path / "none.pem", key), "tls_cert: cannot read .*none.pem: No such file"),
        (config(cert, tmp_path / "none.key"), "tls_key: cannot read .*none.key: No such file"),
        (config(tmp_path, key), "tls_cert: cannot read .*Is a directory"),
        (config(cert, old_key), "old.key is not the key of .*cams.pem"),
        (config(old, old_key), "old.pem has expired: renew it"),
        (config(cert, locked), "locked.key is encrypted: decrypt it with"),
        (config(words, key), "words.pem is no PEM file"),
        (config(broken, key), "broken.pem with .* cannot be used"),
        (config(cert, key.read_text()), "tls_key: name the file itself"),
        (config(cert), "cams.pem holds no private key"),
        (config(key, key), "cams.key holds no certificate"),
        (config("", key), "tls_key: give the certificate"),
    ):
        with pytest.raises(InputError) as caught:
            check_tls(given)
        assert re.fullmatch(rf"web\..*{says}.*", str(caught.value)), caught.value


def test_a_renewed_certificate_is_used_and_a_useless_one_is_not(files, tmp_path, monkeypatch, caplog):
    """Handshakes in memory: what is shown after a renewal, and after one that went wrong."""
    cert, key = files
    renewed = certificate(tmp_path, "renewed")
    monkeypatch.setattr(web.tls, "LOOK_S", 0.01)
    ours = Certificate(config(cert, key))
    first = shown(ours.context)

    async def replaced(new_cert, new_key, until):
        renewing = asyncio.create_task(ours.renew())
        await asyncio.sleep(0.05)
        shutil.copy(new_cert, cert)
        shutil.copy(new_key, key)
        while not until():
            await asyncio.sleep(0.01)
        renewing.cancel()

    asyncio.run(replaced(*renewed, lambda: shown(ours.context) != first))
    second = shown(ours.context)
    old = certificate(tmp_path, "old", days=-1)
    asyncio.run(replaced(*old, lambda: "has expired" in caplog.text))
    assert shown(ours.context) == second


def shown(context: ssl.SSLContext) -> bytes:
    """The certificate that who connects is shown."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    asks, answers = client.wrap_bio(back, there), context.wrap_bio(there, back, server_side=True)
    for end in (asks, answers, asks, answers):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue
    return asks.getpeercert(binary_form=True)
