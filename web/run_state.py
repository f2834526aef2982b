"""What the page's process knows of the run: what the supervisor and the overlay last told."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, deque
from collections.abc import Mapping
from typing import Any

import msgspec
import numpy as np

from share.errors import errors_told
from share.told import mask_share
from tell.figures import limited_by, load_figures
from tell.recent import OVER_S, since
from tell.status import StageStatus, Status, StreamStatus
from transport.ledger import percentile_ms
from web.persons import Persons
from web.placeholder import explain
from web.quality import Quality

FACTS = ("model", "provider", "detector", "misses")  # of what the stages say of themselves, those a page shows
EVENTS = 100  # that a page shows
SILENT_S = 3.0  # without a word of the supervisor for so long, nothing is known


class RunState:
    """The newest of everything, and what follows from what came before."""

    def __init__(self) -> None:
        self.status: Status | None = None
        self.persons = Persons()
        self.decided: Counter[tuple[str, str, str]] = Counter()  # events by stream, rule and label
        self._began_ns = time.monotonic_ns()
        self._past: deque[Status] = deque()
        self._quality: dict[str, Quality] = {}
        self._events: deque[tuple[int, dict[str, Any], bytes]] = deque(maxlen=EVENTS)
        self._last_events: dict[bytes, str] = {}
        self._count = 0
        self._came = asyncio.Event()

    @property
    def streams(self) -> dict[str, StreamStatus]:
        """All streams of the run."""
        return self.status.streams if self.status else {}

    @property
    def age_s(self) -> float:
        """For how long the supervisor has said nothing."""
        return (time.monotonic_ns() - (self.status.now_ns if self.status else self._began_ns)) / 1e9

    @property
    def is_silent(self) -> bool:
        """Whether what the supervisor told is of a past in which things may have been otherwise."""
        return self.age_s > SILENT_S

    def hear(self, message: bytes) -> None:
        """The supervisor told how the run stands."""
        self.status = status = msgspec.msgpack.decode(message, type=Status)
        self._past.append(status)
        while status.now_ns - self._past[0].now_ns > OVER_S * 1e9:
            self._past.popleft()
        for gone in self._quality.keys() - status.streams.keys():
            del self._quality[gone]
        for event in [event for event in self.decided if event[0] and event[0] not in status.streams]:
            del self.decided[event]
        for name, stream in status.streams.items():
            if stream.state in ("paused", "ended"):
                self._quality.pop(name, None)
            elif stream.state in ("flowing", "away"):
                quality = self._quality.setdefault(name, Quality())
                flowing = stream.state == "flowing"
                came = stream.captured + stream.skipped  # what was not to be looked at came, too
                quality.saw(status.now_ns / 1e9, came, stream.reconnects, flowing, stream.corrupt)

    def saw(self, message: bytes) -> None:
        """The overlay told who was seen."""
        self.persons.saw(time.time(), msgspec.msgpack.decode(message, type=dict[str, dict[int, str]]))

    def happened(self, message: bytes, picture: bytes, sender: bytes = b"") -> None:
        """An overlay told of an event; one that it told before is not taken twice."""
        event = json.loads(message)
        if event["id"] > self._last_events.get(sender, ""):
            self._last_events[sender] = event["id"]
            self._count += 1
            self._events.append((self._count, event | {"picture": bool(picture)}, picture))
            self.decided[event["stream"], event["rule"], event.get("label", "")] += 1
            self._came.set()

    async def event_came(self) -> None:
        """Wait for the next event."""
        self._came.clear()
        await self._came.wait()

    def events_after(self, number: int) -> tuple[int, list[dict[str, Any]]]:
        """Those that came after the one of that number, and the number of the last."""
        newer = [event for count, event, _ in self._events if count > number]
        return self._count, newer

    def picture_of(self, event_id: str) -> bytes | None:
        """The JPEG of an event that the page shows."""
        return next((picture for _, event, picture in self._events if event["id"] == event_id and picture), None)

    def fps(self, name: str) -> float:
        """Shown frames per second, lately."""
        if self.is_silent:
            return 0.0
        return self._rate(lambda status: status.streams[name].shown if name in status.streams else 0)

    def recent_ages(self, name: str) -> np.ndarray:
        """The histogram of the ages of the frames shown lately (transport/pool.py)."""
        assert self.status is not None
        then = self._past[0].streams.get(name)
        now = self.status.streams[name]
        if then is None or then.captured > now.captured or len(self._past) == 1:  # more: it was another of that name
            return np.asarray(now.ages)
        return np.asarray(now.ages) - np.asarray(then.ages)

    def _rate(self, count: Any) -> float:
        span_s = (self._past[-1].now_ns - self._past[0].now_ns) / 1e9 if self._past else 0.0
        return max(0.0, (count(self._past[-1]) - count(self._past[0])) / span_s) if span_s else 0.0

    def quality(self, name: str) -> str:
        """Of the connection to a camera, in words; empty for a file."""
        stream = self.streams[name]
        if self.is_silent or not stream.live or name not in self._quality or stream.state not in ("flowing", "away"):
            return ""
        return self._quality[name].words(0.0 if stream.paced_fps else stream.nominal_fps)

    def as_json(self) -> dict[str, Any]:
        """All that a page shows beside the pictures and the events."""
        status = self.status
        silent_s = round(self.age_s, 1) if self.is_silent else 0
        if status is None:
            return {
                "phase": "starting",
                "silent_s": silent_s,
                "streams": [],
                "stages": [],
                "persons": self.persons.series(time.time()),
                "mask_share": self.mask_share({}),
            }
        return {
            **status.about,
            "phase": status.phase,
            "silent_s": silent_s,
            "started": status.started,
            "limited_by": limited_by(since(self._past[0], status)),
            "whole_run": load_figures(status),
            "facts": {
                key: status.facts[key] for key in ("model", "provider", "detector", "misses") if key in status.facts
            },
            "streams": [self._stream(name, stream) for name, stream in status.streams.items()],
            "stages": [self._stage(name, stage) for name, stage in status.stages.items()],
            "persons": self.persons.series(time.time()),
            "mask_share": self.mask_share(status.facts),
        }

    def mask_share(self, facts: Mapping[str, str]) -> dict[str, Any]:
        """Of the persons of the last ten minutes; `facts` say whose errors are to be taken out."""
        return mask_share(self.persons.counted(time.time()), errors_told(facts)).as_json

    def _stream(self, name: str, stream: StreamStatus) -> dict[str, Any]:
        now_ns = time.monotonic_ns()
        ages = np.zeros(1) if self.is_silent else self.recent_ages(name)
        return {
            "name": name,
            "source": stream.source,
            "state": "unknown" if self.is_silent else stream.state,
            "live": stream.live,
            "fps": round(self.fps(name), 1),
            "age_ms": {f"p{p}": percentile_ms(ages, p) for p in (50, 95)},
            "quality": self.quality(name),
            "why": explain(stream, now_ns) if stream.state != "flowing" and not self.is_silent else [],
            "away_s": round((now_ns - stream.away_since_ns) / 1e9, 1) if stream.away_since_ns else 0,
            "reconnects": stream.reconnects,
            "paced_fps": round(stream.paced_fps, 1),
            "still": stream.still and not self.is_silent,
            "captured": stream.captured,
            "shown": stream.shown,
            "recorded": stream.recorded,
            "not_recorded": stream.not_recorded,
            "corrupt": stream.corrupt,
            "skipped": stream.skipped,
            "dropped": stream.dropped,
            "in_flight": stream.in_flight,
            "persons": self.persons.now(name, time.time()),
        }

    def _stage(self, name: str, stage: StageStatus) -> dict[str, Any]:
        def of(status: Status) -> StageStatus:
            return status.stages[name]

        return {
            "name": name,
            "fps": round(self._rate(lambda status: of(status).frames), 1),
            "busy": round(self._rate(lambda status: of(status).busy_ns) / 1e9 / stage.members, 3),
            "cores": round(self._rate(lambda status: of(status).cpu_ns) / 1e9, 3),
            "restarts": stage.restarts,
            "lost": stage.counts.get("not_written", 0) + stage.counts.get("events_lost", 0),  # not written by sinks
        }
