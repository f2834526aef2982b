"""TLS of the page's own: the certificate and its key, checked before they are used, and read again when renewed."""

from __future__ import annotations

import asyncio
import logging
import os
import ssl
from pathlib import Path

from configs.errors import InputError
from configs.schema import WebConfig

log = logging.getLogger("web")

LOOK_S = 2.0
_EXPIRED, _NOT_YET = 10, 9  # X509_V_ERR_CERT_HAS_EXPIRED, X509_V_ERR_CERT_NOT_YET_VALID


def check_tls(config: WebConfig) -> None:
    """Raises InputError if TLS is wanted and could not be spoken."""
    if config.tls_cert:
        Certificate(config)
    elif config.tls_key:
        raise InputError("web.tls_key: give the certificate of this key, too: --tls-cert FILE")


class Certificate:
    """`context` is what connections are answered with. Raises InputError with the file that is at fault."""

    def __init__(self, config: WebConfig) -> None:
        self._cert, self._key = config.tls_cert, config.tls_key or config.tls_cert
        self._stamp = self._stamp_of_now()
        self.context = self._checked()

    async def renew(self) -> None:
        """For ever: take a renewed certificate; one that is of no use is told of, and the one before stays."""
        seen = self._stamp
        while True:
            await asyncio.sleep(LOOK_S)
            now = self._stamp_of_now()
            if now != seen:  # it may be half written: look once more
                seen = now
            elif now != self._stamp:
                self._stamp = now
                try:
                    self._checked()
                    self.context.load_cert_chain(self._cert, self._key, _no_password)
                except (InputError, OSError) as error:
                    log.warning("the renewed certificate cannot be used, the one before stays: %s", error)
                else:
                    log.info("the renewed certificate of %s is used from now on", self._cert)

    def _stamp_of_now(self) -> tuple[tuple[int, int, int], ...] | None:
        try:
            return tuple((at.st_ino, at.st_mtime_ns, at.st_size) for at in map(os.stat, (self._cert, self._key)))
        except OSError:
            return None

    def _checked(self) -> ssl.SSLContext:
        """A context with the files of now."""
        for option, path in (("tls_cert", self._cert), ("tls_key", self._key)):
            if "-----BEGIN " in path:  # `file:/run/secrets/key` is what that file holds
                raise InputError(f"web.{option}: name the file itself: /run/secrets/NAME, without `file:`")
            try:
                text = Path(path).read_bytes()
            except OSError as error:
                raise InputError(f"web.{option}: cannot read {path}: {error.strerror}") from None
            if b"-----BEGIN " not in text:
                raise InputError(f"web.{option}: {path} is no PEM file (text with -----BEGIN ...-----)")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        try:
            context.load_cert_chain(self._cert, self._key, _no_password)
        except _EncryptedError:
            raise InputError(
                f"web.tls_key: {self._key} is encrypted: decrypt it with `openssl pkey -in {self._key} -out FILE`"
            ) from None
        except ssl.SSLError as error:
            raise InputError(self._explain(error)) from None
        self._refuse_old(context)
        return context

    def _explain(self, error: ssl.SSLError) -> str:
        if error.reason == "KEY_VALUES_MISMATCH":
            return (
                f"web.tls_key: {self._key} is not the key of {self._cert}, whose first certificate must be the page's"
            )
        if b"PRIVATE KEY-----" not in Path(self._key).read_bytes():
            return f"web.tls_key: {self._key} holds no private key; web.tls_key names the file that does"
        if b"BEGIN CERTIFICATE-----" not in Path(self._cert).read_bytes():
            return f"web.tls_cert: {self._cert} holds no certificate"
        return f"web.tls_cert: {self._cert} with {self._key} cannot be used ({error.reason or error})"

    def _refuse_old(self, context: ssl.SSLContext) -> None:
        """Shake hands with ourselves in memory: the client says whether the certificate is of today."""
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname = False
        client.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN  # it vouches for itself
        client.load_verify_locations(self._cert)
        to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
        ends = (
            client.wrap_bio(to_client, to_server),
            context.wrap_bio(to_server, to_client, server_side=True),
        )
        for end in 2 * ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError as error:
                if error.verify_code in (_EXPIRED, _NOT_YET):
                    what = "has expired: renew it" if error.verify_code == _EXPIRED else "is not valid yet"
                    raise InputError(f"web.tls_cert: {self._cert} {what}") from None
                return  # made for something else: what a browser says of it is its own affair
            except ssl.SSLError as error:
                raise InputError(f"web.tls_cert: {self._cert} cannot be used ({error.reason or error})") from None


class _EncryptedError(Exception):
    pass


def _no_password() -> str:
    raise _EncryptedError  # OpenSSL would ask for it at the terminal
