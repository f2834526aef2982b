"""`maskstream doctor`: what there is on this machine, and what to do about what is not."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
import shutil
import socket
from collections.abc import Iterator
from glob import glob
from pathlib import Path
from typing import Literal, NamedTuple

import cv2
import psutil
import typer

from configs.schema import LIVE_TICKETS, WebConfig
from inference.backends import SHIPPED_MODEL
from overlay.sinks import default_sinks
from transport.cores import usable_cores

Verdict = Literal["ok", "warning", "problem"]
_PICTURE_MB = 1920 * 1080 * 3 / 1e6
_LEAST_FREE_MB = 500
_REPORTED = ("numpy", "opencv-python", "pyzmq", "av", "aiohttp", "msgspec", "psutil")


class Finding(NamedTuple):
    """One line: what was looked at, how it is, and what to do (empty: nothing)."""

    verdict: Verdict
    about: str
    found: str
    do: str = ""


def doctor() -> None:
    """Look whether this machine has what a run needs; exit code 1 if something is a problem."""
    findings = [finding for look in _LOOKS for finding in look()]
    width = max(len(finding.about) for finding in findings)
    colours = {"ok": typer.colors.GREEN, "warning": typer.colors.YELLOW, "problem": typer.colors.RED}
    for verdict, about, found, do in findings:
        word = typer.style(f"{verdict:7}", fg=colours[verdict])
        typer.echo(f"{word}  {about:{width}}  {found}" + (f": {do}" if do else ""))
    if any(finding.verdict == "problem" for finding in findings):
        raise typer.Exit(1)


def _versions() -> Iterator[Finding]:
    yield Finding("ok", "python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    installed = {dist.name.lower(): dist.version for dist in importlib.metadata.distributions()}
    yield Finding("ok", "packages", ", ".join(f"{name} {installed[name]}" for name in _REPORTED if name in installed))
    if "opencv-python" in installed and "opencv-python-headless" in installed:
        yield Finding(
            "problem", "opencv", "opencv-python and opencv-python-headless are both installed",
            "uninstall both and install opencv-python again: they share one folder",
        )  # fmt: skip
    if platform.system() != "Linux":
        yield Finding("problem", "system", platform.system(), "runs need Linux (memfd, prctl)")


def _opencv() -> Iterator[Finding]:
    if not hasattr(cv2, "CascadeClassifier"):
        yield Finding(
            "problem", "cascade", f"OpenCV {cv2.__version__} has none", "pip install 'opencv-python>=4.10,<5'"
        )
        return
    missing = [name for name in ("alt2", "alt") if not _cascade(name).is_file()]
    if missing:
        yield Finding("problem", "cascade", f"no file for {', '.join(missing)}", "install opencv-python again")
    else:
        yield Finding("ok", "cascade", "haarcascade_frontalface_alt2 and alt")


def _cascade(name: str) -> Path:
    return Path(cv2.data.haarcascades) / f"haarcascade_frontalface_{name}.xml"  # type: ignore[attr-defined]


def _codecs() -> Iterator[Finding]:
    import av

    if "libx264" in av.codecs_available:
        yield Finding("ok", "video", f"PyAV {av.__version__} with libx264")
    else:
        yield Finding("warning", "video", "PyAV has no libx264", "recordings become MPEG-4, which browsers do not play")


def _model() -> Iterator[Finding]:
    card = SHIPPED_MODEL.with_name("MODEL_CARD.md")
    if not SHIPPED_MODEL.is_file():
        yield Finding("problem", "model", f"{SHIPPED_MODEL} is missing", "install again, or give --model")
    else:
        size_mb = SHIPPED_MODEL.stat().st_size / 1e6
        beside = "its card beside it" if card.is_file() else "no card beside it"
        yield Finding(
            "ok" if card.is_file() else "warning", "model", f"{SHIPPED_MODEL.name}, {size_mb:.1f} MB, {beside}"
        )


def _providers() -> Iterator[Finding]:
    import onnxruntime

    providers = onnxruntime.get_available_providers()
    yield Finding("ok", "providers", f"ONNX Runtime {onnxruntime.__version__}: {', '.join(providers)}")
    names = {dist.name.lower() for dist in importlib.metadata.distributions()}
    if {"onnxruntime", "onnxruntime-gpu"} <= names:
        yield Finding(
            "problem", "providers", "onnxruntime and onnxruntime-gpu are both installed", "uninstall both, install one"
        )
    if shutil.which("nvidia-smi") and "CUDAExecutionProvider" not in providers:
        yield Finding(
            "warning", "cuda", "an NVIDIA driver is here, ONNX Runtime cannot use it",
            "install onnxruntime-gpu instead of onnxruntime",
        )  # fmt: skip
    torch = "there" if importlib.util.find_spec("torch") else "not installed: .pth models and training need it"
    yield Finding("ok", "torch", torch)


def _cores() -> Iterator[Finding]:
    usable, there = usable_cores(), os.cpu_count() or 1
    limited = f" of {there} (affinity or cgroup)" if usable < there else ""
    advice = "a run shares one core among its stages: expect fewer frames" if usable == 1 else ""
    yield Finding("warning" if usable == 1 else "ok", "cores", f"{usable}{limited}", advice)
    free_mb = psutil.virtual_memory().available / 1e6
    limit = _memory_limit_mb()
    free_mb = min(free_mb, limit) if limit else free_mb
    need_mb = (LIVE_TICKETS + 2) * _PICTURE_MB
    text = f"{free_mb / 1000:.1f} GB free; a stream of 1080p takes up to {need_mb:.0f} MB"
    yield Finding("ok", "memory", text) if free_mb > _LEAST_FREE_MB else Finding("warning", "memory", text, "free some")
    yield Finding("ok", "/dev/shm", "not used: frames are in anonymous memory, whatever its size")


def _memory_limit_mb() -> float | None:
    try:
        text = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        return None
    return int(text) / 1e6 if text.isdecimal() else None


def _display() -> Iterator[Finding]:
    if default_sinks() == ("window",):
        yield Finding("ok", "display", "windows can be shown")
    else:
        yield Finding("ok", "display", "none: runs show a page (--sink web) if nothing else is said")


def _cameras() -> Iterator[Finding]:
    devices = sorted(glob("/dev/video*"))
    closed = [device for device in devices if not os.access(device, os.R_OK | os.W_OK)]
    if not devices:
        yield Finding("ok", "cameras", "no /dev/video*: network cameras and files need none")
    elif closed:
        yield Finding(
            "problem", "cameras", f"{', '.join(closed)} may not be opened", "add this user to the group video"
        )
    else:
        yield Finding("ok", "cameras", ", ".join(devices))


def _ports() -> Iterator[Finding]:
    config = WebConfig()
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((config.host, config.port))
        except OSError as error:
            yield Finding("warning", "page", f"port {config.port}: {error.strerror}", "give --sink web another --port")
        else:
            yield Finding("ok", "page", f"port {config.port} of {config.host} is free")
    paho = importlib.util.find_spec("paho") is not None
    yield Finding("ok", "mqtt", "paho-mqtt" if paho else "not installed: mqtt:// sinks need pip install 'paho-mqtt>=2'")


def _disk() -> Iterator[Finding]:
    free_gb = shutil.disk_usage(".").free / 1e9
    advice = "recordings in this folder will stop soon" if free_gb < 1 else ""
    yield Finding("warning" if free_gb < 1 else "ok", "disk", f"{free_gb:.1f} GB free here", advice)


_LOOKS = (_versions, _opencv, _codecs, _model, _providers, _cores, _display, _cameras, _ports, _disk)
