"""The process that delivers events to receivers; what it cannot deliver waits in the history's file."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from msgspec import Struct

from configs.redact import redact
from events.delivery import LOOK_S, Delivery
from events.mqtt import Mqtt
from events.receiver import Receiver
from events.webhook import Webhook
from transport.stage import StageContext


class DeliverConfig(Struct, frozen=True):
    """The history's file, and the receivers as they were given."""

    store: str
    receivers: tuple[str, ...]


def deliver(config: DeliverConfig, context: StageContext) -> None:
    """Deliver until the run ends, each receiver in a thread of its own; in order, at least once."""
    context.facts["receivers"] = ", ".join(map(redact, config.receivers))
    context.counts.update(delivered=0, refused=0)
    pool = ThreadPoolExecutor(len(config.receivers), thread_name_prefix="to")
    threads, all_to = [], []
    for text, name in zip(config.receivers, names_of(config.receivers), strict=True):
        to = Delivery(open_receiver(text), name, Path(config.store), context.stopping, context.counts)
        all_to.append(to)
        threads.append(pool.submit(to.run))
    context.ready()
    ended: set[Future[None]] = set()
    while len(ended) < len(threads):
        ended = wait(threads, LOOK_S, FIRST_COMPLETED if not ended else ALL_COMPLETED).done
        for thread in ended:
            thread.result()  # a bug in one of them ends the process, which is started again
        waiting, looked_ns = zip(*(to.looked for to in all_to), strict=True)
        context.says |= {"waiting": str(sum(waiting)), "looked_ns": str(min(looked_ns))}


def names_of(receivers: Sequence[str]) -> list[str]:
    """How receivers are called in the file: as they were given, without their secrets.

    Those that differ in these only are numbered: under one name each would get what the other has not had yet.

    >>> names_of(["mqtt://a:x@h/t", "webhook:https://h/?token=1", "webhook:https://h/?token=2"])
    ['mqtt://***@h/t', 'webhook:https://h/?token=***', 'webhook:https://h/?token=*** (2)']
    """
    shown = [redact(receiver) for receiver in receivers]
    before = [shown[:number].count(name) for number, name in enumerate(shown)]
    return [f"{name} ({count + 1})" if count else name for name, count in zip(shown, before, strict=True)]


def open_receiver(text: str) -> Receiver:
    """A receiver from `webhook:URL` or `mqtt://...`; it connects when there is something to send."""
    return Webhook(text.removeprefix("webhook:")) if text.startswith("webhook:") else Mqtt(text)
