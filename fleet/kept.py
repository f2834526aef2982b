"""What is known of a shard by those who keep it going, and what of it is told to people and scripts."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from msgspec import Struct

from configs.plural import counted
from run.lease import Lease, is_held
from run.shard import read_note
from tell.account import Account, total

UP = ("flows", "away", "ended")  # the states of a shard that needs nothing more
State = Literal["starting", "flows", "away", "draining", "waits", "ended", "fenced", "unknown"]
"""`flows`: no camera is still being opened, and one at least sends pictures. `away`: none does. `waits`: it died, and
is started again in a while. `unknown`: it runs, and does not say how it stands."""


class CameraState(Struct, frozen=True):
    """A camera of a shard: opening, flowing, away, ended, failed or paused; away since when, Unix time in s, 0: not."""

    state: str
    away_since: float = 0.0


class Kept(Struct, frozen=True, kw_only=True):
    """A shard as its keeper sees it.

    `since` is the Unix time at which this state began, s. `restarts` counts deaths since the keeper began, `failures`
    those in a row before any camera flowed. `code` is how the last life ended, None: it was killed, or has not ended.
    `line` is the last that was heard of it, where something is wrong.
    """

    shard: str
    state: State = "starting"
    since: float = 0.0
    pid: int = 0
    life: str = ""
    epoch: int = 0
    port: int = 0
    restarts: int = 0
    failures: int = 0
    code: int | None = None
    line: str = ""
    cameras: dict[str, CameraState] = {}

    @property
    def flowing(self) -> set[str]:
        """The cameras that send pictures."""
        return {name for name, camera in self.cameras.items() if camera.state == "flowing"}

    @property
    def away(self) -> dict[str, float]:
        """The cameras that are away, and since when."""
        return {name: camera.away_since for name, camera in self.cameras.items() if camera.state == "away"}


class ShardStatus(Struct, frozen=True, kw_only=True):
    """A shard as `maskstream fleet status` tells it: where it is, how it stands, and the account over all its lives."""

    host: str
    kept: Kept
    account: Account = Account()
    lives: int = 0


def accounted(folder: Path) -> tuple[Account, int]:
    """The account over all lives that the shard had in its folder, and how many these are."""
    note = read_note(folder)
    if note is None:
        return Account(), 0
    streams = note.streams if is_held(folder) else note.final
    return total([note.total, *streams.values()]), note.lives + 1


def of_lease(lease: Lease, alive: bool) -> Kept:
    """What a lease alone tells, where no keeper is there to ask."""
    state: State = "unknown" if alive and lease.state == "running" else "draining" if alive else "ended"
    if lease.fenced_by:
        state = "fenced"
    line = "" if alive or lease.state == "ended" else "was killed"
    return Kept(
        shard=lease.shard,
        state=state,
        pid=lease.pid if alive else 0,
        life=lease.life,
        epoch=lease.epoch,
        port=lease.port,
        code=lease.code,
        line=line,
    )


def is_refused(kept: Kept) -> bool:
    """Its start failed for a reason that it told, before any camera flowed: to try again alone helps nobody."""
    return kept.state == "fenced" or (kept.state == "waits" and kept.failures > 0 and kept.code is not None)


def how(kept: Kept) -> str:
    """A shard that is up, in words."""
    if kept.state == "ended":
        return "its sources have ended"
    away = f", away: {', '.join(sorted(kept.away))}" if kept.away else ""
    return f"{counted(len(kept.flowing), 'camera')} flowing{away} (pid {kept.pid})"


def why(kept: Kept) -> str:
    """A shard that is not up, in words."""
    opening = [name for name, camera in kept.cameras.items() if camera.state == "opening"]
    what = f"{kept.state}, opening {', '.join(sorted(opening))}" if opening else kept.state
    return f"{kept.shard} is {what}" + (f" ({kept.line})" if kept.line else "")
