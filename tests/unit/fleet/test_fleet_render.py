"""What is rendered: options that the program takes, for each camera once, and no secret anywhere."""

import re
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from configs.command import new_app
from configs.errors import InputError
from configs.imported import imported
from configs.load import load_config
from configs.schema import SourceConfig
from fleet.command import COMMANDS
from fleet.file import read_fleet
from fleet.kubernetes import PLACE, chart
from fleet.render import ENGINES, render, secrets_of
from fleet.shards import shard_runs
from fleet.swarm import stack

FLEET = """\
fleet: plant
image: registry.example/maskstream:1
sites:
  - {name: north, hosts: [{name: box, count: 3, cores: 8, streams_per_core: 5}]}
  - {name: south, hosts: [{name: gate, cores: 4, streams_per_core: 5}]}
cameras:
  - {name: door, site: north, source: "rtsp://me:${CAMERA_PASSWORD}@192.0.2.11/live", fps: 10}
  - {name: hall, site: north, source: "${HALL}", wait: false, weight: 3}
  - {name: yard, site: north, source: "http://192.0.2.13/${file:/run/secrets/yard}/a.mjpg"}
  - {name: gate, site: south, source: demo}
defaults:
  detect: {every: 3}
  overlay: {segment: 10m, rules: rules.yaml}
  classify: {model: "$${x}.onnx"}
events: ["mqtt://broker:${CAMERA_PASSWORD}@192.0.2.2/masks/{site}/{shard}"]
recordings: ["record:/data/{fleet}/"]
"""
RULES = "rules:\n  - {name: crowd, kind: people, more_than: 5}\n"
SECRET = "s3cret-word"


@pytest.fixture
def fleet_file(tmp_path, monkeypatch):
    """FLEET on the disk; its secrets in the environment."""
    monkeypatch.setenv("CAMERA_PASSWORD", SECRET)
    monkeypatch.setenv("HALL", f"rtsp://{SECRET}:{SECRET}@192.0.2.12/live")
    monkeypatch.setenv("MASKSTREAM_TOKEN", f"{SECRET}-{SECRET}")
    (tmp_path / "fleet.yaml").write_text(FLEET)
    (tmp_path / "rules.yaml").write_text(RULES)
    return tmp_path / "fleet.yaml"


def fleet_of(file, change=("", "")):
    file.write_text(FLEET.replace(*change, 1))
    return read_fleet(file, look_up=False)


def test_each_camera_is_watched_by_one_run_with_its_options(fleet_file, tmp_path):
    seen = {}
    for run in shard_runs(fleet_of(fleet_file), PLACE):
        (tmp_path / "shard.yaml").write_text(run.text)
        options = load_config(tmp_path / "shard.yaml", look_up=False)
        seen |= {source.name: source for source in options.sources}
        assert (options.detect.every, options.overlay.segment) == (3, "10m")
        assert options.classify.model == "$${x}.onnx"
        assert options.overlay.rules == "/etc/maskstream/rules.yaml"
        site = run.shard.site
        assert set(options.overlay.sinks) == {
            "web",
            "sqlite:/data/events.db",
            f"mqtt://broker:${{CAMERA_PASSWORD}}@192.0.2.2/masks/{site}/{run.shard.name}",
            "record:/data/plant/",
        }
        assert (options.web.host, options.web.token) == ("0.0.0.0", "${MASKSTREAM_TOKEN}")
        assert options.run.keep_going
        assert (options.run.site, options.run.shard, options.run.folder) == (site, run.shard.name, "/data")
        assert options.run.cores == {"north": 8, "south": 4}[site]
    assert seen == {
        "door": SourceConfig(name="door", source="rtsp://me:${CAMERA_PASSWORD}@192.0.2.11/live", fps=10, wait=True),
        "hall": SourceConfig(name="hall", source="${HALL}"),
        "yard": SourceConfig(name="yard", source="http://192.0.2.13/${file:/run/secrets/yard}/a.mjpg", wait=True),
        "gate": SourceConfig(name="gate", source="demo"),
    }


def test_with_its_secrets_there_a_shard_is_what_was_meant(fleet_file, tmp_path):
    fleet = fleet_of(fleet_file, ("${file:/run/secrets/yard}", "yard"))
    for run in shard_runs(fleet, PLACE):
        (tmp_path / "shard.yaml").write_text(run.text)
        for source in load_config(tmp_path / "shard.yaml").sources:
            assert source.name != "door" or source.source == f"rtsp://me:{SECRET}@192.0.2.11/live"


def test_shards_are_told_where_to_say_how_they_stand_and_who_classifies(fleet_file, tmp_path):
    more = "serve: {url: 'https://192.0.2.2:8090/'}\ninference: {url: 'http://192.0.2.3:8000/mask', token: '${FAR}'}\n"
    fleet = fleet_of(fleet_file, ("defaults:", f"{more}defaults:"))
    for run in shard_runs(fleet, PLACE):
        (tmp_path / "shard.yaml").write_text(run.text)
        options = load_config(tmp_path / "shard.yaml", look_up=False)
        assert (options.run.status, options.run.status_token) == (
            "https://192.0.2.2:8090/status",
            "${MASKSTREAM_TOKEN}",
        )
        assert (options.classify.remote, options.classify.remote_token) == ("http://192.0.2.3:8000/mask", "${FAR}")


def test_only_an_engine_that_starts_a_triton_can_do_without_its_address(fleet_file):
    fleet = fleet_of(fleet_file, ("defaults:", "inference: {image: i, models: m}\ndefaults:"))
    assert "http://plant-inference:8000/mask" in shard_runs(fleet, PLACE)[0].text
    with pytest.raises(InputError, match=r"inference.url: only the Kubernetes chart starts a Triton: give its address"):
        stack(fleet)


@pytest.mark.parametrize("engine", ENGINES)
def test_no_secret_stands_in_what_is_rendered(fleet_file, tmp_path, engine):
    fleet = read_fleet(fleet_file, look_up=False)
    files = render(fleet, engine, tmp_path / "out")
    assert sorted(files) == sorted(path for path in (tmp_path / "out").rglob("*") if path.is_file())
    text = "".join(path.read_text() for path in files)
    assert SECRET not in text
    assert "CAMERA_PASSWORD" in text
    assert secrets_of(fleet) == ["CAMERA_PASSWORD", "HALL", "MASKSTREAM_TOKEN", "yard"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            "me:${CAMERA_PASSWORD}@192.0.2.11",
            f"me:{SECRET}@192.0.2.11",
            "fleet.yaml:7: cameras[0].source: holds a secret",
        ),
        ("detect: {every: 3}", f"web: {{token: {SECRET}}}", "fleet.yaml:12: defaults.web.token: holds a secret"),
        ("broker:${CAMERA_PASSWORD}@", f"broker:{SECRET}@", "fleet.yaml:15: events[0]: holds a secret"),
        (
            "${file:/run/secrets/yard}",
            "${file:/etc/yard}",
            "fleet.yaml:9: cameras[2].source: file:/etc/yard: engines put secrets into /run/secrets",
        ),
    ],
)
@pytest.mark.parametrize("engine", ENGINES)
def test_a_fleet_that_cannot_be_rendered_leaves_nothing_behind(fleet_file, tmp_path, engine, old, new, said):
    fleet = fleet_of(fleet_file, (old, new))
    with pytest.raises(InputError) as refused:
        render(fleet, engine, tmp_path / "out")
    assert str(refused.value).removeprefix(f"{tmp_path}/").startswith(said)
    assert SECRET not in str(refused.value)
    assert not (tmp_path / "out").exists()


def test_the_chart_has_of_each_shard_what_it_needs(fleet_file):
    values = yaml.safe_load(chart(read_fleet(fleet_file, look_up=False))["values.yaml"])
    assert values["rules"] == RULES
    south = values["shards"]["south-0"]
    assert (south["site"], south["cpu"]) == ("south", "3.6")
    assert south["variables"] == ["CAMERA_PASSWORD", "MASKSTREAM_TOKEN"], "not the secrets of other cameras"
    assert south["files"] == []
    [of_yard] = [shard for shard in values["shards"].values() if "yard" in shard["config"]]
    assert of_yard["files"] == ["yard"]


def test_a_stack_names_what_it_has_and_its_secrets_are_files(fleet_file):
    files = stack(read_fleet(fleet_file, look_up=False))
    values = yaml.safe_load(files["stack.yaml"])
    assert set(values["secrets"]) == {"CAMERA_PASSWORD", "HALL", "MASKSTREAM_TOKEN", "yard"}
    for name, service in values["services"].items():
        text = files[values["configs"][name]["file"].removeprefix("./")]
        assert set(re.findall(r"/run/secrets/(\w+)", text)) == set(service["secrets"])
        assert not re.search(r"\$\{(?!file:|x)", text), "Swarm has secrets as files only"
        assert {config["source"] for config in service["configs"]} <= set(values["configs"])
        assert "{{" not in " ".join(service["command"]), "Swarm fills it in elsewhere only"
    assert "${file:/run/secrets/HALL}" in "".join(files.values())


def test_another_text_is_another_config_of_the_swarm(fleet_file):
    """Docker refuses to change one."""
    before, after = (
        yaml.safe_load(stack(fleet_of(fleet_file, change))["stack.yaml"])["configs"]
        for change in (("", ""), ("fps: 10", "fps: 11"))
    )
    changed = {name for name in before if before[name] != after[name]}
    assert len(changed) == 1
    assert changed < set(before)


def test_shards_that_are_no_more_are_removed_and_other_files_stay(fleet_file, tmp_path):
    out = tmp_path / "out"
    render(fleet_of(fleet_file), "swarm", out)
    (out / "own.yaml").write_text("mine")
    assert (out / "shards" / "south-0.yaml").exists()
    render(fleet_of(fleet_file, ("  - {name: gate, site: south, source: demo}\n", "")), "swarm", out)
    assert not (out / "shards" / "south-0.yaml").exists()
    assert (out / "own.yaml").read_text() == "mine"


def test_ray_has_a_group_for_each_kind_of_host_with_a_place_for_each_shard(fleet_file):
    two_kinds = (
        "hosts: [{name: box, count: 3, cores: 8",
        "hosts: [{name: big, cores: 64, streams_per_core: 5}, {name: box, count: 3, cores: 8",
    )
    fleet = fleet_of(fleet_file, two_kinds)
    documents = list(yaml.safe_load_all(ENGINES["kuberay"](fleet)["raycluster.yaml"]))
    assert [document["kind"] for document in documents] == ["ConfigMap", "ConfigMap", "RayCluster"]
    groups = documents[-1]["spec"]["workerGroupSpecs"]
    assert [(group["groupName"], group["replicas"]) for group in groups] == [
        ("north-64x8", 1),
        ("north-8x1", 3),
        ("south", 1),
    ]
    assert yaml.safe_load(yaml.safe_load(groups[0]["rayStartParams"]["resources"])) == {"site-north": 8}


@pytest.fixture
def command():
    """`maskstream fleet` in this process."""
    app = new_app([imported(place) for place in COMMANDS], "maskstream fleet")

    def run(*words):
        result = CliRunner().invoke(app, [*map(str, words)])
        if isinstance(result.exception, InputError):
            return str(result.exception)
        assert result.exit_code == 0, result.output
        return result.output

    return run


def test_the_plan_is_told_to_people_and_to_scripts(command, fleet_file):
    (fleet_file.parent / "fleet.yaml").write_text(FLEET.replace("${file:/run/secrets/yard}", "yard"))
    told = command("plan", fleet_file)
    assert "plant: 4 cameras in 3 shards on 4 hosts of 2 sites" in told
    assert "nobody watches its 1 camera" in told
    assert "nothing: it is spare" in told
    planned = yaml.safe_load(command("plan", fleet_file, "--json"))
    assert [site["name"] for site in planned["sites"]] == ["north", "south"]
    assert SECRET not in told + str(planned)


def test_the_engine_that_the_file_names_is_rendered(command, fleet_file, tmp_path):
    fleet_file.write_text(f"engine: swarm\n{fleet_file.read_text()}")
    command("render", fleet_file, "--without-secrets", "-o", str(tmp_path / "out"))
    assert (tmp_path / "out" / "stack.yaml").is_file()
    command("render", fleet_file, "--without-secrets", "--engine", "kubernetes", "-o", str(tmp_path / "chart"))
    assert (tmp_path / "chart" / "Chart.yaml").is_file()


def test_wrong_words_are_refused(command, fleet_file, tmp_path):
    assert "--engine nomad: use kubernetes, kuberay, swarm" in command(
        "render", fleet_file, "--without-secrets", "-o", tmp_path / "out", "--engine", "nomad"
    )
    assert "cannot read /run/secrets/yard" in command("plan", fleet_file)
    assert "wrote" in command("render", fleet_file, "--without-secrets", "-o", tmp_path / "out")
    assert (tmp_path / "out" / "Chart.yaml").exists()
    (tmp_path / "a file").write_text("")
    refused = command("render", fleet_file, "--without-secrets", "-o", tmp_path / "a file")
    assert "is a file: give a folder" in refused


def test_the_chart_and_the_page_go_with_the_package():
    """Files that are no Python come only if pyproject names them."""
    import tomllib

    root = Path(__file__).resolve().parents[3]
    named = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["fleet"]
    found = {path for pattern in named for path in (root / "fleet").glob(pattern)}
    there = {path for room in ("chart", "static") for path in (root / "fleet" / room).rglob("*") if path.is_file()}
    assert found == there
