"""The fleet's file: what cannot be meant is refused in one line with file, line and path."""

import json
import re
from pathlib import Path

import pytest
import yaml

from configs.errors import InputError
from fleet.file import read_fleet

ROOT = Path(__file__).resolve().parents[3]
GOOD = """\
fleet: plant
sites:
  - name: north
    hosts:
      - {name: box, count: 3, cores: 8, streams_per_core: 5}
  - name: south
    hosts: [{name: gate, cores: 1, streams_per_core: 2}]
cameras:
  - {name: door, site: north, source: "rtsp://me:${CAMERA_PASSWORD}@192.0.2.11/live"}
  - {name: hall, site: north, source: "rtsp://192.0.2.12/live", weight: 2}
  - {name: yard, site: south, source: demo}
defaults:
  overlay: {privacy: pixelate}
events: ["mqtt://192.0.2.2/masks/{site}"]
"""


@pytest.fixture
def refusal(tmp_path, monkeypatch):
    """`refusal(old, new)`: what is said of GOOD with one text in the place of another."""
    monkeypatch.setenv("CAMERA_PASSWORD", "s3cret-word")

    def refused(old, new):
        assert old in GOOD
        file = tmp_path / "fleet.yaml"
        file.write_text(GOOD.replace(old, new, 1))
        with pytest.raises(InputError) as found:
            read_fleet(file).planned()
        assert "\n" not in str(found.value)
        return str(found.value).removeprefix(f"{tmp_path}/")

    return refused


def test_the_file_is_read(tmp_path, monkeypatch):
    monkeypatch.setenv("CAMERA_PASSWORD", "s3cret-word")
    (tmp_path / "fleet.yaml").write_text(GOOD)
    fleet = read_fleet(tmp_path / "fleet.yaml")
    assert [camera.name for camera in fleet.config.cameras] == ["door", "hall", "yard"]
    assert fleet.config.defaults.overlay.privacy == "pixelate"
    assert "s3cret-word" not in repr(fleet)


def test_the_example_that_ships_is_read():
    fleet = read_fleet(ROOT / "deploy" / "fleet.yaml", look_up=False)
    assert len(fleet.planned().shards) == 3


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "name: hall",
            "name: door",
            "fleet.yaml:10: cameras[1].name: door is given twice, first in line 9: remove one",
        ),
        (
            '"rtsp://192.0.2.12/live"',
            '"rtsp://me:${CAMERA_PASSWORD}@192.0.2.11/live"',
            "fleet.yaml:10: cameras[1].source: rtsp://me:${CAMERA_PASSWORD}@192.0.2.11/live is given twice, first in",
        ),
        (
            "hosts: [{name: gate, cores: 1, streams_per_core: 2}]",
            "hosts: []",
            "fleet.yaml:6: sites[1]: south has no hosts: give at least one",
        ),
        (
            "    hosts: [{name: gate, cores: 1, streams_per_core: 2}]\n",
            "",
            "fleet.yaml:6: sites[1]: south has no hosts",
        ),
        ("weight: 2", "weight: -1", "fleet.yaml:10: cameras[1].weight: Expected `float` > 0.0"),
        ("weight: 2", "weight: 0", "fleet.yaml:10: cameras[1].weight: Expected `float` > 0.0"),
        ("weight: 2", "weight: 29", "fleet.yaml:10: cameras[1]: hall weighs 29, a shard of north holds 28"),
        (
            "demo}",
            "demo, weight: 1}\n  - {name: two, site: south, source: demo}",
            "fleet.yaml:12: cameras[3]: no room for two: the cameras of south weigh 2 together, and its hosts hold 1.4",
        ),
        ("${CAMERA_PASSWORD}", "${NO_SUCH}", "fleet.yaml:9: cameras[0].source: the variable NO_SUCH is not set"),
        (
            "source: demo",
            "source: 'file:/no/such'",
            "fleet.yaml:11: cameras[2].source: cannot read /no/such: No such file or directory",
        ),
        (
            "site: south, source",
            "site: sout, source",
            "fleet.yaml:11: cameras[2].site: no site sout, did you mean south?",
        ),
        (
            "site: south, source: demo",
            "source: demo",
            "fleet.yaml:11: cameras[2]: Object missing required field `site`",
        ),
        ("name: yard, ", "", "fleet.yaml:11: cameras[2]: give it a name"),
        ("name: yard", "name: a/b", "fleet.yaml:11: cameras[2]: name 'a/b': letters, digits"),
        ("name: south", "name: North", "fleet.yaml:6: sites[1].name: 'North': small letters"),
        ("name: south", "name: north", "fleet.yaml:6: sites[1].name: north is given twice, first in line 3"),
        ("name: gate", "name: box-2", "fleet.yaml:7: sites[1].hosts[0].name: box-2 is given twice, first in line 5"),
        ("cores: 1", "cores: 0", "fleet.yaml:7: sites[1].hosts[0].cores: Expected `int` >= 1"),
        (
            ", streams_per_core: 2",
            "",
            "fleet.yaml:7: sites[1].hosts[0]: gate: give streams_per_core, or benchmark: FILE",
        ),
        ("cores: 1", "kores: 1", "fleet.yaml:7: sites[1].hosts[0].kores: unknown option, did you mean cores?"),
        (
            "privacy: pixelate",
            "privasy: pixelate",
            "fleet.yaml:13: defaults.overlay.privasy: unknown option, did you mean",
        ),
        ("privacy: pixelate", "privacy: no", "fleet.yaml:13: defaults.overlay.privacy: Expected `str`, got `bool`"),
        ("overlay: {privacy: pixelate}", "detect: {cascade: x}", "fleet.yaml:13: defaults.detect.cascade: was removed"),
        ("mqtt:", "mqqt:", "fleet.yaml:14: events[0]: no sink is called mqqt: use window, web"),
        ("{site}", "{sight}", "fleet.yaml:14: events[0]: {sight} is not filled in: there is {fleet}, {site}"),
        (
            '"]\n',
            '"]\nrecordings: ["record:r/"]\n',
            "fleet.yaml:13: defaults.overlay: sink record: copies what the camera",
        ),
        ("events:", "invents:", "fleet.yaml:14: invents: unknown option, did you mean events?"),
        (
            "192.0.2.12/live",
            "192.0.2.12:99999/live",
            "fleet.yaml:10: cameras[1].source: rtsp://192.0.2.12:99999/live: the port",
        ),
        (
            '"]\n',
            '"]\ninference: {image: x, modls: y}\n',
            "fleet.yaml:15: inference.modls: unknown option, did you mean models?",
        ),
        ('"]\n', '"]\ninference: {image: x}\n', "fleet.yaml:15: inference: give the url of a server that runs, or"),
        ('"]\n', '"]\nserve: {url: 192.0.2.2}\n', "fleet.yaml:15: serve.url: 192.0.2.2: use http://HOST:PORT or"),
        (
            "{privacy: pixelate}",
            "{privacy: pixelate}\n  run: {site: here}",
            "fleet.yaml:14: defaults.run.site: is another one for each shard: the fleet gives it",
        ),
        ("fleet: plant", "fleet: plant\nfleet: two", "fleet.yaml:2: fleet is given twice, first in line 1"),
        ("{privacy: pixelate}", "{rules: no.yaml}", "fleet.yaml:13: defaults.overlay.rules: rules "),
    ],
)
def test_what_is_wrong_is_told_with_its_line(refusal, old, new, said):
    assert refusal(old, new).startswith(said)


def test_a_file_without_cameras_or_with_something_else_in_it_is_refused(tmp_path):
    file = tmp_path / "fleet.yaml"
    for text, said in (
        ("- 1\n", "must be sections (fleet, sites, cameras"),
        ("fleet: a\nsites: []\ncameras: []\n", ":2: sites: no site"),
        (
            "fleet: a\nsites: [{name: n, hosts: [{name: h, cores: 1, streams_per_core: 2}]}]\ncameras: []\n",
            ":3: cameras:",
        ),
        ("fleet: [\n", "not YAML"),
    ):
        file.write_text(text)
        with pytest.raises(InputError, match=re.escape(said)):
            read_fleet(file)
    with pytest.raises(InputError, match="cannot be read"):
        read_fleet(tmp_path / "none.yaml")


def test_secrets_that_are_elsewhere_need_not_be_here(tmp_path, monkeypatch):
    monkeypatch.delenv("CAMERA_PASSWORD", raising=False)
    (tmp_path / "fleet.yaml").write_text(GOOD)
    assert read_fleet(tmp_path / "fleet.yaml", look_up=False).planned()


def test_a_host_may_be_told_by_its_benchmark(tmp_path, monkeypatch):
    """In the form of `maskstream benchmark --find-max --json`: 10 streams on 2 cores."""
    monkeypatch.setenv("CAMERA_PASSWORD", "s3cret-word")
    text = GOOD.replace("streams_per_core: 5", "benchmark: box.json")
    (tmp_path / "fleet.yaml").write_text(text)
    report = tmp_path / "box.json"
    report.write_text(json.dumps({"find_max": {"streams": 10}, "machine": {"cores": 2}}) + "\n")
    assert read_fleet(tmp_path / "fleet.yaml").config.sites[0].hosts[0].streams_per_core == 5
    for wrong, said in (
        ("{}", "is not what `maskstream benchmark --find-max --json` prints"),
        ("", "is not what"),
        (json.dumps({"find_max": {"streams": 0}, "machine": {"cores": 2}}), "holds no stream"),
    ):
        report.write_text(wrong)
        with pytest.raises(InputError, match=rf"fleet\.yaml:5: sites\[0\]\.hosts\[0\]\.benchmark: box\.json .*{said}"):
            read_fleet(tmp_path / "fleet.yaml")
    report.unlink()
    with pytest.raises(InputError, match=r"fleet\.yaml:5: .*box\.json cannot be read: No such file"):
        read_fleet(tmp_path / "fleet.yaml")


def test_the_benchmark_prints_what_is_read_of_it():
    """The names of its report, as they are today."""
    from benchmark.find_max import FindMax
    from benchmark.report import machine

    assert "streams" in FindMax.__struct_fields__
    assert machine()["cores"] >= 1


def test_a_fleet_of_2000_cameras_is_planned_within_seconds(tmp_path):
    cameras = [{"name": f"c{n}", "site": "north", "source": f"rtsp://192.0.2.1/{n}"} for n in range(2000)]
    hosts = [{"name": "box", "count": 73, "cores": 8, "streams_per_core": 5}]
    values = {"fleet": "big", "sites": [{"name": "north", "hosts": hosts}], "cameras": cameras}
    (tmp_path / "fleet.yaml").write_text(yaml.safe_dump(values))
    planned = read_fleet(tmp_path / "fleet.yaml").planned()
    assert len(planned.shards) == 72
