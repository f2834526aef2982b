"""The process that delivers events to receivers; what it cannot deliver waits in the history's file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from pathlib import Path

from msgspec import Struct

from configs.redact import redact
from events import mqtt, nats, postgres, webhook
from events.delivery import LOOK_S, Delivery
from events.receiver import OneByOne, Receiver
from transport.stage import StageContext

# Kind of sink -> what refuses an address of it, and what delivers to one.
RECEIVERS: dict[str, tuple[Callable[[str], None], Callable[[str], Receiver]]] = {
    "webhook": (
        lambda text: webhook.check_url(text.partition(":")[2]),
        lambda text: OneByOne(webhook.Webhook(text.partition(":")[2])),
    ),
    **dict.fromkeys(("mqtt", "mqtts"), (mqtt.check_url, lambda text: OneByOne(mqtt.Mqtt(text)))),
    **dict.fromkeys(nats.SCHEMES, (nats.check_url, nats.Nats)),
    **dict.fromkeys(postgres.SCHEMES, (postgres.check_url, postgres.Postgres)),
}


class DeliverConfig(Struct, frozen=True):
    """The history's file, and the receivers as they were given."""

    store: str
    receivers: tuple[str, ...]


def deliver(config: DeliverConfig, context: StageContext) -> None:
    """Deliver until the run ends, each receiver in a thread of its own; in order, at least once."""
    context.facts["receivers"] = ", ".join(map(redact, config.receivers))
    context.counts.update(delivered=0, refused=0)
    deliveries = [
        Delivery(open_receiver(text), name, Path(config.store), context.stopping, context.counts)
        for text, name in zip(config.receivers, names_of(config.receivers), strict=True)
    ]
    if not context.restarts:  # later a receiver that refuses all is waited for: the cameras go on
        for delivery in deliveries:
            delivery.check()
    pool = ThreadPoolExecutor(len(config.receivers), thread_name_prefix="to")
    threads = [pool.submit(delivery.run) for delivery in deliveries]
    context.ready()
    ended: set[Future[None]] = set()
    while len(ended) < len(threads):
        ended = wait(threads, LOOK_S, FIRST_COMPLETED if not ended else ALL_COMPLETED).done
        for thread in ended:
            thread.result()  # a bug in one of them ends the process, which is started again
        waiting, looked_ns = zip(*(delivery.looked for delivery in deliveries), strict=True)
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
    """A receiver from its sink, as `webhook:URL` or `nats://...`; it connects when there is something to send."""
    return RECEIVERS[text.partition(":")[0]][1](text)
