"""Takes in what the shards of a fleet tell, fences their older copies by its answers, and knows which are silent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
from msgspec import Struct

from configs.errors import InputError
from fleet.lives import Lives, Moment
from fleet.plan import Shard
from fleet.told import Told, ToldStream
from run.lease import Grant
from tell.account import Account, total

GONE = 1000  # shards that are not in the plan any more, whose accounts are still known one by one


class Past(Struct, kw_only=True):
    """Of shards that are neither in the plan nor known one by one any more: the sum of their accounts."""

    account: Account = Account()
    lives: int = 0


class Collector:
    """The shards of a plan, and what each of them told.

    `lives` are those of all shards that were ever heard of, by name; `silent` are the shards of the plan that should
    have told something since.
    """

    def __init__(self, lives: dict[str, Lives], past: Past) -> None:
        self.shards: dict[str, Shard] = {}
        self.lives, self.past = lives, past
        self.silent: set[str] = set()

    def plan(self, shards: Iterable[Shard]) -> list[str]:
        """From now on these are the shards. Gives the names of older ones that became part of the past."""
        self.shards = {shard.name: shard for shard in shards}
        self.silent &= self.shards.keys()
        gone = [name for name in self.lives if name not in self.shards]
        for name in gone[:-GONE]:
            lives = self.lives.pop(name)
            settled = (life.account if life.ended else life.account.left_open for life in lives.lives)
            self.past.account = total([self.past.account, lives.older, *settled])
            self.past.lives += lives.count
        return gone[:-GONE]

    def address(self, name: str) -> str:
        """Where the page of a shard is, as HOST:PORT; empty where none was heard of."""
        lives = self.lives.get(name)
        if name not in self.shards or lives is None or lives.told is None or not (lives.address and lives.told.port):
            return ""
        return f"{f'[{lives.address}]' if ':' in lives.address else lives.address}:{lives.told.port}"

    def hear(self, told: Told, address: str, at: Moment) -> tuple[Grant, list[str]]:
        """The answer to a status that came from `address`, and what is to be said of it.

        Raises InputError for a shard that is not in the plan.
        """
        if told.shard not in self.shards:
            raise InputError(f"no shard {told.shard} is in the plan: look at maskstream fleet plan")
        lives = self.lives.setdefault(told.shard, Lives())
        newest, copy = lives.run, lives.life(told.run)
        is_news = copy is None or at.is_silent(copy.heard)
        grant = lives.hear(told, address, at)
        says = []
        if told.run == lives.run != newest:
            says.append(f"{told.shard}: runs on {told.host or address} by epoch {told.epoch}, life {told.run}")
        elif told.epoch < lives.epoch and is_news:
            of = f"an older copy on {told.host or address} tells, life {told.run}"
            says.append(f"{told.shard}: {of}: it is fenced, epoch {told.epoch} is over since {lives.epoch}")
        return grant, says

    def look(self, at: Moment) -> list[str]:
        """Whether shards became silent or are heard again; gives what is to be said of it."""
        if at.is_early:
            return []
        silent = {name for name in self.shards if self._is_silent(name, at)}
        says = [f"{name}: silent, last heard {self._silent_s(name, at):.0f} s ago" for name in silent - self.silent]
        says += [f"{name}: is heard again" for name in self.silent - silent]
        self.silent = silent
        return sorted(says)

    def _is_silent(self, name: str, at: Moment) -> bool:
        newest = self.lives[name].newest if name in self.lives else None
        return newest is not None and not newest.ended and at.is_silent(newest.heard)

    def _silent_s(self, name: str, at: Moment) -> float:
        newest = self.lives[name].newest
        return at.now - newest.heard if newest else 0.0

    def account(self, at: Moment) -> Account:
        """Of all lives of all shards, also of those that are not in the plan any more."""
        return total([self.past.account, *(lives.account(at) for lives in self.lives.values())])

    def _of_site(self, site: str, at: Moment) -> Account:
        names = [name for name, shard in self.shards.items() if shard.site == site and name in self.lives]
        return total(self.lives[name].account(at) for name in names)

    def as_json(self, at: Moment) -> dict[str, Any]:
        """The whole fleet, for the page and for scripts; times are Unix times of the collector."""
        shards = [self._shard(shard, at) for shard in self.shards.values()]
        cameras = [camera for shard in self.shards.values() for camera in self._cameras(shard, at)]
        sites = list(dict.fromkeys(shard.site for shard in self.shards.values()))
        return {
            "now": round(at.now, 1),
            "sites": [{"name": site, "account": _plain(self._of_site(site, at))} for site in sites],
            "shards": shards,
            "cameras": cameras,
            "lives": self.past.lives + sum(lives.count for lives in self.lives.values()),
            "account": _plain(self.account(at)),
        }

    def state(self, name: str, at: Moment) -> str:
        """Of a shard: not_started, silent, ended, or the phase that it tells."""
        lives = self.lives.get(name)
        newest = lives.newest if lives else None
        if lives is None or newest is None or lives.told is None:
            return "not_started"
        if newest.ended:
            return "ended"
        return "silent" if at.is_silent(newest.heard) else lives.told.phase

    def _shard(self, shard: Shard, at: Moment) -> dict[str, Any]:
        lives = self.lives.get(shard.name, Lives())
        newest, told = lives.newest, lives.told
        return {
            "name": shard.name,
            "site": shard.site,
            "state": self.state(shard.name, at),
            "host": told.host if told else "",
            "planned_host": shard.host,
            "epoch": lives.epoch,
            "run": lives.run,
            "heard": round(newest.heard, 1) if newest else None,
            "lives": lives.count,
            "account": _plain(lives.account(at)),
        }

    def _cameras(self, shard: Shard, at: Moment) -> list[dict[str, Any]]:
        """Those of the plan, and those that the shard has beside them."""
        lives = self.lives.get(shard.name, Lives())
        streams: Mapping[str, ToldStream] = {stream.name: stream for stream in lives.told.streams} if lives.told else {}
        about = {"site": shard.site, "shard": shard.name, "host": lives.told.host if lives.told else ""}
        state, newest = self.state(shard.name, at), lives.newest
        heard = newest.heard if newest else 0.0
        cameras = []
        for name in dict.fromkeys([*shard.cameras, *streams]):
            camera = {"name": name, "in_plan": name in shard.cameras} | about
            cameras.append(camera | _camera(streams.get(name), state, heard))
        return cameras


def _camera(stream: ToldStream | None, state: str, heard: float) -> dict[str, Any]:
    """How a camera is. `since` is from when on it gives nothing, Unix time of the collector."""
    if stream is None or state in ("not_started", "silent", "ended"):
        is_missing = stream is None and state not in ("not_started", "silent", "ended")
        shown = ("opening" if state == "starting" else "missing") if is_missing else state
        since = round(heard, 1) if heard and state in ("silent", "ended") else None
        return {"state": shown, "since": since, "why": [], "fps": 0.0, "age_ms": None, "persons": {}}
    return {
        "state": stream.state,
        "since": round(heard - stream.away_s, 1) if stream.state == "away" and stream.away_s else None,
        "why": stream.why,
        "fps": stream.fps,
        "age_ms": stream.age_ms.get("p50"),
        "persons": stream.persons,
    }


def _plain(account: Account) -> dict[str, Any]:
    plain: dict[str, Any] = msgspec.to_builtins(account)
    return plain
