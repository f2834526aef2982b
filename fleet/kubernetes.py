"""The fleet for Kubernetes: a Helm chart, of which only the values are made; and RayCluster, hosts for Ray by KubeRay.

Secrets are named, never written: each is a key of one Secret of the cluster.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml
from msgspec.structs import replace

from fleet.file import Fleet
from fleet.plan import RESERVE, SitePlan
from fleet.ray_settings import DURABLE
from fleet.shards import SECRETS, Place, ShardRun, shard_runs

SECRET = "maskstream"  # the Secret's name, as a value of the chart
PLACE = Place(  # the token is asked for there
    data="/data", rules="/etc/maskstream/rules.yaml", host="0.0.0.0", starts_triton=True
)
STORAGE = "20Gi"  # the history has 500 MB at most; the rest is for recordings
RAY_VERSION = "2.60.0"  # of which death of head and hosts was tried
_CHART = Path(__file__).resolve().parent / "chart"


def chart(fleet: Fleet) -> dict[str, str]:
    """The chart's files by path."""
    found = {
        str(file.relative_to(_CHART)): file.read_text(encoding="utf-8")
        for file in sorted(_CHART.rglob("*"))
        if file.is_file()
    }
    return found | {"values.yaml": _HEAD + _dumped(chart_values(fleet, shard_runs(fleet, PLACE)))}


_HEAD = """\
# Made by `maskstream fleet render`: what is changed here is lost the next time. Values of your own go into another
# file: helm upgrade --install NAME FOLDER --values own.yaml
"""


def chart_values(fleet: Fleet, runs: list[ShardRun]) -> dict[str, Any]:
    """What the chart's templates are filled with."""
    config = fleet.config
    return {
        "fleet": config.fleet,
        "image": config.image,
        "secret": SECRET,
        "port": config.defaults.web.port,
        "scheme": "HTTPS" if config.defaults.web.tls_cert else "HTTP",
        "failover": {"afterSeconds": config.failover.after_s},
        "storage": {"class": "", "size": STORAGE},
        "rules": fleet.rules,
        "inference": _inference(fleet),
        "shards": {run.shard.name: _shard(run) for run in runs},
    }


def _shard(run: ShardRun) -> dict[str, Any]:
    return {
        "site": run.shard.site,
        "cpu": f"{run.shard.cores:g}",
        "memory": f"{run.memory_mb}M",
        "memoryLimit": f"{2 * run.memory_mb}M",
        "variables": list(run.variables),
        "files": list(run.files),
        "config": run.text,
    }


def _inference(fleet: Fleet) -> dict[str, Any] | None:
    server = fleet.config.inference
    if server is None or server.url:
        return None
    return {"image": server.image, "models": server.models, "gpus": server.gpus, "replicas": server.replicas}


def ray_cluster(fleet: Fleet) -> dict[str, str]:
    """A head and a group of workers for each kind of host; a worker has the resource `site-NAME`, one for each slot."""
    runs = shard_runs(fleet, replace(PLACE, starts_triton=False))
    plan = fleet.planned()
    groups = [group for site in plan.sites for group in _groups(fleet, site, runs)]
    head = _pod(fleet, "ray-head", [], cores=1, memory_mb=2000)
    cluster = {
        "apiVersion": "ray.io/v1",
        "kind": "RayCluster",
        "metadata": {"name": fleet.config.fleet, "labels": {"app.kubernetes.io/part-of": fleet.config.fleet}},
        "spec": {
            "rayVersion": RAY_VERSION,
            "authOptions": {"mode": "token"},  # else whoever reaches a port of Ray runs code
            "headGroupSpec": {
                "rayStartParams": {"num-cpus": "0", "dashboard-host": "127.0.0.1"},
                "template": head,
            },
            "workerGroupSpecs": groups,
        },
    }
    maps = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": f"{fleet.config.fleet}-{site.name}"},
            "data": {f"{run.shard.name}.yaml": run.text for run in runs if run.shard.site == site.name}
            | ({"rules.yaml": fleet.rules} if fleet.rules else {}),
        }
        for site in plan.sites
    ]
    return {"raycluster.yaml": "---\n".join(map(_dumped, [*maps, cluster]))}


def _groups(fleet: Fleet, site: SitePlan, runs: list[ShardRun]) -> list[dict[str, Any]]:
    """One group for each kind of host of a site."""
    mine = [run for run in runs if run.shard.site == site.name]
    kinds: dict[tuple[int, int], int] = {}
    for host in site.hosts:
        kinds[host.cores, host.slots] = kinds.get((host.cores, host.slots), 0) + 1
    largest = max((run.memory_mb for run in mine), default=0)
    groups = []
    for (cores, slots), count in kinds.items():
        name = site.name if len(kinds) == 1 else f"{site.name}-{cores}x{slots}"
        resources = json.dumps(json.dumps({f"site-{site.name}": slots}))  # twice: it passes through a shell
        pod = _pod(fleet, "ray-worker", mine, cores=RESERVE * cores, memory_mb=1000 + slots * 2 * largest)
        pod["spec"]["nodeSelector"] = {"maskstream/site": site.name}
        pod["spec"]["containers"][0]["volumeMounts"].insert(0, {"name": "config", "mountPath": "/etc/maskstream"})
        pod["spec"]["volumes"].insert(0, {"name": "config", "configMap": {"name": f"{fleet.config.fleet}-{site.name}"}})
        groups.append(
            {
                "groupName": name,
                "replicas": count,
                "minReplicas": count,
                "maxReplicas": count,
                "rayStartParams": {"num-cpus": str(cores), "resources": resources},
                "template": pod,
            }
        )
    return groups


def _pod(fleet: Fleet, name: str, runs: list[ShardRun], cores: float, memory_mb: int) -> dict[str, Any]:
    """A pod of Ray's with the secrets of the shards that may run in it."""
    variables = sorted({name for run in runs for name in run.variables})
    files = sorted({name for run in runs for name in run.files})
    mounts: list[dict[str, Any]] = [{"name": "data", "mountPath": "/data"}, {"name": "tmp", "mountPath": "/tmp"}]
    volumes: list[dict[str, Any]] = [{"name": "data", "emptyDir": {}}, {"name": "tmp", "emptyDir": {}}]
    if files:
        mounts.append({"name": "secrets", "mountPath": SECRETS, "readOnly": True})
        items = [{"key": file, "path": file} for file in files]
        volumes.append({"name": "secrets", "secret": {"secretName": SECRET, "defaultMode": 0o440, "items": items}})
    environment: list[dict[str, Any]] = [{"name": name, "value": value} for name, value in DURABLE.items()]
    environment += [{"name": one, "valueFrom": {"secretKeyRef": {"name": SECRET, "key": one}}} for one in variables]
    container = {
        "name": name,
        "image": fleet.config.image,
        "env": environment,
        "resources": {
            "requests": {"cpu": f"{cores:g}", "memory": f"{memory_mb}M"},
            "limits": {"memory": f"{memory_mb}M"},
        },
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        "volumeMounts": mounts,
    }
    return {
        "spec": {
            "automountServiceAccountToken": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 1000,
                "runAsGroup": 1000,
                "fsGroup": 1000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "containers": [container],
            "volumes": volumes,
        }
    }


def _dumped(value: Any) -> str:
    return yaml.dump(value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=1000)


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as they are read, not as one line with signs for its breaks; nothing by reference."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)
