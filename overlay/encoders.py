"""What encodes recorded pictures as H.264: x264 on the CPU, or a chip that this machine has for it."""

from __future__ import annotations

import functools
import logging
import math
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, cast

from configs.errors import InputError
from transport.cores import usable_cores

if TYPE_CHECKING:
    import av

log = logging.getLogger("overlay")

# A multiple of milliseconds and of 30000/1001 frames per second; MPEG-4 allows no denominator above 65535.
TIME_BASE = Fraction(1, 60000)
MPEG4_BITS_PER_PIXEL = 4
PIXELS_PER_THREAD = 2_500_000  # 1080p takes one thread 19 ms a picture, 3840x2160 76 ms: too long for 30 pictures/s


@dataclass(frozen=True, slots=True)
class Encoder:
    """One of FFmpeg's: its name there, what it is for people, the layout of pixels that it takes, its options."""

    codec: str
    name: str
    pixels: str
    options: dict[str, str]


# Each picture is out before the next one comes, so that a kill costs the last one at most.
ENCODERS = {
    "nvenc": Encoder(
        "h264_nvenc",
        "NVIDIA's NVENC",
        "yuv420p",
        {"preset": "p4", "tune": "ll", "rc": "vbr", "cq": "23", "b": "0", "delay": "0", "zerolatency": "1"},
    ),
    "qsv": Encoder(
        "h264_qsv",
        "Intel's Quick Sync",
        "nv12",
        {"preset": "faster", "global_quality": "23", "async_depth": "1"},
    ),
    # 720p, ms of one core and size of the file: ultrafast 4.7 and 2.6, superfast 6.2 and 1.2, veryfast 10.9 and 1.
    "x264": Encoder("libx264", "x264", "yuv420p", {"preset": "superfast", "tune": "zerolatency", "crf": "23"}),
}


def check_encoder(name: str) -> None:
    """Raises InputError where the encoder that is asked for cannot be opened here; `auto` always can."""
    if name not in ("auto", "x264") and (reason := refusal(name)):
        raise InputError(
            f"overlay.encoder {name}: {ENCODERS[name].name} cannot be used here ({reason}): take auto or x264"
        )


def encoders_of(name: str) -> tuple[str, ...]:
    """The encoders to try for a recording, in order. `auto`: a chip that really opens, then x264."""
    if name != "auto":
        return (name,)
    return (*(chip for chip in ENCODERS if chip != "x264" and not refusal(chip)), "x264")


@functools.cache
def refusal(name: str) -> str:
    """Why an encoder cannot be opened here, in a few words; empty: it can. A driver may be there, and no chip."""
    import av

    encoder = ENCODERS[name]
    if encoder.codec not in av.codecs_available:
        return f"this build of PyAV has no {encoder.codec}"
    coder = av.CodecContext.create(encoder.codec, "w")
    assert isinstance(coder, av.VideoCodecContext)
    level = av.logging.get_level()
    av.logging.set_level(None)  # libraries that look for a chip and find none say so in several lines
    try:
        prepare(coder, encoder, 640, 480)
    except (av.error.FFmpegError, OSError) as error:
        return f"{getattr(error, 'strerror', None) or error}"
    finally:
        av.logging.set_level(level)
    return ""


def add_track(
    container: av.container.OutputContainer, name: str, width: int, height: int
) -> tuple[av.VideoStream, Encoder]:
    """A track of H.264 in a container, its encoder open. Raises what FFmpeg does where it cannot be opened."""
    import av

    encoder = ENCODERS[name]
    if encoder.codec in av.codecs_available:
        track = cast("av.VideoStream", container.add_stream(encoder.codec, rate=25))
    else:
        log.warning("this build of PyAV has no %s: recording MPEG-4 Part 2, which browsers do not play", encoder.codec)
        encoder = Encoder("mpeg4", "MPEG-4 Part 2", "yuv420p", {})
        bit_rate = MPEG4_BITS_PER_PIXEL * width * height
        track = cast("av.VideoStream", container.add_stream("mpeg4", rate=25, bit_rate=bit_rate))
    prepare(track.codec_context, encoder, width, height)
    return track, encoder


def prepare(coder: av.VideoCodecContext, encoder: Encoder, width: int, height: int) -> None:
    """Set up an encoder for pictures of a size, and open it."""
    from av.codec.context import ThreadType

    coder.width, coder.height, coder.pix_fmt = width, height, encoder.pixels
    coder.options = dict(encoder.options)
    coder.time_base = TIME_BASE
    coder.thread_count, coder.thread_type = threads_for(width, height, usable_cores()), ThreadType.SLICE
    coder.gop_size, coder.max_b_frames = 50, 0  # seeking needs a key frame every other second
    # What cvtColor makes: BT.601, 16 to 235. Untold, players take a picture of HD size for BT.709.
    coder.colorspace, coder.color_range = 6, 1
    coder.open()


def threads_for(width: int, height: int, cores: int) -> int:
    """Threads of one encoder: one up to 1080p, a few for larger pictures where there are cores for them.

    >>> threads_for(1920, 1080, 16), threads_for(3840, 2160, 16), threads_for(3840, 2160, 2)
    (1, 4, 1)
    """
    return min(math.ceil(width * height / PIXELS_PER_THREAD), max(1, cores // 4))
