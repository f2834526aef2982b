"""`python -m fleet.ray_about HOST:PORT [VERSIONS]`: what a Ray cluster says of itself, as one line of JSON.

It is a process of its own, so that who watches over Ray on a host need not hold Ray in memory (60 MB).
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from importlib.metadata import version

import msgspec
from msgspec import Struct

from configs.errors import Failure
from run.code import ROOT

_WITHIN_S = 20.0
_OURS, _KEY = b"maskstream", b"versions"


class About(Struct, frozen=True, kw_only=True):
    """One life of a cluster (`session`), and the versions that its hosts must have, where its head tells them."""

    session: str = ""
    ray: str = ""
    python: str = ""
    maskstream: str = ""

    def differs(self, other: About) -> str:
        """In words, what another one has otherwise; empty: nothing.

        >>> About(ray="2.60.0", python="3.11.7").differs(About(ray="2.60.0", python="3.12.1"))
        'Python 3.12.1, not 3.11.7'
        """
        pairs = [("Ray", self.ray, other.ray), ("Python", self.python, other.python)]
        pairs += [("maskstream", self.maskstream, other.maskstream)]
        return ", ".join(f"{name} {theirs}, not {ours}" for name, ours, theirs in pairs if ours and ours != theirs)


def own() -> About:
    """What is installed here."""
    return About(ray=version("ray"), python=platform.python_version(), maskstream=version("maskstream"))


def ask(address: str, environment: Mapping[str, str], told: About | None = None) -> About:
    """What the cluster says; `told` is what its head says first.

    Raises Failure with one line where it gives no answer, or refuses our token.
    """
    path = os.pathsep.join(filter(None, (str(ROOT), environment.get("PYTHONPATH"))))
    command = [sys.executable, "-P", "-m", "fleet.ray_about", address]
    command += [msgspec.json.encode(told).decode()] if told is not None else []
    try:
        asked = subprocess.run(
            command,
            env={**environment, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            timeout=_WITHIN_S,
            stdin=subprocess.DEVNULL,
        )
        return msgspec.json.decode(asked.stdout.splitlines()[-1], type=About)
    except subprocess.TimeoutExpired:
        raise Failure(f"Ray at {address} gives no answer within {_WITHIN_S:g} s") from None
    except (IndexError, msgspec.DecodeError):
        raise Failure(f"Ray at {address}: {reason(asked.stderr)}") from None


def reason(text: str) -> str:
    """What of Ray's many lines tells why."""
    if "InvalidAuthToken" in text or "Unauthenticated" in text:
        return "refuses our token: RAY_AUTH_TOKEN is to be the same on all hosts"
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "gives no answer"


def main() -> None:
    """Print it."""
    from ray._raylet import GcsClient

    address, *versions = sys.argv[1:]
    gcs = GcsClient(address=address)
    if versions:
        gcs.internal_kv_put(_KEY, versions[0].encode(), True, _OURS)
    told = json.loads(gcs.internal_kv_get(_KEY, _OURS) or "{}")
    session = gcs.internal_kv_get(b"session_name", b"session") or b""
    print(json.dumps(told | {"session": session.decode()}))


if __name__ == "__main__":
    main()
