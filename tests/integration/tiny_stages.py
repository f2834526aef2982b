"""Stages of a few lines, for what no real stage does on purpose: to be slow, to crash, to misbehave."""

import time

from configs.schema import DetectConfig, OverlayConfig
from transport.frame import Ended


def slow_show(config: OverlayConfig, batches, context):
    """Shows 5 frames per second."""
    for frames in batches:
        for frame in frames:
            age_ns = time.monotonic_ns() - frame.captured_ns
            time.sleep(0.2)
            yield Ended(frame, "shown", age_ns)


def show_100(config: OverlayConfig, batches, context):
    """Shows 100 frames per second, of all streams together."""
    for frames in batches:
        for frame in frames:
            time.sleep(0.01)
            yield Ended(frame, "shown")


def show(config: OverlayConfig, batches, context):
    """Shows at once."""
    for frames in batches:
        for frame in frames:
            yield Ended(frame, "shown")


def pass_on(config: DetectConfig, batches, context):
    """Adds nothing."""
    for frames in batches:
        yield from frames


def count_ends(config: DetectConfig, batches, context):
    """Counts the frames of each stream until it is told that the stream has ended; does so again for the next."""
    frames_of = {}
    for frames in batches:
        for stream in context.ended:
            context.counts[f"{stream} ended"] = context.counts.get(f"{stream} ended", 0) + 1
            context.counts[f"{stream} had"] = frames_of.pop(stream, 0)
        for frame in frames:
            frames_of[frame.stream] = frames_of.get(frame.stream, 0) + 1
        yield from frames


def crash_at_start(config: DetectConfig, batches, context):
    """Never gets ready."""
    raise RuntimeError("rtsp://user:s3cret@door/ is broken")
    yield


def keep_one(config: DetectConfig, batches, context):
    """Breaks the contract: holds the last frame of each batch back."""
    for frames in batches:
        yield from frames[:-1]


def stuck(config: DetectConfig, batches, context):
    """Hangs at the tenth frame of its first life."""
    for count, frames in enumerate(batches):
        if count == 10 and context.restarts == 0:
            time.sleep(1000)
        yield from frames
