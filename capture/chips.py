"""Chips that decode pictures instead of the CPU: which there are, which this machine has, how one is opened."""

from __future__ import annotations

import contextlib
import functools
import glob
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TYPE_CHECKING

from configs.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av import Packet, VideoCodecContext


@dataclass(frozen=True, slots=True)
class Chip:
    """One of FFmpeg's devices for decoding: what it and its driver are for people; the files that the driver makes.

    `node` is the usual name of such a file. `suffix` is how FFmpeg's decoders for it end; those for NVIDIA's are the
    usual ones, which can use it. `perhaps` is why one that opens may decode nothing.
    """

    name: str
    driver: str
    node: str
    nodes: tuple[str, ...]
    suffix: str = ""
    perhaps: str = ""
    options: dict[str, str] = field(default_factory=dict)


# PyAV 18.1's wheel has these and no VAAPI. Where its decoder is not one for the device, PyAV decodes on the CPU and
# says nothing: `av.open(film, hwaccel=HWAccel("qsv"))` gives pictures of the usual h264, `is_hwaccel` False.
CHIPS = {
    "cuda": Chip(
        "NVIDIA's NVDEC",
        "NVIDIA's driver",
        "/dev/nvidia0",
        ("/dev/nvidia[0-9]*", "/dev/dxg"),
        perhaps="; a container needs NVIDIA_DRIVER_CAPABILITIES with video",
    ),
    "qsv": Chip(
        "Intel's Quick Sync",
        "Intel's driver",
        "/dev/dri/renderD128",
        ("/dev/dri/renderD*",),
        suffix="_qsv",
        options={"async_depth": "1"},  # of 4, its own, pictures come three later
    ),
}


def check_decode(decode: str) -> None:
    """Raises InputError where the chip that is asked for cannot be opened here; `auto` and `cpu` always can."""
    if decode in CHIPS and (reason := refusal(decode)):
        raise InputError(f"decode {decode}: {CHIPS[decode].name} cannot be used here ({reason}): take auto or cpu")


def chips_of(decode: str) -> tuple[str, ...]:
    """The chips to try for a source, in order; none: it is decoded on the CPU. Looks for files only: 0.09 ms."""
    if decode == "auto":
        return tuple(name for name in CHIPS if has_node(name))
    return (decode,) if decode in CHIPS else ()


def has_node(name: str) -> bool:
    """Whether the driver of a chip is loaded, and given to this container."""
    return any(glob.glob(node) for node in CHIPS[name].nodes)


class NoChip(Exception):
    """There is no decoder for that codec on the chip, or it does not open."""


@functools.cache
def refusal(name: str) -> str:
    """Why a chip cannot be opened here, in a few words; empty: it can. A driver may be there, and no chip."""
    chip = CHIPS[name]
    if not has_node(name):
        return f"{chip.driver} is not loaded, or not given to this container: there is no {chip.node}"
    with quiet():
        try:
            context = open_chip(name, "h264")
            frames = [frame for packet in sample() for frame in context.decode(packet)]
        except chip_errors() as error:
            return reason_of(error)
    if not frames or context.pix_fmt != name:  # FFmpeg has gone on in software
        return f"it opens and decodes no H.264{chip.perhaps}"
    return ""


def sample() -> list[Packet]:
    """One picture as H.264, 640x480 px, and the end of it: a chip that opens may lack the library that decodes."""
    import av

    coder = av.CodecContext.create("libx264", "w")
    assert isinstance(coder, av.VideoCodecContext)
    coder.width, coder.height, coder.pix_fmt, coder.time_base = 640, 480, "yuv420p", Fraction(1, 25)
    picture = av.VideoFrame(640, 480, "yuv420p")
    for plane in picture.planes:
        plane.update(bytes(plane.buffer_size))
    picture.pts = 0
    return [*coder.encode(picture), *coder.encode(None), av.Packet()]


def open_chip(name: str, codec: str) -> VideoCodecContext:
    """A decoder of that codec on a chip, not opened yet. Raises `chip_errors`, also where it has none for the codec.

    Without a driver PyAV 18.1 raises PermissionError, although it is allowed to go on in software.
    """
    import av
    from av.codec.hwaccel import HWAccel, HWDeviceType

    chip = CHIPS[name]
    own = f"{codec.replace('mpeg2video', 'mpeg2') if chip.suffix else codec}{chip.suffix}"
    with quiet():
        try:
            context = av.CodecContext.create(own, "r", hwaccel=HWAccel(name))
        except (av.codec.codec.UnknownCodecError, NotImplementedError):  # the latter where it has no such device
            raise NoChip(f"it has no decoder for {codec}") from None
    if not context.is_hwaccel:  # PyAV takes an ENOSYS of the device for a codec without one
        has_it = any(config.device_type == HWDeviceType[name] for config in av.Codec(own, "r").hardware_configs)
        raise NoChip("it does not open" if has_it else f"it has no decoder for {codec}")
    assert isinstance(context, av.VideoCodecContext)
    context.options = dict(chip.options)
    return context


def chip_errors() -> tuple[type[Exception], ...]:
    """What FFmpeg and PyAV raise for a chip that is not there, or not able to."""
    import av

    return (av.error.FFmpegError, NoChip, OSError)


def reason_of(error: Exception) -> str:
    """In a few words."""
    return f"{getattr(error, 'strerror', None) or error}"


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Libraries that look for a chip and find none say so in several lines."""
    import av

    level = av.logging.get_level()
    av.logging.set_level(None)
    try:
        yield
    finally:
        av.logging.set_level(level)
