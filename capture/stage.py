"""The capture stage: pictures of one source become numbered frames, each on a ticket."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Iterator

import cv2
import numpy as np

from capture.newest import newest
from capture.pace import Pace
from capture.picture import NotYet, Picture, Place, Source, SourceLost, Undecodable
from capture.recording import CapturedSource, Recording
from capture.sources import kind_of, open_source
from capture.still_scene import StillScene
from configs.errors import InputError
from configs.plural import counted
from configs.schema import SourceConfig
from transport.frame import Frame
from transport.local_tickets import AnyTickets
from transport.stage import StageContext
from transport.tickets import Stopping

log = logging.getLogger("capture")

_BACK_OFF_S = (0.25, 2.0)  # first and longest wait before a camera is tried again; each is jittered by a quarter
_SETTLED_S = 10.0  # a connection that held this long starts the back-off from its beginning
_MAX_NAMED = 5  # broken pictures that are named in the log; the rest is only counted


def capture(config: CapturedSource, tickets: AnyTickets, context: StageContext) -> Iterator[Frame]:
    """Frames of one source, until it ends. Raises InputError if it cannot be opened at all, or not recorded.

    `latest`: a thread always holds the newest picture, and one that is replaced before a ticket came free is
    `superseded`. `every`: the source waits for a ticket and nothing is lost.
    """
    with Recording(config, tickets.stream, context.counts, _delays) as recording:
        yield from _captured(config, tickets, context, recording)


def _captured(
    config: SourceConfig, tickets: AnyTickets, context: StageContext, recording: Recording
) -> Iterator[Frame]:
    source = _open_first(config, tickets, context, recording)
    try:
        recording.check()
    except InputError:
        source.close()
        raise
    newest_wins = source.live if config.mode == "auto" else config.mode == "latest"
    context.facts |= {"source": kind_of(config.source).name, "mode": "latest" if newest_wins else "every"}
    fps = min(source.fps, config.fps or source.fps)
    context.facts |= {"fps": f"{fps:g}"} if fps else {}
    context.facts |= {"decoder": source.decodes} if source.decodes else {}
    tickets.state("flowing")
    context.ready()
    pictures = _frames(config, source, tickets, context, not newest_wins, recording)
    yield from newest(pictures, tickets, context, Pace(config.max_age_ms)) if newest_wins else pictures
    log.info("%s: ended after %s", tickets.stream, counted(tickets.captured, "picture"))


def _open(config: SourceConfig, tickets: AnyTickets, recording: Recording) -> Source:
    """The source, at its place.

    A live one gives planes where it has them; what is mirrored is BGR. So are films: a small picture made of planes is
    a level or two off, boxes in ten clips were moved by 2 to 8 % of their area by it, and a film's stay as they were.
    """
    source = open_source(config, _place(tickets, recording))
    source.planes = source.live and not _is_mirrored(config)
    if source.live and config.mode != "every" and not isinstance(config.still_fps, str):
        source.still = StillScene(config.still_fps, lambda: tickets.still_ns)
    return source


def _is_mirrored(config: SourceConfig) -> bool:
    return kind_of(config.source).mirrored if config.mirror is None else config.mirror


def _open_first(config: SourceConfig, tickets: AnyTickets, context: StageContext, recording: Recording) -> Source:
    """The source, opened. A camera is waited for if asked (`wait`), and after a restart: it was there before."""
    patient = config.wait or (context.restarts > 0 and kind_of(config.source).may_come_back)
    for delay_s in _delays():
        try:
            return _open(config, tickets, recording)
        except InputError as error:
            if not patient:
                tickets.state("failed")
                raise
            context.ready()  # it lives and tries: to wait for a camera is no failure to start
            _away(tickets, context, str(error), delay_s)
    raise AssertionError("the back-off has no end")


def _frames(
    config: SourceConfig,
    source: Source,
    tickets: AnyTickets,
    context: StageContext,
    every: bool,
    recording: Recording,
) -> Iterator[Frame]:
    """Numbered frames of a source over all its reconnections; with `every` each waits for its ticket first."""
    mirrored = _is_mirrored(config)
    delays, connected_s, broken, told = _delays(), time.monotonic(), 0, False
    while True:
        if tickets.stopping():
            raise Stopping
        if tickets.paused:
            source = _pause(config, source, tickets, context, recording)
        if every:
            tickets.wait(tickets.has_free)
        try:
            picture = _read(source, tickets, context)
        except NotYet:
            continue
        except Undecodable as error:
            broken += 1
            if broken <= _MAX_NAMED:
                log.warning("%s: skipped %s", tickets.stream, error)
            tickets.skip("undecodable")
            continue
        except SourceLost as error:
            if time.monotonic() - connected_s > _SETTLED_S:
                delays = _delays()
            source.close()
            source = _reopen(config, tickets, context, str(error), delays, source.live, recording)
            connected_s = time.monotonic()
            continue
        if picture is None:
            source.close()
            return
        if "away" in context.says:
            _back(tickets, context)
        if mirrored and isinstance(picture.image, np.ndarray):
            cv2.flip(picture.image, 1, dst=picture.image)
        while _paused_early(picture, tickets) and not _is_camera(config, source):  # a film pauses in its gaps, too
            source = _pause(config, source, tickets, context, recording)
            picture = picture._replace(captured_ns=max(picture.captured_ns, time.monotonic_ns()))
        if picture.bookmark:
            tickets.mark(picture.bookmark)
        captured_ns = min(picture.captured_ns, time.monotonic_ns())
        media_ms, name, corrupt = picture.media_ms, picture.name, picture.corrupt
        recorded = recording.place(picture, captured_ns)
        frame = tickets.number(picture.image, captured_ns, media_ms, name, source.live, corrupt, recorded)
        if picture.corrupt and not told:
            told = True
            log.warning("%s: FFmpeg marks pictures as damaged: shown, but nothing is decided by them", tickets.stream)
        yield tickets.fly(frame) if every else frame


def _pause(
    config: SourceConfig, source: Source, tickets: AnyTickets, context: StageContext, recording: Recording
) -> Source:
    """Wait until the source is wanted again. A camera is let go meanwhile: it is off, and somebody else may have it."""
    is_camera = _is_camera(config, source)
    if is_camera:
        source.close()
        recording.pause(True)
    log.info("%s: paused", tickets.stream)
    tickets.state("paused")
    tickets.wait(lambda: not tickets.paused)
    recording.pause(False)
    if is_camera:
        try:
            source = _open(config, tickets, recording)
        except InputError as error:
            return _reopen(config, tickets, context, str(error), _delays(), source.live, recording)
    log.info("%s: goes on", tickets.stream)
    context.says.clear()
    tickets.state("flowing")
    return source


def _read(source: Source, tickets: AnyTickets, context: StageContext) -> Picture | None:
    """One picture, into a slot; tells the heartbeat since when the camera's library has had the thread."""
    cpu_ns = time.thread_time_ns()
    context.busy_since_ns = time.monotonic_ns()
    try:
        return source.read(tickets.room)
    finally:
        if skipped := source.skipped() + (source.still.taken() if source.still else 0):
            tickets.passed_by(skipped)
        _tell_whether_still(source, context)
        context.busy_since_ns = 0
        context.busy_ns += time.thread_time_ns() - cpu_ns


def _tell_whether_still(source: Source, context: StageContext) -> None:
    """Say while only some pictures go on: 5 frames/s are no fault of the camera then."""
    if source.still is None or source.still.is_still == ("still" in context.says):
        return
    if source.still.is_still:
        context.says["still"] = "yes"
    else:
        del context.says["still"]


def _place(tickets: AnyTickets, recording: Recording) -> Place:
    """Where the source goes on."""
    return Place(tickets.captured, tickets.bookmarks, recording.copy)


def _is_camera(config: SourceConfig, source: Source) -> bool:
    return source.live and kind_of(config.source).may_come_back


def _paused_early(picture: Picture, tickets: AnyTickets) -> bool:
    """Wait until the picture is due; True if the source is to be let alone before that. Raises Stopping."""
    early_s = (picture.captured_ns - time.monotonic_ns()) / 1e9
    if early_s > 0:
        tickets.wait(lambda: tickets.paused or time.monotonic_ns() >= picture.captured_ns, patience_s=early_s)
    return tickets.paused and time.monotonic_ns() < picture.captured_ns


def _reopen(
    config: SourceConfig,
    tickets: AnyTickets,
    context: StageContext,
    reason: str,
    delays: Iterator[float],
    live: bool,
    recording: Recording,
) -> Source:
    """The source again, live or a film as before, however long it takes. It is back when its first picture comes."""
    while True:
        _away(tickets, context, reason, next(delays))
        try:
            source = _open(config, tickets, recording)
        except InputError as error:
            reason = str(error)
            continue
        if source.live != live:
            source.close()
            reason = "the live stream has ended" if live else "a live stream is sent instead of the film"
            continue
        return source


def _back(tickets: AnyTickets, context: StageContext) -> None:
    """A picture came. A camera that only answers, and sends nothing, is still away: it had been back every 35 s."""
    log.info("%s: back", tickets.stream)
    context.says.clear()
    context.counts["reconnects"] = context.counts.get("reconnects", 0) + 1
    tickets.state("flowing")


def _away(tickets: AnyTickets, context: StageContext, reason: str, delay_s: float) -> None:
    log.warning("%s: away (%s), next try in %.1f s", tickets.stream, reason, delay_s)
    now_ns = time.monotonic_ns()
    since_ns = context.says.get("away_since_ns", str(now_ns))
    context.says |= {"away": reason, "away_since_ns": since_ns, "next_try_ns": str(now_ns + round(delay_s * 1e9))}
    tickets.state("away")
    tickets.wait(lambda: False, patience_s=delay_s)


def _delays() -> Iterator[float]:
    """Growing waits, jittered so that many cameras do not return at the same instant."""
    delay_s, longest_s = _BACK_OFF_S
    while True:
        yield delay_s * random.uniform(0.75, 1.25)
        delay_s = min(2 * delay_s, longest_s)
