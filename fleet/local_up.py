"""Brings what runs on this host to what a fleet's file says: adopts, starts, and renews one shard at a time."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable
from hashlib import blake2b
from pathlib import Path

from msgspec.structs import replace

from configs.errors import Failure, InputError
from configs.load import load_config
from configs.plural import counted
from configs.schema import PipelineConfig
from fleet import local_process
from fleet.engine import Say, Wish
from fleet.file import Fleet
from fleet.kept import UP, Kept, how, is_refused, why
from fleet.local_files import BEFORE, CONFIG, DATA, NEXT, SeenFleet, Wanted, WantedFleet, read_wanted, write_wanted
from fleet.plan import Shard
from fleet.ports import is_free, ports
from fleet.shards import TOKEN, Place, host_runs
from fleet.state_folder import made
from run.lease import Lease, is_held, read_lease, write_private
from run.owned import fingerprint

_DRAIN_S = 330.0  # a shard delivers for run.deliver_s (300) and then ends
NAME = TOKEN.strip("${}")


class LocalUp:
    """One `fleet up`. Raises InputError before anything is started for what cannot be meant."""

    def __init__(self, folder: Path, fleet: Fleet, wish: Wish, say: Say) -> None:
        self._folder, self._fleet, self._wish, self._say = folder, fleet, wish, say
        before = read_wanted(folder)
        self._before = before.shards if before is not None else {}
        self._revision = before.revision if before is not None else 0
        self._wanted: dict[str, Wanted] = {}
        self._options: dict[str, str] = {}
        self._cwd = fleet.given.file.resolve().parent if fleet.given.file else Path.cwd()

    def run(self) -> None:
        """All of it."""
        shards = self._fleet.planned().shards
        hosts = {shard.host for shard in shards}
        if len(hosts) > 1:
            self._say(f"engine local: all {len(shards)} shards run on this host, not on the {len(hosts)} of the plan")
        self._write_next(shards)
        new, changed = self._compared([shard.name for shard in shards])
        gone = self._before.keys() - {shard.name for shard in shards}
        self._wanted = {name: replace(one, order="drain") for name, one in self._before.items() if name in gone}
        self._wanted |= {shard.name: self._wish_for(shard.name) for shard in shards if shard.name not in new}
        local_process.stop(self._folder)  # the environment of now, and its secrets, are for the next one
        self._write()
        local_process.start(self._folder, self._cwd)
        self._drain(gone)
        for name in new:
            self._take(name)
            self._wanted[name] = self._wish_for(name)
        self._write()
        self._wait_for([name for name in self._wanted if name not in changed], new)
        rolled = self._worst_first(changed)
        for number, name in enumerate(rolled):
            self._renew(name, rolled[number + 1 :])
        ports = {name: self._ports[name] for name in sorted(self._wanted)}
        self._say(f"{self._fleet.config.fleet}: {counted(len(ports), 'shard')}, pages at 127.0.0.1, {_in_words(ports)}")

    def _write_next(self, shards: list[Shard]) -> None:
        """The options of all shards, beside those of now, and read as their runs will do it."""
        first = self._fleet.config.defaults.web.port
        had = {
            name: one.port for name, one in self._before.items() if one.port >= first and self._keeps_port(name, one)
        }
        self._ports = ports([shard.name for shard in shards], first, had, is_free)
        rules = self._folder / f"rules-{blake2b(self._fleet.rules.encode(), digest_size=6).hexdigest()}.yaml"
        if self._fleet.rules:  # another text is another name, so that it is seen in the options
            write_private(rules, self._fleet.rules.encode())
        runs = host_runs(
            self._fleet,
            lambda shard: Place(
                data=str(self._folder / shard.name / DATA),
                rules=str(rules),
                host="127.0.0.1",
                port=self._ports[shard.name],
            ),
        )
        for run in runs:
            place = made(self._folder / run.shard.name)
            write_private(place / NEXT, run.text.encode())
            self._options[run.shard.name] = fingerprint(_loaded(place / NEXT))

    def _keeps_port(self, name: str, wanted: Wanted) -> bool:
        return self._lease(name) is not None or is_free(wanted.port)

    def _lease(self, name: str) -> Lease | None:
        """That of the run that lives."""
        data = self._folder / name / DATA
        return read_lease(data) if is_held(data) else None

    def _compared(self, names: list[str]) -> tuple[list[str], set[str]]:
        """The shards that do not run, and those that run and are to be renewed. The others are adopted."""
        new, changed = [], set()
        for name in names:
            lease = self._lease(name)
            if lease is None or lease.state != "running":
                new.append(name)
            elif lease.config != self._options[name] or self._wish.restart:
                changed.add(name)
            else:
                self._take(name)
        return new, changed

    def _wish_for(self, name: str) -> Wanted:
        """A shard goes on by the grant that it has, unless it was fenced: then this is a new decision."""
        data = self._folder / name / DATA
        lease = read_lease(data) if data.is_dir() else None
        before = self._before.get(name)
        fenced = lease is not None and lease.fenced_by
        grant = secrets.token_hex(8) if lease is None or fenced or not lease.grant else lease.grant
        return Wanted(grant=grant, port=self._ports[name], renewals=before.renewals if before else 0)

    def _take(self, name: str) -> None:
        """The options of `NEXT` are those of now."""
        (self._folder / name / NEXT).replace(self._folder / name / CONFIG)

    def _write(self) -> None:
        self._revision += 1
        write_wanted(self._folder, WantedFleet(revision=self._revision, cwd=str(self._cwd), shards=dict(self._wanted)))

    def _drain(self, gone: Iterable[str]) -> None:
        """Those that are no more in the plan: first, as others get their cameras."""
        names = sorted(gone)
        if not names:
            return
        self._say(f"no more in the plan: {', '.join(names)}; drained")
        self._end(names, "drain", _DRAIN_S)

    def _end(self, names: list[str], order: str, within_s: float) -> None:
        for name in names:
            self._wanted[name] = replace(self._wanted[name], order=order)
        self._write()
        done = local_process.until(
            self._folder,
            lambda seen: all(name in seen.shards and seen.shards[name].state in ("ended", "fenced") for name in names),
            within_s,
        )
        if not done:
            raise Failure(f"not ended within {within_s:g} s: {', '.join(names)}; do fleet up again to go on")
        for name in names:
            del self._wanted[name]
        self._write()

    def _wait_for(self, names: list[str], new: list[str]) -> None:
        """Until these flow. One that is new and refused ends all that are new."""
        told: set[str] = set()
        deadline_s = time.monotonic() + self._wish.within_s

        def up(seen: SeenFleet) -> bool:
            nonlocal deadline_s
            for name in names:
                kept = seen.shards[name]
                if name in new and is_refused(kept):
                    raise _Refused(kept)
                if kept.state in UP and name not in told:
                    told.add(name)
                    self._say(f"{name}: {'adopted, ' if name not in new else ''}{how(kept)}")
                    deadline_s = time.monotonic() + self._wish.within_s
            return len(told) == len(names)

        try:
            while not local_process.until(self._folder, up, 1.0):
                if time.monotonic() > deadline_s:
                    seen = local_process.seen_now(self._folder)
                    left = [why(seen.shards[name]) for name in names if name not in told] if seen else []
                    raise Failure(f"not up within {self._wish.within_s:g} s: {'; '.join(left)}; they go on being tried")
        except _Refused as error:
            self._end(new, "end", self._wish.within_s)
            if not self._wanted:
                local_process.forget(self._folder)
            raise InputError(f"{error}; what this fleet up had started was ended") from None

    def _worst_first(self, changed: set[str]) -> list[str]:
        """Those that do not flow are mended before one that does is touched."""
        seen = local_process.seen_now(self._folder)
        flows = {name for name in changed if seen and seen.shards[name].state == "flows"}
        return sorted(changed - flows) + sorted(flows)

    def _renew(self, name: str, later: list[str]) -> None:
        """Drain one and start it anew; the cameras that flowed before must do so again."""
        seen = local_process.seen_now(self._folder)
        flowed = seen.shards[name].flowing if seen else set()
        lease = self._lease(name)
        config = self._folder / name / CONFIG
        (self._folder / name / BEFORE).write_bytes(config.read_bytes())
        (self._folder / name / BEFORE).chmod(0o600)
        self._take(name)
        cameras = {source.name for source in load_config(config).sources}
        self._say(f"{name}: is drained and started anew")
        rest = f"; {', '.join(later)} still as before" if later else ""
        try:
            if not self._renewed(name, lease.life if lease else "", flowed & cameras):
                now = local_process.seen_now(self._folder)
                stands = why(now.shards[name]) if now else name
                raise Failure(f"not up again within {self._wish.within_s:g} s: {stands}{rest}")
        except _Refused as error:
            (self._folder / name / BEFORE).replace(config)
            self._renewed(name, "", set(), is_way_back=True)
            raise InputError(f"{error}; it goes on with the options before{rest}") from None
        (self._folder / name / BEFORE).unlink(missing_ok=True)

    def _renewed(self, name: str, life: str, cameras: set[str], is_way_back: bool = False) -> bool:
        """Order it, and wait until another life than `life` has these cameras flowing; whether it has."""
        one = self._wanted[name]
        self._wanted[name] = replace(one, renewals=one.renewals + 1, port=self._ports[name])
        self._write()
        began_s = time.time()

        def is_over(seen: SeenFleet) -> bool:
            return seen.shards[name].life != life or seen.shards[name].state == "fenced"

        def again(seen: SeenFleet) -> bool:
            kept = seen.shards[name]
            if is_refused(kept) and kept.since > began_s and not is_way_back:
                raise _Refused(kept)
            flows = cameras <= kept.flowing or kept.state == "ended"
            return kept.life not in ("", life) and kept.state in UP and flows

        if life and not local_process.until(self._folder, is_over, _DRAIN_S):
            return False
        if not local_process.until(self._folder, again, self._wish.within_s):
            return False
        seen = local_process.seen_now(self._folder)
        self._say(f"{name}: {how(seen.shards[name]) if seen else 'is up'}")
        return True


def _loaded(file: Path) -> PipelineConfig:
    """A shard's options, as its run will read them."""
    try:
        return load_config(file)
    except InputError as error:
        reason = str(error).removeprefix(f"{file}:").partition(" ")[2]
        about = ": it is the secret of the shards' pages (or give defaults.web.token)" if NAME in reason else ""
        raise InputError(f"shard {file.parent.name}: {reason}{about}") from None


class _Refused(Exception):
    """A shard that cannot start."""

    def __init__(self, kept: Kept) -> None:
        super().__init__(f"{kept.shard} cannot start: {kept.line or f'exit code {kept.code}'}")


def _in_words(ports: dict[str, int]) -> str:
    """Few ports one by one, many as a span."""
    if len(ports) > 4:
        return f"ports {min(ports.values())} to {max(ports.values())}"
    return ", ".join(f"{name} {port}" for name, port in ports.items())
