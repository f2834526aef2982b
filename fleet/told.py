"""What a shard tells of itself: the JSON that its run sends (docs/shards.md), so far as the fleet's page uses it."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from configs.errors import InputError
from tell.account import Account, total

Name = Annotated[str, Meta(max_length=200)]
Count = Annotated[int, Meta(ge=0)]
Life = Annotated[str, Meta(pattern="^[0-9a-f]{16}$")]


class ToldStream(Struct, frozen=True):
    """A camera as its shard's page has it. `away_s` is how long it has been away, s; `age_ms` by percentile."""

    name: Name
    state: Name = "unknown"
    fps: float = 0.0
    age_ms: dict[str, float | None] = {}
    why: list[Name] = []
    away_s: float = 0.0
    captured: Count = 0
    shown: Count = 0
    dropped: dict[str, Count] = {}
    in_flight: Count = 0
    persons: dict[str, Count] = {}

    @property
    def account(self) -> Account:
        return Account(self.captured, self.shown, self.dropped, self.in_flight)


class ToldBefore(Struct, frozen=True):
    """The life before it in the same folder, as it was last noted there."""

    run: Life
    epoch: Count = 0
    host: Name = ""
    streams: dict[str, Account] = {}


class Told(Struct, frozen=True):
    """One status. `run` is the life, `port` that of its page (0: it has none)."""

    shard: Name
    run: Life
    epoch: Annotated[int, Meta(ge=1, lt=10**15)]  # as many digits as an owner may write
    site: Name = ""
    host: Name = ""
    phase: Name = ""
    port: Annotated[int, Meta(ge=0, le=65535)] = 0
    streams: list[ToldStream] = []
    before: ToldBefore | None = None

    @property
    def account(self) -> Account:
        """Of all its streams."""
        return total(stream.account for stream in self.streams)

    @property
    def has_ended(self) -> bool:
        """Whether it reads no more and nothing is under way: the account is final, though events may still wait."""
        return self.phase == "closing" and not any(stream.in_flight for stream in self.streams)

    def stream(self, name: str) -> ToldStream | None:
        """The camera of that name, where the shard has it."""
        return next((stream for stream in self.streams if stream.name == name), None)


def read_told(body: bytes) -> Told:
    """The status that was sent. Raises InputError for what is none.

    >>> read_told(b'{"shard": "north-0", "run": "3fa98c01d2e4b567", "epoch": 8, "stages": []}').epoch
    8
    """
    try:
        told: Any = msgspec.json.decode(body, type=Told)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InputError(f"this is no status of a shard: {error}") from None
    return told
