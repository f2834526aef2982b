"""What tells the runs of a fleet apart: written into each event, metric, log line and report of a run that has it."""

from __future__ import annotations

import secrets
import socket

from msgspec import Struct
from msgspec.structs import asdict

from configs.errors import InputError
from configs.schema import RunConfig

_LONGEST = 63  # characters; of a DNS label, so that each fits where orchestrators put it


class Labels(Struct, frozen=True):
    """Where a run stands and which one it is. `run` is made anew for each; all are empty for a run of no fleet."""

    site: str = ""
    host: str = ""
    shard: str = ""
    run: str = ""

    @property
    def given(self) -> dict[str, str]:
        """Those that are not empty.

        >>> Labels(site="north", run="3f").given
        {'site': 'north', 'run': '3f'}
        """
        return {name: value for name, value in asdict(self).items() if value}


NONE = Labels()


def labels_of(run: RunConfig) -> Labels:
    """The labels of a run that begins now: none where neither site, host nor shard is named.

    Raises InputError for what is no name.
    """
    for name in ("site", "host", "shard"):
        check_name(f"run.{name}", getattr(run, name))
    if not (run.site or run.host or run.shard):
        return NONE
    return Labels(run.site, run.host or socket.gethostname(), run.shard, secrets.token_hex(8))


def check_name(option: str, name: str) -> None:
    """Raise InputError for what cannot be the name of a site, host or shard: it becomes a folder, a topic, a label."""
    plain = name.replace("-", "").replace("_", "").replace(".", "")
    if name and not (plain.isalnum() and plain.isascii() and name[0].isalnum() and len(name) <= _LONGEST):
        raise InputError(
            f"{option} {name!r}: a name begins with a letter or digit and has these, '-', '_' and '.' only, "
            f"{_LONGEST} at most"
        )
