"""Brings the shards on Ray to what a fleet's file says: adopts, places, and renews one at a time."""

from __future__ import annotations

import contextlib
import time
from importlib.metadata import version

import msgspec

from configs.errors import Failure, InputError
from configs.plural import counted
from fleet.engine import Say, Wish
from fleet.file import Fleet
from fleet.kept import UP, how, is_refused
from fleet.ray_cluster import Cluster, Node
from fleet.ray_shard import HERE, Answer, Asked
from fleet.ray_wait import LOOK_S, until, until_ended
from fleet.shards import Place, host_runs

_DRAIN_S = 330.0  # a shard delivers for run.deliver_s (300) and then ends


class RayUp:
    """One `fleet up`. Raises InputError before anything is started for what cannot be meant.

    `hosts_within_s`: so long it waits for the plan's hosts, which have just got a head.
    """

    def __init__(self, cluster: Cluster, fleet: Fleet, wish: Wish, say: Say, hosts_within_s: float = 0.0) -> None:
        self._cluster, self._wish, self._say = cluster, wish, say
        self._plan, self._hosts_within_s = fleet.planned(), hosts_within_s
        place = Place(data=HERE, rules=HERE, host="127.0.0.1")
        self._asked = {
            run.shard.name: Asked(
                fleet=fleet.config.fleet,
                shard=run.shard.name,
                site=run.shard.site,
                text=run.text,
                rules=fleet.rules,
                port=fleet.config.defaults.web.port,
            )
            for run in host_runs(fleet, lambda shard: place)
        }

    def run(self) -> None:
        """All of it."""
        nodes = self._hosts()
        self._cluster.open_hosts()
        before = self._cluster.shards()
        self._end(sorted(set(before) - set(self._asked)))
        new = [name for name in self._asked if name not in before]
        runs_on = self._cluster.alive(nodes.values()) if new else {}  # it takes a new process on each host
        homes = {shard.name: runs_on.get(shard.name, shard.host) for shard in self._plan.shards}
        for name in new:
            self._cluster.start(self._asked[name], nodes.get(homes[name]))
        answering = self._cluster.answers([name for name in before if name in self._asked])
        for name in answering:
            self._cluster.tell(name, "want", msgspec.json.encode(self._asked[name]))
        changed = self._wait_until_up(fresh=[name for name in new if name not in runs_on])
        for number, name in enumerate(changed):
            self._renew(name, changed[number + 1 :])
        self._say(f"{self._plan.fleet}: {counted(len(self._asked), 'shard')} on {counted(len(nodes), 'host')}")

    def _hosts(self) -> dict[str, Node]:
        """Those that live. Refused where one has another maskstream, or a site has none."""
        nodes = self._there()
        own = version("maskstream")
        for node in nodes.values():
            if node.version != own:
                raise InputError(f"{node.name} has maskstream {node.version}, not {own}: install the same on all hosts")
        for site in self._plan.sites:
            names = [host.name for host in site.hosts]
            missing = [name for name in names if name not in nodes]
            if site.shards and len(missing) == len(names):
                raise InputError(f"no host of {site.name} is there: start maskstream fleet host {names[0]} FILE on it")
            if missing:
                self._say(f"{site.name}: not there: {', '.join(missing)}")
        return nodes

    def _there(self) -> dict[str, Node]:
        """All that live, as soon as none of the plan is missing, or the time is up."""
        deadline_s, told = time.monotonic() + self._hosts_within_s, False
        planned = {host.name for site in self._plan.sites for host in site.hosts}
        while (missing := planned - set(nodes := self._cluster.nodes())) and time.monotonic() < deadline_s:
            if not told:
                told = True
                self._say(f"waits {self._hosts_within_s:g} s for {', '.join(sorted(missing))}: maskstream fleet host")
            time.sleep(LOOK_S)
        return nodes

    def _end(self, names: list[str]) -> None:
        """Those that are no more in the plan: first, as others get their cameras."""
        if not names:
            return
        self._say(f"no more in the plan: {', '.join(names)}; drained")
        answers = self._cluster.answers(names)
        for name in answers:
            self._cluster.tell(name, "drain")
        until_ended(self._cluster, list(answers), _DRAIN_S, self._say)
        for name in names:
            self._cluster.forget(name)

    def _wait_until_up(self, fresh: list[str]) -> list[str]:
        """Until all flow; gives those that run with other options, the ones that do not flow first."""
        told: set[str] = set()
        names = list(self._asked)

        def up(answers: dict[str, Answer]) -> bool:
            for name, answer in answers.items():
                kept = answer.status.kept
                if answer.changed or kept.state in UP:
                    if name not in told:
                        told.add(name)
                        adopted = "" if name in fresh else "adopted, "
                        self._say(f"{name}: {adopted}on {answer.status.host}, {how(kept)}")
                elif is_refused(kept):
                    self._give_up(fresh)
                    ended = "; what this fleet up had started was ended" if fresh else ""
                    raise InputError(f"{name} cannot start on {answer.status.host}: {kept.line or kept.code}{ended}")
            return len(told) == len(names)

        answers = until(self._cluster, names, up, self._wish.within_s * (1 + len(fresh) / 4))
        renewed = [name for name in names if answers[name].changed or (self._wish.restart and name not in fresh)]
        return sorted(renewed, key=lambda name: (answers[name].status.kept.state == "flows", name))

    def _give_up(self, fresh: list[str]) -> None:
        for name in fresh:
            with contextlib.suppress(Failure):
                self._cluster.tell(name, "end")
        time.sleep(1.0)
        for name in fresh:
            self._cluster.forget(name)

    def _renew(self, name: str, later: list[str]) -> None:
        """Drain one and start it anew; the cameras that flowed before must do so again."""
        before = self._cluster.answers([name])[name].status.kept
        cameras = before.flowing & set(self._cameras(name))
        self._say(f"{name}: is drained, and started with the options of now")
        self._cluster.tell(name, "renew")

        def again(answers: dict[str, Answer]) -> bool:
            if name not in answers:
                return False
            kept = answers[name].status.kept
            if is_refused(kept) and kept.life != before.life:
                rest = f"; {', '.join(later)} still as before" if later else ""
                raise InputError(f"{name} cannot start: {kept.line}{rest}")
            return kept.life not in ("", before.life) and kept.state in UP and cameras <= kept.flowing

        answers = until(self._cluster, [name], again, self._wish.within_s + _DRAIN_S)
        self._say(f"{name}: {how(answers[name].status.kept)}")

    def _cameras(self, name: str) -> list[str]:
        return [camera for shard in self._plan.shards if shard.name == name for camera in shard.cameras]
