"""Which code a run began with: a process that is started later must be of the same, or they misunderstand each other.

An upgrade on disk under a run ended it with the traceback of the first stage that died afterwards.
"""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_ROOMS = (
    "capture",
    "configs",
    "events",
    "inference",
    "overlay",
    "recordings",
    "run",
    "share",
    "tell",
    "transport",
    "web",
)

UPGRADED = "maskstream was upgraded while this run went on; end the run and start it again"


def fingerprint(root: Path = ROOT) -> bytes:
    """Of all files of Python that the processes of a run import; a moment's work, for those that are being replaced."""
    digest = blake2b(digest_size=16)
    for room in _ROOMS:
        for file in sorted((root / room).rglob("*.py")):
            digest.update(file.relative_to(root).as_posix().encode() + b"\0")
            try:
                digest.update(file.read_bytes())
            except OSError:  # it is being replaced right now
                digest.update(b"\0")
    return digest.digest()
