"""What Ray is told on every host of a fleet, and by the commands that ask it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from configs.errors import InputError

PORT = 6379
ADDRESS = "RAY_ADDRESS"  # the variable, which is Ray's own
MEMORY_BYTES = 80_000_000  # of Ray's object store, which wants 75 MB: nothing of ours goes through it
HOST = "MASKSTREAM_FLEET_HOST"  # the variable that tells a host's actors its name
LABEL_HOST, LABEL_VERSION = "maskstream-host", "maskstream-version"  # of a Ray node
DURABLE = {  # without these a dead head takes all cameras along after 60 s
    "RAY_kill_child_processes_on_worker_exit": "false",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "86400",  # meanwhile keepers go on, and start again what dies
}
_TOKENS = ("RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")
_CHECK_S = 2.0  # a health check comes a second after the last one, and may take a second


def ray_environment(after_s: int, environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment for Ray's processes: a host that is silent for `after_s` is dead to it.

    Raises InputError where Ray is not installed, or there is no token: whoever reaches a port of Ray runs code.
    """
    check_installed()
    check_token(environment)
    return {
        **environment,
        **DURABLE,
        "RAY_AUTH_MODE": "token",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_BACKEND_LOG_LEVEL": "error",
        "RAY_memory_monitor_refresh_ms": "0",  # else Ray kills keepers where the host's memory is short
        "RAY_health_check_initial_delay_ms": "1000",
        "RAY_health_check_period_ms": "1000",
        "RAY_health_check_timeout_ms": "1000",
        "RAY_health_check_failure_threshold": str(threshold(after_s)),
    }


def threshold(after_s: int) -> int:
    """How many health checks in a row must fail.

    >>> threshold(8), threshold(15), threshold(1)
    (4, 7, 1)
    """
    return max(1, int(after_s / _CHECK_S))


def check_installed() -> None:
    """Raises InputError."""
    try:
        version("ray")
    except PackageNotFoundError:
        raise InputError("engine ray needs Ray: pip install -e '.[fleet]' on all hosts") from None


def check_token(environment: Mapping[str, str]) -> None:
    """Raises InputError where Ray's secret is not named. It is looked for where Ray does it."""
    if not any(environment.get(name) for name in _TOKENS) and not (Path.home() / ".ray" / "auth_token").is_file():
        raise InputError(
            f"whoever reaches a port of Ray runs code: give all hosts and this command the same {' or '.join(_TOKENS)}"
        )


def address(given: str = "", environment: Mapping[str, str] = os.environ) -> tuple[str, int]:
    """Host and port of Ray's head; raises InputError for what is none.

    >>> address("192.0.2.2"), address("", {"RAY_ADDRESS": "192.0.2.2:7000"}), address("", {})
    (('192.0.2.2', 6379), ('192.0.2.2', 7000), ('127.0.0.1', 6379))
    """
    text = given or environment.get(ADDRESS) or "127.0.0.1"
    host, _, port = text.rpartition(":") if text.count(":") == 1 else (text, "", str(PORT))
    if not host or "/" in host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise InputError(f"{text}: give Ray's head as HOST or HOST:PORT (--address, or the variable {ADDRESS})")
    return host, int(port)
