"""The process that sends the run's status to where it is asked for, so that it is known of a run that was killed."""

from __future__ import annotations

import json
import logging
import random
import time

import zmq

from configs.redact import redact
from configs.schema import RunConfig
from run.lease import Grant
from transport.feed import follow
from transport.stage import StageContext
from web.push_target import open_target
from web.run_state import RunState

log = logging.getLogger("push")

TIMEOUT_S = 3.0
LAST_S = 1.0  # of the end of a run, which has 2.6 s
# While it is away: a copy that was cut off is to be fenced within 5 s of the net's return, by the answer to a try. The
# kernel asks for a connection at 0, 1 and 3 s, so a try of 2 s that was under way lasts 1 s on at most.
AWAY_TIMEOUT_S = 2.0
AWAY_S = 0.5  # between two tries
_POLL_MS = 50


def push(config: RunConfig, context: StageContext) -> None:
    """Send each `status_every_s`, and at the end, until the run ends. No frame waits for it."""
    target, run_state = open_target(config), RunState()
    sockets: zmq.Context[zmq.Socket[bytes]] = zmq.Context()
    link = sockets.socket(zmq.SUB)
    follow(link, context.feeds, ("supervisor", *context.showing), (b"status", b"persons"))
    shown = context.facts["to"] = redact(config.status)
    context.counts.update(sent=0, not_sent=0)
    context.ready()
    due_s, is_away = 0.0, False
    try:
        while True:
            is_last = context.stopping()
            while link.poll(_POLL_MS):
                topic, *parts = link.recv_multipart()
                run_state.hear(*parts) if topic == b"status" else run_state.saw(*parts)
            now_s = time.monotonic()
            if run_state.status is not None and (is_last or now_s >= due_s):
                patience_s = AWAY_TIMEOUT_S if is_away else TIMEOUT_S
                try:
                    answer = target.send(_body(run_state), LAST_S if is_last else patience_s)
                except OSError as error:
                    context.counts["not_sent"] += 1
                    if not is_away:
                        log.warning("%s: away (%s); it is tried again", shown, redact(str(error)))
                    is_away, now_s = True, time.monotonic()  # it may have lasted
                else:
                    context.counts["sent"] += 1
                    if is_away:
                        log.info("%s: back", shown)
                    is_away = False
                    if (grant := granted(answer)) is not None:
                        context.says["grant"] = str(grant)
                due_s = now_s + (AWAY_S * random.uniform(0.75, 1.0) if is_away else config.status_every_s)
            if is_last:
                return
    finally:
        target.close()
        link.close(0)
        sockets.term()


def _body(run_state: RunState) -> bytes:
    return json.dumps({"sent": time.time()} | run_state.as_json()).encode()


def granted(answer: bytes) -> Grant | None:
    """The newest epoch, where the receiver tells it: `{"epoch": 8}`, with `"life"` if that one goes on by it.

    >>> granted(b'{"epoch": 8}'), granted(b'ok')
    (Grant(epoch=8, life=''), None)
    """
    try:
        told = json.loads(answer)
        return Grant.read(f"{int(told['epoch'])} {told.get('life', '')}")
    except (ValueError, RecursionError, TypeError, KeyError, AttributeError):
        return None
