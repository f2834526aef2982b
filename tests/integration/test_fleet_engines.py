"""What is rendered, by the engines' own readers: Helm, Kubernetes' schemas, Docker; and a shard that really runs."""

import copy
import os
import shutil
import signal
import subprocess
import sys

import pytest
import yaml
from ports import free_port
from program import ROOT

from fleet.file import read_fleet
from fleet.kubernetes import PLACE
from fleet.render import render
from fleet.shards import shard_runs

FLEET = """\
fleet: plant
sites:
  - name: north
    hosts:
      - {name: box, count: 3, cores: 8, streams_per_core: 5}
      - {name: big, cores: 32, streams_per_core: 5}
  - {name: south, hosts: [{name: gate, cores: 4, streams_per_core: 5}]}
cameras:
  - {name: door, site: north, source: "rtsp://me:${CAMERA_PASSWORD}@192.0.2.11/live"}
  - {name: hall, site: north, source: "file:/run/secrets/hall"}
  - {name: gate, site: south, source: "rtsp://192.0.2.12/live"}
defaults: {overlay: {rules: rules.yaml}}
"""
INFERENCE = {"kubernetes": '{image: "nvcr.io/nvidia/tritonserver:24.12-py3", models: models}'}
ELSEWHERE = '{url: "http://192.0.2.3:8000/mask"}'  # only the chart starts a server


@pytest.fixture
def rendered(tmp_path):
    """`rendered(engine)`: the folder with what was made of FLEET."""
    (tmp_path / "rules.yaml").write_text("rules:\n  - {name: crowd, kind: people, more_than: 5}\n")

    def of(engine):
        (tmp_path / "fleet.yaml").write_text(f"{FLEET}inference: {INFERENCE.get(engine, ELSEWHERE)}\n")
        render(read_fleet(tmp_path / "fleet.yaml", look_up=False), engine, tmp_path / engine)
        return tmp_path / engine

    return of


def helm():
    return pytest.importorskip("helm_python", reason="needs Helm: pip install helm-python-sdk")


def refusal(document):
    """What Kubernetes' own schemas, with unknown fields refused, say of an object; empty: nothing."""
    validate = pytest.importorskip("kubernetes_validate", reason="needs its schemas: pip install kubernetes-validate")
    try:
        validate.validate(document, validate.latest_version(), strict=True)
    except validate.ValidationError as error:
        return error.message
    return ""


def objects_of(chart, values):
    """The objects that Helm makes of a chart."""
    texts = helm().Chart.load(str(chart)).render(values, name="fleet", namespace="masks").values()
    return [document for text in texts for document in yaml.safe_load_all(text) if document]


def test_helm_finds_nothing_wrong_with_the_chart(rendered):
    found = helm().lint(str(rendered("kubernetes")), strict=True)
    assert found["total_charts_linted"] == 1
    assert [one for one in found["messages"] if one["severity"] > 1] == []
    assert found["errors"] == []


def test_helm_refuses_a_broken_chart(rendered):
    chart = rendered("kubernetes")
    template = chart / "templates" / "shards.yaml"
    template.write_text(template.read_text().replace("{{- end }}", "", 1))
    assert helm().lint(str(chart))["errors"]


@pytest.mark.parametrize("values", [{}, {"storage": {"class": "fast"}}], ids=["no volumes", "volumes"])
def test_kubernetes_takes_every_object_of_the_chart(rendered, values):
    objects = objects_of(rendered("kubernetes"), values)
    assert {one: refusal(document) for one, document in enumerate(objects)} == dict.fromkeys(range(len(objects)), "")
    kinds = [document["kind"] for document in objects]
    shards = len(yaml.safe_load((rendered("kubernetes") / "values.yaml").read_text())["shards"])
    assert {kind: kinds.count(kind) for kind in kinds} == {
        "ConfigMap": shards,
        "Deployment": shards + 1,
        "Service": shards + 1,
        "NetworkPolicy": 1,
    } | ({"PersistentVolumeClaim": shards} if values else {})


def deployment_of(objects, shard):
    [found] = [one for one in objects if one["kind"] == "Deployment" and one["metadata"]["name"] == f"plant-{shard}"]
    return found


def test_what_a_shard_is_started_with_is_what_was_planned(rendered, tmp_path):
    objects = objects_of(rendered("kubernetes"), {})
    runs = shard_runs(read_fleet(tmp_path / "fleet.yaml", look_up=False), PLACE)
    maps = {one["metadata"]["name"]: one["data"] for one in objects if one["kind"] == "ConfigMap"}
    for run in runs:
        assert yaml.safe_load(maps[f"plant-{run.shard.name}"]["shard.yaml"]) == yaml.safe_load(run.text)
        assert "crowd" in maps[f"plant-{run.shard.name}"]["rules.yaml"]
        spec = deployment_of(objects, run.shard.name)["spec"]
        assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
        pod = spec["template"]["spec"]
        assert {one["tolerationSeconds"] for one in pod["tolerations"]} == {15}
        assert pod["nodeSelector"] == {"maskstream/site": run.shard.site}
        [container] = pod["containers"]
        assert [one["name"] for one in container["env"]] == ["POD", *run.variables]
        assert all("value" not in one for one in container["env"])
        mounted = {one["mountPath"] for one in container["volumeMounts"]}
        assert ("/run/secrets" in mounted) == bool(run.files)
        assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
        assert "--ready" in container["readinessProbe"]["exec"]["command"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


@pytest.mark.parametrize(
    "spoil",
    [
        lambda spec: spec.update(replicas="one"),
        lambda spec: spec.pop("selector"),
        lambda spec: spec["template"]["spec"]["containers"][0]["ports"][0].update(containerPrt=8080),
        lambda spec: spec["template"]["spec"]["containers"][0].pop("name"),
    ],
    ids=["a word for a number", "without selector", "a mistyped field", "without name"],
)
def test_a_broken_object_is_refused(rendered, spoil):
    """Else the tests above show nothing."""
    broken = copy.deepcopy(deployment_of(objects_of(rendered("kubernetes"), {}), "south-0"))
    assert not refusal(broken)
    spoil(broken["spec"])
    assert refusal(broken)


POD = {"type": "object"}  # by Kubernetes' own schema
WORDS = {"type": "object", "additionalProperties": {"type": "string"}}
COUNT = {"type": "integer", "minimum": 0}
# The fields that we write, with the types and required ones of KubeRay's CRD (RayCluster ray.io/v1, August 2026).
RAY_CLUSTER = {
    "type": "object",
    "additionalProperties": False,
    "required": ["headGroupSpec"],
    "properties": {
        "rayVersion": {"type": "string"},
        "authOptions": {
            "type": "object",
            "additionalProperties": False,
            "properties": {"mode": {"enum": ["disabled", "token"]}},
        },
        "headGroupSpec": {
            "type": "object",
            "additionalProperties": False,
            "required": ["template"],
            "properties": {"rayStartParams": WORDS, "template": POD},
        },
        "workerGroupSpecs": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["groupName", "maxReplicas", "minReplicas", "template"],
                "properties": {
                    "groupName": {"type": "string"},
                    "replicas": COUNT,
                    "minReplicas": COUNT,
                    "maxReplicas": COUNT,
                    "rayStartParams": WORDS,
                    "template": POD,
                },
            },
        },
    },
}


def closed(schema):
    """A CRD's schema in which unknown fields are refused, as `kubectl apply --validate=strict` refuses them."""
    if isinstance(schema, list):
        return [closed(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    found = {name: closed(value) for name, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and not schema.get("x-kubernetes-preserve-unknown-fields"):
        found.setdefault("additionalProperties", False)
    if schema.get("x-kubernetes-int-or-string"):
        found = {"type": ["integer", "string"]}
    return found


def ray_refusal(cluster):
    """What is wrong with a RayCluster: by KubeRay's CRD where KUBERAY_CRD names its file, else by its main fields."""
    jsonschema = pytest.importorskip("jsonschema", reason="pip install jsonschema")
    schema = RAY_CLUSTER
    if file := os.environ.get("KUBERAY_CRD"):
        with open(file) as text:
            versions = yaml.safe_load(text)["spec"]["versions"]
        [version] = [one for one in versions if one["name"] == "v1"]
        schema = closed(version["schema"]["openAPIV3Schema"]["properties"]["spec"])
    errors = [error.message for error in jsonschema.Draft7Validator(schema).iter_errors(cluster["spec"])]
    groups = [cluster["spec"]["headGroupSpec"], *cluster["spec"]["workerGroupSpecs"]]
    pods = [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "ray"}, **group["template"]}
        for group in groups
        if "template" in group
    ]
    return "; ".join([*errors, *filter(None, map(refusal, pods))])


def test_kuberay_takes_the_ray_cluster_and_a_broken_one_is_refused(rendered):
    *maps, cluster = yaml.safe_load_all((rendered("kuberay") / "raycluster.yaml").read_text())
    assert [refusal(document) for document in maps] == [""] * len(maps)
    assert not ray_refusal(cluster)
    for spoil in (
        lambda spec: spec["workerGroupSpecs"][0].pop("minReplicas"),
        lambda spec: spec["workerGroupSpecs"][0].update(replica=1),
        lambda spec: spec["authOptions"].update(mode="password"),
        lambda spec: spec["headGroupSpec"]["template"]["spec"]["containers"][0].update(imagePullPolice="Always"),
    ):
        broken = copy.deepcopy(cluster)
        spoil(broken["spec"])
        assert ray_refusal(broken)


def docker_refusal(stack):
    """What Docker's own reader says of a stack file; empty: it takes it. It needs no engine for that."""
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "stack", "config", "--help"], capture_output=True).returncode:
        pytest.skip("needs Docker's command with `docker stack config` (25 or later)")
    done = subprocess.run([docker, "stack", "config", "-c", str(stack)], capture_output=True, text=True, timeout=60)
    return done.stderr if done.returncode else ""


def test_docker_takes_the_stack_and_a_broken_one_is_refused(rendered):
    stack = rendered("swarm") / "stack.yaml"
    assert docker_refusal(stack) == ""
    text = stack.read_text()
    for old, new in (("replicas: 1", "replicas: one"), ("read_only:", "readonly:"), ("stop-first", "stop-frst: [")):
        stack.write_text(text.replace(old, new, 1))
        assert docker_refusal(stack)


def test_a_shard_runs_and_says_when_it_is_ready(maskstream, tmp_path, monkeypatch):
    """The options as rendered, but for its folder and the address, which are the container's."""
    monkeypatch.setenv("MASKSTREAM_TOKEN", "a-token-of-the-fleet")
    monkeypatch.setenv("TMPDIR", str(tmp_path))  # of other runs of this user nothing is seen
    (tmp_path / "fleet.yaml").write_text(
        "fleet: f\nsites: [{name: n, hosts: [{name: h, cores: 2, streams_per_core: 5}]}]\n"
        "cameras:\n  - {name: door, site: n, source: demo, realtime: true, loop: true}\n"
        "  - {name: hall, site: n, source: demo, realtime: true, loop: true}\n"
    )
    [run] = shard_runs(read_fleet(tmp_path / "fleet.yaml"), PLACE)
    (tmp_path / "shard.yaml").write_text(run.text.replace("/data/", f"{tmp_path}/"))

    def asked(*how):
        command = [sys.executable, "-m", "web.alive", *how]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)

    port = free_port()
    running = maskstream("--config", str(tmp_path / "shard.yaml"), "--host", "127.0.0.1", "--port", str(port))
    running.until(lambda: asked("--ready").returncode == 0)
    assert asked().returncode == 0
    running.signal(signal.SIGSTOP)  # its supervisor says nothing: not ready after some seconds, hung after ten
    running.until(lambda: "the supervisor has said nothing" in asked("--ready").stdout)
    running.signal(signal.SIGCONT)
    running.signal(signal.SIGINT)
    assert running.wait() == 0
    assert (tmp_path / "events.db").exists()
    assert asked("--ready").returncode == 1
