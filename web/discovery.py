"""What Home Assistant is told that there is: entities of a stream, as its MQTT discovery wants them."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Any

from msgspec import Struct


class Device(Struct, frozen=True):
    """A stream as a device. `node` is part of all topics and ids, `where` what people call the place.

    `classes` are the labels that the model gives; with `pictures` it has a camera.
    """

    node: str
    where: str
    stream: str
    classes: tuple[str, ...]
    pictures: bool

    @property
    def topic(self) -> str:
        return f"maskstream/{self.node}/{self.stream}"

    @property
    def state_topic(self) -> str:
        """Where the JSON of its state goes."""
        return f"{self.topic}/state"

    @property
    def picture_topic(self) -> str:
        """Where its JPEGs go."""
        return f"{self.topic}/picture"


def discovered(device: Device, prefix: str) -> dict[str, dict[str, Any]]:
    """The entities of a device: topic -> what is published there, to be kept by the broker."""
    persons = {"state_class": "measurement", "unit_of_measurement": "persons", "icon": "mdi:account-group"}
    entities: dict[tuple[str, str], dict[str, Any]] = {
        ("binary_sensor", "flows"): {
            "name": "Connected",
            "device_class": "connectivity",
            "value_template": "{{ 'ON' if value_json.flows else 'OFF' }}",
        },
        ("sensor", "fps"): {
            "name": "Frames per second",
            "state_class": "measurement",
            "entity_category": "diagnostic",
            "unit_of_measurement": "1/s",
        },
        ("sensor", "persons"): {"name": "Persons", **persons},
        **{
            ("sensor", label): {"name": label.replace("_", " ").capitalize(), **persons}
            for label in (*device.classes, "unsure")
        },
    }
    if "mask" in device.classes:
        entities["sensor", "share"] = {
            "name": "Share with a mask",
            "state_class": "measurement",
            "unit_of_measurement": "%",
            "icon": "mdi:face-mask",
        }
    found = {}
    for (component, what), entity in entities.items():
        entity.setdefault("value_template", f"{{{{ value_json['{what}'] }}}}")  # of null: None, which is unknown there
        found[_topic(prefix, component, device, what)] = (
            entity | {"state_topic": device.state_topic} | _of(device, what)
        )
    if device.pictures:
        camera = {"name": "Picture", "topic": device.picture_topic} | _of(device, "picture")
        found[_topic(prefix, "camera", device, "picture")] = camera
    return found


def _topic(prefix: str, component: str, device: Device, what: str) -> str:
    return f"{prefix}/{component}/maskstream-{device.node}/{_plain(f'{device.stream}-{what}')}/config"


def _of(device: Device, what: str) -> dict[str, Any]:
    """What all entities of a device have."""
    identity = f"maskstream-{device.node}-{device.stream}"
    return {
        "unique_id": f"{identity}-{what}",
        "availability_topic": f"maskstream/{device.node}/alive",
        "device": {
            "identifiers": [identity],
            "name": device.stream,
            "manufacturer": "maskstream",
            "model": "camera that sees masks",
            "suggested_area": device.where,
            "sw_version": _version(),
        },
        "origin": {"name": "maskstream", "sw_version": _version()},
    }


def _plain(text: str) -> str:
    """As a topic's object id may be: letters, digits, _ and -."""
    return "".join(one if one.isalnum() or one in "_-" else "-" for one in text)


def _version() -> str:
    try:
        return version("maskstream")
    except PackageNotFoundError:
        return "0"
