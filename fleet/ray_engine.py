"""The engine `ray`: Ray places the shards on the hosts that `maskstream fleet host` has joined, and moves them.

Nothing of it is on the way of a frame: shards go on without Ray, and are adopted by what comes after it.
"""

from __future__ import annotations

from pathlib import Path

from configs.errors import Failure, InputError
from configs.plural import counted
from fleet import ray_head
from fleet.engine import Say, Wish
from fleet.file import Fleet
from fleet.kept import Kept, ShardStatus, is_refused, why
from fleet.ray_cluster import Cluster, Node, connected
from fleet.ray_settings import ray_environment
from fleet.ray_shard import Answer
from fleet.ray_up import RayUp
from fleet.ray_wait import until, until_ended
from fleet.schema import FailoverConfig
from fleet.state_folder import read_about

_NOW_S = 15.0  # for runs that end by SIGTERM within 3 s, on crowded boxes
_MOVED_S = 120.0
_JOINED_S = 45.0  # a host looks for a head each 5 to 30 s, and starts Ray in some seconds
_NO_ANSWER = "its host has died a moment ago, or no host of its site has room for it"


class RayEngine:
    """The shards of one fleet on the hosts of a Ray cluster, which RAY_ADDRESS names."""

    def __init__(self, name: str, folder: Path, fleet: Fleet | None) -> None:
        self._name, self._folder = name, folder
        self._after_s = (fleet.config.failover if fleet is not None else FailoverConfig()).after_s
        self.trouble = ""

    def up(self, fleet: Fleet, wish: Wish, say: Say) -> None:
        """As engine.Engine has it. A head that was started for this is ended again if no shard could be placed."""
        begins = wish.head and self._starts_head(wish.head, say)
        try:
            with connected(self._name, self._after_s) as cluster:
                try:
                    RayUp(cluster, fleet, wish, say, hosts_within_s=_JOINED_S if begins else 0.0).run()
                finally:
                    begins = begins and not cluster.shards()
        except BaseException:
            if begins:
                ray_head.end(self._folder)
            raise

    def _starts_head(self, name: str, say: Say) -> bool:
        ray_environment(self._after_s)  # refuses what would end in a log
        about = read_about(self._folder)
        assert about is not None, "up has noted it down"
        return ray_head.start(name, Path(about.file), self._folder, say)

    def status(self) -> list[ShardStatus]:
        """As engine.Engine has it. A shard that does not answer has no host."""
        with connected(self._name, self._after_s) as cluster:
            shards = cluster.shards()
            answers = cluster.answers(shards)
        lost = {name: ShardStatus(host="", kept=Kept(shard=name, state="unknown", line=_NO_ANSWER)) for name in shards}
        return [answers[name].status if name in answers else lost[name] for name in shards]

    def drain(self, host: str, within_s: float, say: Say) -> None:
        """As engine.Engine has it. Ray places nothing on the host until `fleet up` is done again."""
        with connected(self._name, self._after_s) as cluster:
            nodes = cluster.nodes()
            if host not in nodes:
                living = ", ".join(sorted(nodes)) or "none"
                raise InputError(f"fleet drain {host}: no such host lives, there is {living}")
            answers = cluster.answers(cluster.shards())
            asked = {name: answer.asked for name, answer in answers.items() if answer.status.host == host}
            waiting = []
            for name, shard in asked.items():  # one at a time: two of a site are never down at once
                home = _room(nodes, cluster.answers(cluster.shards()), shard.site, but=host)
                cluster.tell(name, "drain")
                until_ended(cluster, [name], within_s, say)
                cluster.forget(name)
                if home is None:
                    waiting.append(name)
                else:
                    cluster.start(shard, home)
                    self._wait_until_moved(cluster, name, say)
            cluster.close_host(nodes[host])
            for name in waiting:
                cluster.start(asked[name], None)
                say(f"{name}: no other host has room, nobody watches its cameras until one has")
            say(f"{host} is free: it gets no shard until the next fleet up")

    def down(self, within_s: float, now: bool, say: Say) -> None:
        """As engine.Engine has it. Ray itself goes on where `maskstream fleet host` holds it, but for `up --head`."""
        with connected(self._name, self._after_s) as cluster:
            shards = cluster.shards()
            answers = cluster.answers(shards)
            for name in answers:
                cluster.tell(name, "end" if now else "drain")
            until_ended(cluster, list(answers), _NOW_S if now else within_s, say)
            for name in shards:
                cluster.forget(name)
            cluster.open_hosts()
            if silent := sorted(set(shards) - set(answers)):
                say(f"{', '.join(silent)}: no host had it; where one is cut off its run goes on: fence it there")
        if ray_head.end(self._folder):
            say("Ray's head, which fleet up had started here, is ended")
        say(f"{self._name} is down; histories, recordings and logs stay on the hosts")

    def _wait_until_moved(self, cluster: Cluster, name: str, say: Say) -> None:
        """Until its cameras flow elsewhere."""

        def flows(answers: dict[str, Answer]) -> bool:
            if name not in answers:
                return False
            kept = answers[name].status.kept
            if is_refused(kept):
                raise Failure(f"{why(kept)} on {answers[name].status.host}")
            return kept.state in ("flows", "away")

        answers = until(cluster, [name], flows, _MOVED_S)
        status = answers[name].status
        say(f"{name}: now on {status.host}, {counted(len(status.kept.flowing), 'camera')} flowing")


def _room(nodes: dict[str, Node], answers: dict[str, Answer], site: str, but: str) -> Node | None:
    """The host of a site with most slots free; None: there is none."""
    free = {name: node.slots.get(site, 0) for name, node in nodes.items() if name != but}
    for answer in answers.values():
        if answer.status.host in free:
            free[answer.status.host] -= 1
    best = max(free, key=lambda name: (free[name], name), default="")
    return nodes[best] if best and free[best] > 0 else None
