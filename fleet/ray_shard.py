"""One shard on Ray: an actor that holds a keeper, on the host where Ray has placed it.

Ray starts the actor elsewhere when its host dies. The run itself is not Ray's: it goes on when the actor, Ray on this
host or Ray's head dies, and the next actor on this host adopts it. One that starts elsewhere has a new grant, so a
newer epoch, and the copy that it leaves behind is fenced as soon as it asks.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

import msgspec
import yaml
from msgspec import Struct

from configs.errors import InputError
from configs.load import load_config
from fleet.keeper import Keeper
from fleet.kept import Kept, ShardStatus, accounted
from fleet.local_files import CONFIG, DATA
from fleet.ports import is_free, ports
from fleet.ray_settings import HOST
from fleet.state_folder import fleets_folder, made
from run.lease import Lease, is_held, read_lease, write_private
from run.owned import fingerprint

HERE = "@HERE@"  # in options that are made for any host: the shard's data
_LOOK_S = 0.2


class Asked(Struct, frozen=True, kw_only=True):
    """A shard as it is to be: its options (YAML), the text of its rules, and the first port for its page."""

    fleet: str
    shard: str
    site: str
    text: str
    rules: str
    port: int


class Answer(Struct, frozen=True, kw_only=True):
    """How it stands, and what was asked for last. `changed`: what runs has other options than that."""

    status: ShardStatus
    asked: Asked
    changed: bool


class Alive(Struct, frozen=True, kw_only=True):
    """A run that goes on, on the host that was asked."""

    shard: str
    epoch: int


class RayShard:
    """The actor. What it takes and gives are bytes of JSON; all of it returns at once."""

    def __init__(self, asked: bytes) -> None:
        self._host = os.environ[HOST]
        self._keeper: Keeper | None = None
        self._changed = self.want(asked)
        self._begin()

    def want(self, asked: bytes) -> bool:
        """Write down the options that it is to have, for the next life; whether what runs has others."""
        self._asked = one = msgspec.json.decode(asked, type=Asked)
        self._folder = made(fleets_folder() / one.fleet / one.shard)
        with _alone(self._folder.parent):
            config = self._folder / CONFIG
            write_private(config, at_home(one, self._folder, self._host, self._port()).encode())
        if one.rules:
            write_private(self._folder / rules_file(one), one.rules.encode())
        lease = self._lease()
        self._changed = lease is not None and lease.config != fingerprint(load_config(self._folder / CONFIG))
        return self._changed

    def renew(self) -> None:
        """Drain the run, and start it anew with the options of now."""
        self._changed = False
        if self._keeper is None or self._keeper.is_over:
            self._begin()
        else:
            self._keeper.renew()

    def drain(self) -> None:
        """The run reads no more, delivers and ends."""
        if self._keeper is not None:
            self._keeper.drain()

    def end(self) -> None:
        """SIGTERM to the run."""
        if self._keeper is not None:
            self._keeper.end()

    def answer(self) -> bytes:
        """How it stands."""
        kept = self._keeper.known if self._keeper is not None else Kept(shard=self._asked.shard)
        account, lives = accounted(self._folder / DATA)
        status = ShardStatus(host=self._host, kept=kept, account=account, lives=lives)
        return msgspec.json.encode(Answer(status=status, asked=self._asked, changed=self._changed))

    def _begin(self) -> None:
        lease = self._lease()
        if lease is not None and lease.state != "running":
            _wait_while_held(self._folder / DATA)  # a copy that was fenced delivers what waits; then this is a new life
            lease = None
        grant = lease.grant if lease is not None and lease.grant else secrets.token_hex(8)
        hidden = ("RAY_", HOST)  # its token is not for those who decode what strangers send
        environment = {name: value for name, value in os.environ.items() if not name.upper().startswith(hidden)}
        keeper = Keeper(self._asked.shard, self._folder / CONFIG, self._folder, environment, grant)
        keeper.start(any_options=True)  # `fleet up` renews those that have others, one at a time
        self._keeper = keeper

    def _lease(self) -> Lease | None:
        """That of the run that lives."""
        data = self._folder / DATA
        return read_lease(data) if is_held(data) else None

    def _port(self) -> int:
        """A port for the page: as before if the run lives or nobody has it now."""
        before = _ports_of(self._folder.parent)
        own = before.get(self._asked.shard)
        if own is not None and self._lease() is None and not is_free(own):
            del before[self._asked.shard]
        return ports([self._asked.shard], self._asked.port, before, is_free)[self._asked.shard]


def at_home(asked: Asked, folder: Path, host: str, port: int) -> str:
    """The options as they are on this host."""
    values: dict[str, Any] = yaml.safe_load(asked.text)
    values["run"] |= {"folder": str(folder / DATA), "host": host}
    values["web"]["port"] = port
    overlay = values["overlay"]
    overlay["sinks"] = [sink.replace(HERE, str(folder / DATA)) for sink in overlay["sinks"]]
    if asked.rules:
        overlay["rules"] = str(folder / rules_file(asked))
    return yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=1000)


def rules_file(asked: Asked) -> str:
    """Another text is another name, so that it is seen in the options."""
    return f"rules-{blake2b(asked.rules.encode(), digest_size=6).hexdigest()}.yaml"


def alive_here(fleet: str) -> bytes:
    """The runs of a fleet's shards that go on here, as JSON; a task for Ray, on each host."""
    found = []
    for data in sorted((fleets_folder() / fleet).glob(f"*/{DATA}")):
        with contextlib.suppress(InputError):  # what is no lease is not adopted
            lease = read_lease(data) if is_held(data) else None
            if lease is not None and lease.state == "running":
                found.append(Alive(shard=lease.shard, epoch=lease.epoch))
    return msgspec.json.encode(found)


def _ports_of(folder: Path) -> dict[str, int]:
    """The ports that shards have on this host."""
    found = {}
    for config in folder.glob(f"*/{CONFIG}"):
        with contextlib.suppress(OSError, yaml.YAMLError, KeyError, TypeError):
            found[config.parent.name] = int(yaml.safe_load(config.read_bytes())["web"]["port"])
    return found


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """No other actor on this host chooses a port meanwhile."""
    file = os.open(folder / ".ports.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def _wait_while_held(folder: Path) -> None:
    while is_held(folder):
        time.sleep(_LOOK_S)
