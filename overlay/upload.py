"""The process that uploads finished recordings to S3, and deletes them here only when they are there."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections import deque
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

from msgspec import Struct

from configs.plural import counted
from configs.redact import redact
from overlay.stream_news import StreamNews
from overlay.target import target
from overlay.upload_segments import Place, Segment, has_changed, place_of
from recordings.being_written import is_being_written
from recordings.retention import Keep, is_frameless, made_from, prune
from recordings.s3 import Bucket, NotStored, bucket_and_prefix, etag_of
from transport.stage import StageContext

log = logging.getLogger("upload")

LOOK_S, LAST_LOOK_S = 0.5, 0.1
SETTLE_S = 30.0  # for so long it is looked whether the overlay has added something beside a recording
FIRST_S, UNREACHABLE_S, UNWILLING_S = 1.0, 10.0, 30.0  # before it is tried again; it doubles, up to one of these
UNREADABLE_S = 60.0  # and what cannot be read here
LAST_S = 0.9  # at the end of a camera's run: the supervisor waits little longer; the rest is uploaded by the next run
LAST_OF_FILES_S = 30.0  # at that of films, for one file: their run has no other end


class UploadConfig(Struct, frozen=True):
    """Where recordings go, of which sinks and streams; how long they stay here. `of_files`: all sources are films."""

    target: str
    endpoint: str
    sinks: tuple[str, ...]
    streams: tuple[str, ...]
    keep_days: float
    keep_gb: float
    of_files: bool


def upload(config: UploadConfig, context: StageContext) -> None:
    """Upload until the run ends. Raises InputError, before the run begins, for a bucket that takes nothing."""
    bucket = Bucket(config.target, config.endpoint)
    context.facts["bucket"] = redact(config.target)
    context.counts.update(uploaded=0, failed=0)
    context.gauges.update(waiting=0)
    uploads = Uploads(config, bucket, context)
    if not context.restarts:  # later a bucket that is gone is waited for: the cameras go on
        uploads.check()
    work = ThreadPoolExecutor(1, thread_name_prefix="upload").submit(uploads.run)
    context.ready()
    while not work.done() and not uploads.is_late:
        time.sleep(0.05)
    if work.done():
        work.result()  # a bug ends the process, which is started again
    if waiting := context.gauges["waiting"]:
        log.info("%s: wait for the next run: %s", config.target, counted(waiting, "recording"))


class Uploads:
    """Finds finished recordings, uploads one after the other, the oldest first, and deletes in time what is uploaded.

    `run` is for one thread; `is_late` says that the end of the run waits for it no longer.
    """

    def __init__(self, config: UploadConfig, bucket: Bucket, context: StageContext) -> None:
        self._config, self._bucket, self._context = config, bucket, context
        self._keep = Keep(config.keep_days, config.keep_gb)
        to = f"{config.endpoint} {config.target}".strip()  # as it is written down: another endpoint is another place
        self._places = [place_of(sink, to, context.first) for sink in config.sinks]
        self._streams = set(config.streams).union(*(place.uploaded.streams for place in self._places))
        self._waiting: deque[Segment] = deque()
        self._settling: deque[Segment] = deque()
        self._delay_s, self._next_try_s = FIRST_S, 0.0
        self._away: NotStored | None = None
        self._held: dict[Path, int] = {}  # template -> recordings that were to be deleted, and are nowhere else
        self._ends_s = self._moved_s = 0.0
        self._prune_due = True

    def check(self) -> None:
        """Refuse a bucket that will never take anything; say that it cannot be reached."""
        try:
            self._bucket.check()
        except NotStored as error:
            self._is_away(error)

    @property
    def is_late(self) -> bool:
        """Whether the run ends, and it was waited for the bucket long enough."""
        if not self._context.stopping():
            return False
        self._ends_s = self._ends_s or time.monotonic()
        since_s = max(self._ends_s, self._moved_s if self._config.of_files else 0.0)
        return time.monotonic() - since_s > (LAST_OF_FILES_S if self._config.of_files else LAST_S)

    def run(self) -> None:
        """Upload until the run ends and nothing is left, or it is late."""
        with contextlib.ExitStack() as stack:
            for place in self._places:
                stack.callback(place.uploaded.close)
            news = stack.enter_context(StreamNews(self._context.feeds))
            while not self.is_late:
                is_last, looked_ns = self._context.stopping(), time.monotonic_ns()
                self._hear(news.streams())
                self._look(anew=is_last)
                is_busy = self._upload_next()
                self._context.gauges["waiting"] = sum(segment.finished for segment in self._waiting)
                unfinished = sum(segment.is_open or segment.finished for segment in self._waiting)
                self._context.says |= {"waiting": str(unfinished), "looked_ns": str(looked_ns)}
                self._prune()
                if is_last and not unfinished:
                    return
                if not is_busy:
                    time.sleep(LAST_LOOK_S if is_last else LOOK_S)

    def _hear(self, streams: Iterable[str]) -> None:
        for stream in set(streams) - self._streams:
            self._streams.add(stream)
            for place in self._places:
                place.looked.clear()

    def _look(self, anew: bool) -> None:
        """Find recordings that are not known yet, and those that are finished by now."""
        now_s = time.monotonic()
        for place in self._places:
            former = self._streams.difference(self._config.streams)  # a name without a stream is that of today's
            streams = {place.template(stream): stream for stream in (*former, *self._config.streams)}
            folders = {template.parent for template in streams}
            changed = {folder for folder in folders if has_changed(folder, place, now_s) or anew}
            known = place.done | {segment.video for segment in self._waiting}
            for template, stream in streams.items():
                if template.parent in changed:
                    self._prune_due = True
                    self._found(place, stream, set(made_from(template)) - known)
        while self._settling and now_s - self._settling[0].due_s > SETTLE_S:
            segment = self._settling.popleft()
            if not segment.is_uploaded:
                self._waiting.append(segment)
        for segment in list(self._waiting):
            if not segment.finished:
                try:
                    segment.is_open = is_being_written(segment.video)
                    segment.finished = not segment.is_open and not is_frameless(segment.video)
                except FileNotFoundError:
                    self._waiting.remove(segment)

    def _found(self, place: Place, stream: str, videos: set[Path]) -> None:
        if videos and stream not in place.remembered:
            place.uploaded.remember(stream)
            place.remembered.add(stream)
        for video in sorted(videos):
            segment = Segment(video, stream, place)
            if segment.is_uploaded:
                place.done.add(video)
            else:
                self._waiting.append(segment)

    def _upload_next(self) -> bool:
        """Upload the next recording that is finished; whether there was one."""
        now_s = time.monotonic()
        if now_s < self._next_try_s:
            return False
        segment = next((one for one in self._waiting if one.finished and one.due_s <= now_s), None)
        if segment is None:
            return False
        self._waiting.remove(segment)
        try:
            whole = self._upload(segment)
        except FileNotFoundError:
            log.warning("%s: was deleted before it was uploaded", segment.video)
            return True
        except OSError as error:
            log.warning("%s: cannot be read (%s); it is tried again", segment.video, error.strerror)
            self._context.counts["failed"] += 1
            segment.due_s = now_s + UNREADABLE_S
            whole = False
        except NotStored as error:
            self._context.counts["failed"] += 1
            self._is_away(error)
            self._waiting.append(segment)  # the others first: it may be this one's fault
            return True
        else:
            if self._away:
                log.info("%s: back", self._bucket.target)
            self._delay_s, self._away, self._moved_s = FIRST_S, None, time.monotonic()
        if whole:
            self._uploaded(segment)
        else:
            segment.due_s = max(segment.due_s, now_s + LOOK_S)
            self._waiting.append(segment)
        return True

    def _uploaded(self, segment: Segment) -> None:
        if segment.video not in segment.place.done:
            self._context.counts["uploaded"] += 1
        segment.place.done.add(segment.video)
        segment.due_s = time.monotonic()
        self._settling.append(segment)
        self._prune_due = True

    def _upload(self, segment: Segment) -> bool:
        """Upload what is not there yet; whether all of it is there, or the overlay still writes beside the video.

        Raises NotStored, and OSError where a file cannot be read.
        """
        uploaded, (video, *beside) = segment.place.uploaded, segment.files
        key = uploaded.key_of(video, video.stat()) or self._upload_file(video, segment)
        whole = True
        for file in beside:
            if is_being_written(file):
                whole = False
            elif not uploaded.key_of(file, file.stat()):
                self._upload_file(file, segment, str(Path(key).with_suffix(file.suffix)))
        return whole

    def _upload_file(self, file: Path, segment: Segment, key: str = "") -> str:
        """The key under which it is there now."""
        with file.open("rb") as content:
            found = os.fstat(content.fileno())
            etag, is_there = etag_of(content, found.st_size), False
            if not key:
                key, is_there = self._free_key(file, segment.stream, found.st_size, etag)
            if not is_there:
                self._bucket.put(content, key, found.st_size, etag)
        segment.place.uploaded.add(file, found, key)
        return key

    def _free_key(self, video: Path, stream: str, size: int, etag: str) -> tuple[str, bool]:
        """A key that no other recording has, and whether it is there already: a run may have died before it noted that.

        A copy of the camera on another host may have recorded since the same second: neither may be lost.
        """
        _, prefix = bucket_and_prefix(self._config.target)
        prefix = prefix.replace("{stream}", target("{stream}", stream).name)
        for number in count(1):
            key = f"{prefix}{video.stem}{f'.{number}' if number > 1 else ''}{video.suffix}"
            holds = self._bucket.holds(key, size, etag)
            if holds is not False:
                break
        return key, bool(holds)

    def _is_away(self, error: NotStored) -> None:
        if self._away is None or self._away.answered != error.answered:
            log.warning("%s: away (%s); recordings wait for it", self._bucket.target, error)
        self._away = error
        self._next_try_s = time.monotonic() + self._delay_s
        self._delay_s = min(2 * self._delay_s, UNWILLING_S if error.answered else UNREACHABLE_S)

    def _prune(self) -> None:
        """Delete what is too old or too much, and uploaded."""
        if not self._prune_due:
            return
        self._prune_due = False
        for place in self._places:
            for stream in self._streams:
                with contextlib.suppress(FileNotFoundError):
                    self._prune_stream(place, stream)

    def _prune_stream(self, place: Place, stream: str) -> None:
        template, held = place.template(stream), list[Path]()
        made = made_from(template)
        if not made or not (self._keep.days or self._keep.gigabytes):
            return

        def may_go(video: Path) -> bool:
            if Segment(video, stream, place).is_uploaded:
                return True
            held.append(video)
            return False

        newest = max(made, key=lambda path: (path.stat().st_mtime_ns, path))
        for video in prune(template, self._keep, newest, place.beside, may_go):
            place.done.discard(video)
            for suffix in ("", *place.beside):
                place.uploaded.forget(video.with_suffix(suffix) if suffix else video)
        waiting = {segment.video for segment in self._waiting}
        for video in set(held) - waiting:  # changed since, or the bucket was
            self._waiting.append(Segment(video, stream, place))
        if held and not self._held.get(template):
            log.warning(
                "%s: %s to be deleted by record_days or record_gb, and not in %s yet: none goes before it is there",
                template, counted(len(held), "recording is", "recordings are"), self._bucket.target,
            )  # fmt: skip
        self._held[template] = len(held)
