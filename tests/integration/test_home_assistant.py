"""Home Assistant finds each stream by itself, over a real broker, in the words of its MQTT documentation."""

import json
import time

import jsonschema
import pytest
from ports import free_port
from test_events import broker

from configs.errors import InputError
from configs.schema import WebConfig
from web.home_assistant import check_home_assistant

__all__ = ["broker"]
TEXT = {"type": "string"}
# As home-assistant.io documents them for discovery messages (sensor.mqtt, binary_sensor.mqtt, camera.mqtt).
COMMON = {
    "unique_id": TEXT, "name": TEXT, "availability_topic": TEXT, "icon": TEXT,
    "entity_category": {"enum": ["config", "diagnostic"]},
    "device": {
        "type": "object", "required": ["identifiers"], "additionalProperties": False,
        "properties": {
            "identifiers": {"type": "array", "items": TEXT, "minItems": 1},
            **dict.fromkeys(("name", "manufacturer", "model", "suggested_area", "sw_version"), TEXT),
        },
    },
    "origin": {
        "type": "object", "required": ["name"], "additionalProperties": False,
        "properties": {"name": TEXT, "sw_version": TEXT},
    },
}  # fmt: skip
STATE = {"state_topic": TEXT, "value_template": TEXT, "device_class": TEXT}
OWN = {
    "sensor": STATE | {"state_class": {"enum": ["measurement"]}, "unit_of_measurement": TEXT},
    "binary_sensor": STATE,
    "camera": {"topic": TEXT},
}
WANTED = {"sensor": ["state_topic"], "binary_sensor": ["state_topic"], "camera": ["topic"]}


class Listener:
    """What comes to Home Assistant: the newest message of each topic."""

    def __init__(self, port):
        from paho.mqtt.client import Client
        from paho.mqtt.enums import CallbackAPIVersion

        self.seen, self.counts = {}, {}
        self.client = Client(CallbackAPIVersion.VERSION2)
        self.client.on_message = self._came
        self.client.on_connect = lambda client, *_: client.subscribe([("homeassistant/#", 1), ("maskstream/#", 1)])
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def _came(self, client, _, message):
        self.seen[message.topic] = message.payload
        self.counts[message.topic] = self.counts.get(message.topic, 0) + 1

    def entities(self):
        return {
            topic: json.loads(payload)
            for topic, payload in self.seen.items()
            if topic.startswith("homeassistant/") and topic.endswith("/config") and payload
        }


def soon(holds, patience_s=30):
    deadline_s = time.monotonic() + patience_s
    while not holds():
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    return True


@pytest.fixture
def home(broker):
    listener = Listener(broker.port)
    yield listener
    listener.client.loop_stop()


def test_each_stream_appears_with_what_is_seen_and_a_picture(maskstream, broker, home):
    told = ("--set", f"web.home_assistant=mqtt://me:s3cret@127.0.0.1:{broker.port}", "--set", "run.site=north")
    pictures = ("--set", "web.home_assistant_pictures_s=1", "--sink", "web", "--port", free_port())
    run = maskstream("--source", "demo", "--realtime", "--loop", "--fps", 5, *pictures, *told)
    soon(lambda: len(home.entities()) == 9)
    for topic, entity in home.entities().items():
        component = topic.split("/")[1]
        schema = {
            "type": "object", "required": ["unique_id", "device", "origin", *WANTED[component]],
            "additionalProperties": False, "properties": COMMON | OWN[component],
        }  # fmt: skip
        jsonschema.validate(entity, schema)
        assert entity["device"]["name"] == "demo"
    assert len({entity["unique_id"] for entity in home.entities().values()}) == 9
    soon(lambda: json.loads(home.seen.get("maskstream/north/demo/state", b"{}")).get("persons"))
    state = json.loads(home.seen["maskstream/north/demo/state"])
    assert state["flows"]
    assert state["persons"] == sum(state[label] for label in ("mask", "no_mask", "wrong_mask", "unsure"))
    soon(lambda: home.seen.get("maskstream/north/demo/picture", b"")[:2] == b"\xff\xd8")
    assert home.seen["maskstream/north/alive"] == b"online"

    count = dict(home.counts)  # Home Assistant is started again
    home.client.publish("homeassistant/status", "online")
    soon(lambda: all(home.counts[topic] > count[topic] for topic in home.entities()))
    broker.stop()  # and the broker
    run.until(lambda: "the broker is away" in run.stderr)
    broker.start()
    run.until(lambda: run.stderr.count("the broker is there") == 2)
    soon(lambda: home.seen["maskstream/north/alive"] == b"online")
    run.signal(2)
    assert run.wait() == 0
    soon(lambda: home.seen["maskstream/north/alive"] == b"offline")
    assert "s3cret" not in run.stderr + run.stdout


@pytest.mark.parametrize(
    ("address", "has_page", "says"),
    [
        ("http://h", True, "write it as mqtt://"),
        ("mqtt://", True, "write it as mqtt://"),
        ("mqtt://h/a/#", True, "write it as mqtt://"),
        ("mqtt://me:pw@h", False, "add --sink web"),
    ],
)
def test_what_nothing_can_be_told_to_is_refused(address, has_page, says):
    with pytest.raises(InputError, match=says) as refused:
        check_home_assistant(WebConfig(home_assistant=address), has_page)
    assert "pw" not in str(refused.value)
