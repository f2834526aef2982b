"""What a link costs, beside one copy of the frame: ratios of one run, because machines are noisy."""

import os
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import zmq

from transport.channel import Inbox, Outbox
from transport.frame import Frame
from transport.pool import FLYING, Pool, create_segment

pytestmark = pytest.mark.bench
FRAMES = 2000


def frames_per_s(work) -> float:
    """Median of three runs."""
    rates = []
    for _ in range(3):
        began_s = time.perf_counter()
        work()
        rates.append(FRAMES / (time.perf_counter() - began_s))
    return sorted(rates)[1]


def through_the_link(address: str, frame: Frame, pool: Pool | None) -> float:
    with zmq.Context() as context, Inbox(context, address) as inbox, Outbox(context, address) as outbox:
        tickets = threading.Semaphore(6)

        def receive():
            for _ in range(FRAMES):
                message = inbox.receive(10, None if pool is None else lambda stream, *place: pool.read(*place))
                assert message.image[-1, -1, 0] == 7
                tickets.release()

        def work():
            thread = threading.Thread(target=receive)
            thread.start()
            for _ in range(FRAMES):
                tickets.acquire()
                outbox.send(frame)
            thread.join()

        return frames_per_s(work)


@pytest.mark.parametrize("size", [(480, 640), (720, 1280), (1080, 1920)], ids=lambda size: f"{size[1]}x{size[0]}")
def test_a_slot_in_shared_memory_beats_copying_the_pixels(size, tmp_path):
    image = np.full((*size, 3), 7, np.uint8)
    target = np.empty_like(image)
    copy = frames_per_s(lambda: [np.copyto(target, image) for _ in range(FRAMES)])
    fd = create_segment("bench", 8)
    with Pool(fd) as pool:
        pool.grow(image.nbytes)
        pool.pixels(0, *size)[:] = image
        pool.slots["state"][0] = FLYING
        slot = through_the_link(f"ipc://{tmp_path}/l"[-100:], Frame("s", 0, 0, image, slot=0), pool)
    os.close(fd)
    carried = through_the_link(f"ipc:///tmp/maskstream-bench-{os.getpid()}", Frame("s", 0, 0, image), None)
    Path(f"/tmp/maskstream-bench-{os.getpid()}").unlink(missing_ok=True)
    print(
        f"\n{size[1]}x{size[0]}: slot {slot:.0f}/s, pixels in the message {carried:.0f}/s, one memcpy {copy:.0f}/s;"
        f" slot to carried {slot / carried:.1f}"
    )
    assert slot > 3 * carried
