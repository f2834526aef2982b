"""The fleet for Docker Swarm: a stack file, and the shards' options as configs. Secrets are those of the swarm."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

import yaml

from fleet.file import Fleet
from fleet.shards import Place, ShardRun, shard_runs

PLACE = Place(data="/data", rules="/etc/maskstream/rules.yaml", host="0.0.0.0", secrets_are_files=True)
_TASK = "MASKSTREAM_TASK"
BEATS = 3  # a node that misses so many heartbeats is down to the swarm's manager


def stack(fleet: Fleet) -> dict[str, str]:
    """The files of the stack by path."""
    runs = shard_runs(fleet, PLACE)
    files = {f"shards/{run.shard.name}.yaml": run.text for run in runs}
    if fleet.rules:
        files["rules.yaml"] = fleet.rules
    values = {
        "version": "3.9",
        "services": {run.shard.name: _service(fleet, run) for run in runs},
        "configs": {name: _config(fleet, name, path, files[path]) for name, path in _configs(files)},
        "secrets": {name: {"external": True} for name in sorted({name for run in runs for name in run.files})},
        "volumes": {run.shard.name: {} for run in runs},
    }
    beat_s = max(1, fleet.config.failover.after_s // BEATS)
    head = (
        f"# docker stack deploy -c stack.yaml {fleet.config.fleet}\n"
        f"# once for the swarm: docker swarm update --dispatcher-heartbeat {beat_s}s\n"
        "# once for each node: docker node update --label-add maskstream.site=SITE NODE\n"
    )
    return files | {"stack.yaml": head + yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=1000)}


def _configs(files: dict[str, str]) -> list[tuple[str, str]]:
    return [(path.rpartition("/")[2].removesuffix(".yaml"), path) for path in files]


def _config(fleet: Fleet, name: str, path: str, text: str) -> dict[str, Any]:
    """Swarm's configs never change: another text is another config, by a name that tells it."""
    digest = blake2b(text.encode(), digest_size=6).hexdigest()
    return {"name": f"{fleet.config.fleet}-{name}-{digest}", "file": f"./{path}"}


def _service(fleet: Fleet, run: ShardRun) -> dict[str, Any]:
    configs = [{"source": run.shard.name, "target": "/etc/maskstream/shard.yaml"}]
    if fleet.rules:
        configs.append({"source": "rules", "target": PLACE.rules})
    return {
        "image": fleet.config.image,
        "hostname": "{{.Node.Hostname}}",  # the host in events and metrics; else it is the container's number
        "command": ["run", "--config", "/etc/maskstream/shard.yaml", "--grant", f"$${{{_TASK}}}", "--log", "json"],
        "environment": {_TASK: "{{.Task.ID}}"},  # Swarm fills it in here, and not in the command
        "configs": configs,
        "secrets": list(run.files),
        "read_only": True,
        "cap_drop": ["ALL"],
        "volumes": [
            {"type": "volume", "source": run.shard.name, "target": "/data"},
            {"type": "tmpfs", "target": "/tmp"},
        ],
        "stop_grace_period": "15s",
        "healthcheck": {
            "test": ["CMD", "python", "-m", "web.alive"],
            "interval": "30s",
            "timeout": "10s",
            "start_period": "120s",
        },
        "deploy": {
            "replicas": 1,
            "placement": {"constraints": [f"node.labels.maskstream.site == {run.shard.site}"]},
            "restart_policy": {"condition": "any", "delay": "2s"},
            "update_config": {"order": "stop-first", "failure_action": "pause"},
            "resources": {
                "reservations": {"cpus": f"{run.shard.cores:g}", "memory": f"{run.memory_mb}M"},
                "limits": {"memory": f"{2 * run.memory_mb}M"},
            },
        },
    }
