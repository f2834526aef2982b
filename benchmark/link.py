"""What it costs to hand a frame to another process: this project's link, imagezmq's, and one copy in memory.

The link is the real one: a capture stage, tickets, a stage that ends the frames, both under the supervisor. imagezmq
sends pictures of the same size in its default way (REQ/REP over tcp). Neither makes new pictures: what lies in a slot
is sent as it is, because a source decodes into the slot, and imagezmq sends the same array again and again. Both
write a number into each picture, and the receiver looks whether it is the next one.
"""

from __future__ import annotations

import importlib.util
import itertools
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator

import numpy as np
import psutil
import zmq
from msgspec import Struct

from benchmark.program import ROOT
from configs.errors import Failure
from configs.schema import RunConfig
from run.supervisor import Supervisor
from tell.status import Status
from transport.frame import Ended, Frame
from transport.stage import Batches, Sources, Stage, StageContext
from transport.tickets import Tickets

SIZES = ((640, 480), (1280, 720), (1920, 1080))
SECONDS = 2.0
WARM_UP_S = 0.5
ROUNDS = 3
SILENCE_S = 20


class Way(Struct, frozen=True):
    """One way of a frame from process to process: frames per second, and CPU of both sides together."""

    fps: float
    cpu_ms_per_frame: float


class LinkFigures(Struct, frozen=True):
    """A size of picture (width, height); imagezmq is None where it is not installed."""

    size: tuple[int, int]
    link: Way
    imagezmq: Way | None
    memcpy_fps: float


class FloodConfig(Struct, frozen=True):
    """What `flood` sends: pictures of this size, px. `source` is what the run's status calls it."""

    width: int
    height: int
    tickets: int = 12
    source: str = "flood"


class SinkConfig(Struct, frozen=True):
    """The options of `end`: it has none."""


def flood(config: FloodConfig, tickets: Tickets, context: StageContext) -> Iterator[Frame]:
    """Stage function of a source that is always ready: numbers what lies in the slot, as fast as tickets come back."""
    tickets.state("flowing")
    context.ready()
    while not tickets.stopping():
        tickets.wait(tickets.has_free)
        room = tickets.room(config.height, config.width)
        sign(room, tickets.captured)
        yield tickets.fly(tickets.number(room, time.monotonic_ns()))


def end(config: SinkConfig, batches: Batches, context: StageContext) -> Iterator[Ended]:
    """Stage function that ends each frame after a look at its number."""
    for batch in batches:
        for frame in batch:
            assert signed(frame.image) == frame.seq % 256
            yield Ended(frame, "shown")


def sign(picture: np.ndarray, number: int) -> None:
    """Write a number, modulo 256, where a receiver sees it last."""
    picture[-1, -1, 2] = number % 256


def signed(picture: np.ndarray) -> int:
    """The number that `sign` wrote."""
    return int(picture[-1, -1, 2])


def measure_links() -> list[LinkFigures]:
    """All sizes; medians of the rounds, in which the ways take turns."""
    with_imagezmq = importlib.util.find_spec("imagezmq") is not None
    figures = []
    for size in SIZES:
        links, others, copies = [], [], []
        for _ in range(ROUNDS):
            links.append(through_the_link(size))
            if with_imagezmq:
                others.append(through_imagezmq(size))
            copies.append(copies_per_s(size))
        figures.append(LinkFigures(size, median(links), median(others) if others else None, statistics.median(copies)))
    return figures


def median(ways: list[Way]) -> Way:
    return Way(
        statistics.median(way.fps for way in ways),
        statistics.median(way.cpu_ms_per_frame for way in ways),
    )


def through_the_link(size: tuple[int, int]) -> Way:
    """Two stages under the supervisor."""
    marks: list[tuple[float, int, float]] = []

    def tick(status: Status) -> None:
        shown, now_s = status.streams["flood"].shown, time.monotonic()
        due_s = WARM_UP_S if not marks else SECONDS
        if shown and not marks and not started:
            started.append(now_s)
        since_s = now_s - (marks[-1][0] if marks else started[0]) if started else 0.0
        if len(marks) < 2 and started and since_s >= due_s:
            workers = [process.pid for name, process in status.processes.items() if name != "supervisor"]
            cpu_s = sum(map(cpu_seconds, workers))
            marks.append((now_s, shown, cpu_s))
        if len(marks) == 2:
            supervisor.stop()

    started: list[float] = []
    table = (
        Sources("capture", flood, {"flood": FloodConfig(*size)}),
        Stage("overlay", end, SinkConfig()),
    )
    supervisor = Supervisor(table, RunConfig(), lambda name, line: None, tick)
    supervisor.run()
    if len(marks) < 2:
        raise Failure("the link ended before it was measured")
    (first_s, first, first_cpu), (last_s, last, last_cpu) = marks
    frames = last - first
    return Way(frames / (last_s - first_s), 1000 * (last_cpu - first_cpu) / frames)


def cpu_seconds(pid: int | None) -> float:
    times = psutil.Process(pid).cpu_times()
    return times.user + times.system


def through_imagezmq(size: tuple[int, int]) -> Way:
    """A hub here, a sender in a process of its own."""
    import imagezmq

    hub = imagezmq.ImageHub(open_port="tcp://127.0.0.1:*")
    hub.zmq_socket.rcvtimeo, hub.zmq_socket.linger = 1000 * SILENCE_S, 0  # else a dead sender is waited for for ever
    address = hub.zmq_socket.getsockopt_string(zmq.LAST_ENDPOINT)
    command = [sys.executable, "-m", "benchmark.link", address, str(size[0]), str(size[1])]
    with subprocess.Popen(command, cwd=ROOT) as sender:
        try:
            began_s, count, start, cpu_start = 0.0, 0, 0, 0.0
            while True:
                _, picture = hub.recv_image()
                hub.send_reply(b"OK")
                assert signed(picture) == count % 256
                count += 1
                now_s = time.monotonic()
                if count == 1:
                    began_s = now_s
                if not start and now_s - began_s >= WARM_UP_S:
                    start, began_s, cpu_start = count, now_s, time.process_time() + cpu_seconds(sender.pid)
                elif start and now_s - began_s >= SECONDS:
                    cpu_s = time.process_time() + cpu_seconds(sender.pid) - cpu_start
                    return Way((count - start) / (now_s - began_s), 1000 * cpu_s / (count - start))
        except zmq.Again:
            raise Failure(f"imagezmq's sender was silent for {SILENCE_S} s") from None
        finally:
            sender.kill()
            hub.close()


def send_by_imagezmq(address: str, width: int, height: int) -> None:
    """The sender's side: one picture, numbered anew each time, until it is killed."""
    import imagezmq

    picture = np.full((height, width, 3), 7, np.uint8)
    sender = imagezmq.ImageSender(connect_to=address)
    for number in itertools.count():
        sign(picture, number)
        sender.send_image("flood", picture)


def copies_per_s(size: tuple[int, int]) -> float:
    """Copies of the picture in memory."""
    picture = np.full((size[1], size[0], 3), 7, np.uint8)
    target = np.empty_like(picture)
    began_s, count = time.perf_counter(), 0
    while (took_s := time.perf_counter() - began_s) < SECONDS / 4:
        np.copyto(target, picture)
        count += 1
    return count / took_s


if __name__ == "__main__":
    send_by_imagezmq(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
