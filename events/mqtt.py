"""Delivers events over MQTT, each confirmed by the broker before the next."""

from __future__ import annotations

import importlib.util
import time
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import msgspec

from configs.errors import InputError
from configs.redact import redact
from events.event import Event
from events.receiver import NotTaken

if TYPE_CHECKING:
    from paho.mqtt.client import Client

TIMEOUT_S = 5.0
KEEP_ALIVE_S = 30


class Mqtt:
    """`mqtt://[user:password@]host[:port]/topic`, or mqtts. The stream's name is added to the topic; QoS 1."""

    def __init__(self, url: str) -> None:
        check_url(url)
        self._url = urlsplit(url)
        self._topic = self._url.path.strip("/")
        self._client: Client | None = None

    def send(self, event: Event, picture: bytes | None) -> bool:
        """True when the broker has confirmed it. Raises OSError while it is away. Pictures do not go along."""
        try:
            if self._client is None:
                self._client = self._connect()
            sent = self._client.publish(f"{self._topic}/{event.stream}", msgspec.json.encode(event), qos=1)
            sent.wait_for_publish(TIMEOUT_S)
            if not sent.is_published():
                raise OSError(f"no answer within {TIMEOUT_S:g} s")
        except NotTaken:
            self.close()
            raise
        except (OSError, ValueError, RuntimeError) as error:
            self.close()  # a client that reconnects would send again what we send again
            raise OSError(str(error)) from None
        return True

    def _connect(self) -> Client:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        client = Client(CallbackAPIVersion.VERSION2)
        if self._url.username:
            client.username_pw_set(unquote(self._url.username), unquote(self._url.password or ""))
        secure = self._url.scheme == "mqtts"
        if secure:
            client.tls_set()
        client.connect_timeout = TIMEOUT_S
        client.connect(str(self._url.hostname), self._url.port or (8883 if secure else 1883), KEEP_ALIVE_S)
        client.loop_start()
        deadline_s = time.monotonic() + TIMEOUT_S
        while not client.is_connected():
            if time.monotonic() > deadline_s:
                client.loop_stop()
                raise NotTaken(f"it does not let us in within {TIMEOUT_S:g} s (user and password?)")
            time.sleep(0.01)
        return client

    def close(self) -> None:
        if self._client is not None:
            self._client.disconnect()
            self._client.loop_stop()
            self._client = None


def check_url(url: str) -> None:
    """Refuse what is no broker's address, or lacks the library; raises InputError."""
    try:
        parts = urlsplit(url)
        topic = parts.path.strip("/")
        good = bool(parts.hostname and topic) and (parts.port is None or parts.port > 0) and not set("+#") & set(topic)
    except ValueError:
        good = False
    if not good:
        raise InputError(f"sink {redact(url)!r}: write it as mqtt://HOST/TOPIC, mqtt://USER:PASSWORD@HOST:PORT/TOPIC")
    if importlib.util.find_spec("paho") is None:
        raise InputError(f"sink {redact(url)!r} needs paho-mqtt: pip install 'paho-mqtt>=2'")
