"""The process that tells Home Assistant of a run over MQTT: each stream appears there by itself, as a device."""

from __future__ import annotations

import importlib.util
import json
import logging
import re
import socket
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import SplitResult, unquote, urlsplit

import zmq

from configs.errors import InputError
from configs.redact import redact
from configs.schema import WebConfig
from overlay.sinks.web import PICTURE
from transport.feed import follow
from transport.stage import StageContext
from web.discovery import Device, discovered
from web.run_state import RunState

if TYPE_CHECKING:
    from paho.mqtt.client import Client

log = logging.getLogger("home-assistant")

TELL_S = 2.0  # how often it is told how streams are, if that has changed
ANYWAY_S = 60.0  # and if not
KEEP_ALIVE_S = 30
_POLL_MS = 50
FORM = "mqtt://USER:PASSWORD@HOST:PORT/PREFIX"


def home_assistant(config: WebConfig, context: StageContext) -> None:
    """Tell until the run ends. The broker may be away and come back, and Home Assistant may be started again."""
    url = urlsplit(config.home_assistant)
    sockets: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    link = sockets.socket(zmq.SUB)
    follow(link, context.feeds, ("supervisor", *context.showing), (b"status", b"persons"))
    where = context.labels.site or context.labels.host or socket.gethostname()
    home = Home(url, re.sub(r"[^A-Za-z0-9_-]", "-", where), where, bool(config.home_assistant_pictures_s))
    run_state, due_s, picture_s = RunState(), 0.0, 0.0
    asked: set[bytes] = set()  # topics of pictures that have not come; a second subscription would count as one more
    context.facts["to"] = redact(config.home_assistant)
    context.ready()
    try:
        while not context.stopping():
            while link.poll(_POLL_MS) and not context.stopping():
                topic, *parts = link.recv_multipart()
                if topic == b"status":
                    run_state.hear(*parts)
                elif topic == b"persons":
                    run_state.saw(*parts)
                else:
                    link.unsubscribe(topic)
                    asked.discard(topic)
                    home.picture(topic.removeprefix(PICTURE).decode(), parts[1])
            now_s = time.monotonic()
            if run_state.status is not None and now_s >= due_s:
                due_s = now_s + TELL_S
                home.tell(run_state)
            if config.home_assistant_pictures_s and now_s >= picture_s and home.is_there:
                picture_s = now_s + config.home_assistant_pictures_s
                wanted = {PICTURE + name.encode() for name in run_state.streams}
                for topic in wanted - asked:
                    link.subscribe(topic)
                for topic in asked - wanted:
                    link.unsubscribe(topic)
                asked = wanted
    finally:
        home.close()
        link.close(0)
        sockets.term()


class Home:
    """The broker, and what it was told. `node` is this run in topics, `where` in words."""

    def __init__(self, url: SplitResult, node: str, where: str, pictures: bool) -> None:
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        self._prefix, self._node, self._where, self._pictures = prefix_of(url), node, where, pictures
        self._alive = f"maskstream/{node}/alive"
        self._told: dict[str, tuple[float, str]] = {}  # stream -> when, and what
        self._known: dict[str, Device] = {}
        self._anew = False
        self._was_there: bool | None = None
        self._client: Client = Client(CallbackAPIVersion.VERSION2)
        if url.username:
            self._client.username_pw_set(unquote(url.username), unquote(url.password or ""))
        if url.scheme == "mqtts":
            self._client.tls_set()
        self._client.will_set(self._alive, "offline", qos=1, retain=True)
        self._client.on_connect = self._connected
        self._client.on_message = self._heard
        self._client.reconnect_delay_set(1, 30)
        port = url.port or (8883 if url.scheme == "mqtts" else 1883)
        self._client.connect_async(str(url.hostname), port, KEEP_ALIVE_S)
        self._client.loop_start()

    @property
    def is_there(self) -> bool:
        """Whether the broker can be told anything now."""
        return self._client.is_connected()

    def _connected(self, client: Client, _: Any, __: Any, reason: Any, ___: Any) -> None:
        """In paho's thread."""
        if reason.is_failure:
            log.warning("the broker does not let us in: %s", reason)
            return
        client.subscribe(f"{self._prefix}/status")  # its birth: Home Assistant was started again, and knows nothing
        self._anew = True

    def _heard(self, _: Client, __: Any, message: Any) -> None:
        """In paho's thread."""
        self._anew = self._anew or message.payload == b"online"

    def tell(self, run_state: RunState) -> None:
        """How all streams are, where that has changed; entities of those that are gone are removed."""
        if self.is_there != self._was_there:
            (log.info if self.is_there else log.warning)("the broker is %s", "there" if self.is_there else "away")
            self._was_there = self.is_there
        if not self.is_there:
            return
        if self._anew:
            self._anew = False
            self._told.clear()
            self._known.clear()
            self._client.publish(self._alive, "online", qos=1, retain=True)
        about = run_state.as_json()
        classes = [name.strip() for name in _fact(run_state, "classes").split(",") if name.strip()]
        streams = {stream["name"]: stream for stream in about["streams"]}
        for gone in self._known.keys() - streams.keys():
            for topic in discovered(self._known.pop(gone), self._prefix):
                self._client.publish(topic, b"", qos=1, retain=True)
            self._told.pop(gone, None)
        for name, stream in streams.items():
            if name not in self._known and classes:
                device = self._known[name] = Device(self._node, self._where, name, tuple(classes), self._pictures)
                for topic, entity in discovered(device, self._prefix).items():
                    self._client.publish(topic, json.dumps(entity), qos=1, retain=True)
            if name in self._known:
                self._say(self._known[name], json.dumps(state_of(stream, classes)))

    def _say(self, device: Device, state: str) -> None:
        now_s, before = time.monotonic(), self._told.get(device.stream, (0.0, ""))
        if state != before[1] or now_s - before[0] > ANYWAY_S:
            self._told[device.stream] = now_s, state
            self._client.publish(device.state_topic, state, qos=0)

    def picture(self, stream: str, jpeg: bytes) -> None:
        """The picture of now of a stream."""
        if stream in self._known:
            self._client.publish(self._known[stream].picture_topic, jpeg, qos=0)

    def close(self) -> None:
        """Say goodbye: the entities are unavailable, and stay."""
        if self.is_there:
            self._client.publish(self._alive, "offline", qos=1, retain=True).wait_for_publish(0.5)
        self._client.disconnect()
        self._client.loop_stop()


def state_of(stream: dict[str, Any], classes: list[str]) -> dict[str, Any]:
    """What the entities of a stream show: persons of the last ten seconds, the share with a mask among those known.

    >>> seen = {"mask": 3, "no_mask": 1, "unsure": 2}
    >>> state_of({"state": "flowing", "fps": 25, "persons": seen}, ["mask", "no_mask"])
    {'flows': True, 'fps': 25, 'persons': 6, 'mask': 3, 'no_mask': 1, 'unsure': 2, 'share': 75.0}
    """
    seen = stream["persons"]
    known = sum(seen.get(name, 0) for name in classes)
    share = round(100 * seen.get("mask", 0) / known, 1) if known and "mask" in classes else None
    counts = {name: seen.get(name, 0) for name in (*classes, "unsure")}
    about = {"flows": stream["state"] == "flowing", "fps": stream["fps"], "persons": sum(seen.values())}
    return about | counts | {"share": share}


def _fact(run_state: RunState, name: str) -> str:
    return run_state.status.facts.get(name, "") if run_state.status else ""


def prefix_of(url: SplitResult) -> str:
    """Where Home Assistant looks for what there is: its own default where the address names none."""
    return url.path.strip("/") or "homeassistant"


def check_home_assistant(config: WebConfig, has_page: bool) -> None:
    """Refuse what nothing can be told to; raises InputError."""
    shown = f"web.home_assistant {redact(config.home_assistant)!r}"
    try:
        url = urlsplit(config.home_assistant)
        good = url.scheme in ("mqtt", "mqtts") and bool(url.hostname) and (url.port is None or url.port > 0)
        good = good and not set("+#?") & set(config.home_assistant.rpartition("@")[2])
    except ValueError:
        good = False
    if not good:
        raise InputError(f"{shown}: write it as {FORM}")
    if importlib.util.find_spec("paho") is None:
        raise InputError(f"{shown} needs paho-mqtt: pip install 'paho-mqtt>=2'")
    if not has_page:
        raise InputError(f"{shown}: who is seen is known to the page: add --sink web")
