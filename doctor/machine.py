"""What this machine has and lacks for the pipeline, finding by finding, and what to do about it."""

from __future__ import annotations

import contextlib
import importlib.metadata
import math
import os
import platform
import resource
import shutil
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import av

from capture.chips import CHIPS, has_node, refusal
from capture.kinds.webcam import Webcam
from capture.sources import size_of, tickets_of
from configs.errors import InputError
from configs.finding import Finding
from configs.fonts import SCRIPTS, advice, font_for, joins_letters
from configs.plural import counted
from configs.schema import PipelineConfig, SourceConfig
from inference.backends import model_file, open_backend
from inference.detectors import open_detector
from overlay.display import has_display
from overlay.encoders import ENCODERS, encoders_of
from run.limits import USUAL_SIZE, free_memory, run_bytes, stream_bytes, streams_that_fit
from run.run_folder import run_folder
from transport.cores import lanes_for, usable_cores

NEEDED = ("numpy", "opencv-python", "onnxruntime", "pyzmq", "av", "aiohttp", "pillow")
TRAINING = ("torch", "torchvision", "onnx", "onnxscript")
LEAST_DISK_GB = 1.0


def examine(options: PipelineConfig) -> Iterator[Finding]:
    """All findings for a run with these options, in the order in which a user would mend them."""
    yield Finding("ok", "Python", f"{platform.python_version()} on {platform.system()} {platform.machine()}")
    yield from packages()
    yield detector(options)
    yield classifier(options)
    yield providers()
    yield codecs()
    sources = options.sources or [SourceConfig(source="0")]
    lanes = lanes_for(options.run.lanes, options.run.cores or usable_cores(), len(sources))
    yield cores(lanes)
    yield memory(sources, lanes=lanes)
    yield open_files(len(sources), lanes)
    yield disk()
    yield sockets()
    yield port(options.web.host, options.web.port)
    yield fonts_found(options.classify.classes)
    yield display()
    yield from cameras()


def packages() -> Iterator[Finding]:
    """Versions of what runs the pipeline, and of what trains and exports."""
    found = {dist.name.lower(): dist.version for dist in importlib.metadata.distributions()}
    yield Finding("ok", "packages", ", ".join(f"{name} {found[name]}" for name in NEEDED if name in found))
    if {"opencv-python", "opencv-python-headless"} <= found.keys():
        yield Finding(
            "problem",
            "packages",
            "opencv-python and opencv-python-headless share one folder and overwrite each other",
            "pip uninstall opencv-python opencv-python-headless, then pip install -e . again: it brings a version 4",
        )
    missing = [name for name in TRAINING if name not in found]
    if missing:
        yield Finding(
            "warning",
            "training",
            f"{', '.join(missing)} not installed: train, export and .pth files need it",
            "pip install -e '.[train]'",
        )
    else:
        yield Finding("ok", "training", ", ".join(f"{name} {found[name]}" for name in TRAINING))


def detector(options: PipelineConfig) -> Finding:
    """The detector of these options, opened."""
    try:
        return Finding("ok", "detector", open_detector(options.detect).name)
    except InputError as error:
        return Finding("problem", "detector", str(error), "see `maskstream run --help`, --detector")


def classifier(options: PipelineConfig) -> Finding:
    """The model of these options, loaded and run, and whether its card lies beside it."""
    try:
        backend = open_backend(options.classify)
    except InputError as error:
        return Finding("problem", "model", str(error), "give another one by --model, or leave it out")
    path = model_file(options.classify)
    about = f"{path.name}, {backend.info.backbone}, classes {', '.join(backend.classes)}, on {backend.provider}"
    card = path.parent / "MODEL_CARD.md"
    if card.is_file():
        return Finding("ok", "model", f"{about}; its card: {card}")
    return Finding(
        "warning",
        "model",
        f"{about}; no MODEL_CARD.md beside it",
        "judge it on faces that it has not learnt from: maskstream evaluate MODEL DATASET",
    )


def providers() -> Finding:
    """What ONNX Runtime can run on."""
    import onnxruntime

    names = [name.removesuffix("ExecutionProvider") for name in onnxruntime.get_available_providers()]
    found = f"{', '.join(names)} ({onnxruntime.get_device()} build of ONNX Runtime)"
    if shutil.which("nvidia-smi") and "CUDA" not in names:
        remedy = "to use it: pip uninstall onnxruntime, then pip install onnxruntime-gpu (they overwrite each other)"
        return Finding("warning", "providers", f"{found}; there is an NVIDIA driver that it cannot use", remedy)
    return Finding("ok", "providers", found)


def codecs() -> Finding:
    """What films and network cameras need, and what recordings are written with."""
    wanted = (("h264", "r"), ("hevc", "r"), ("mjpeg", "r"), ("libx264", "w"))
    missing = [name for name, mode in wanted if not has_codec(name, mode)]
    if missing:
        return Finding("problem", "codecs", f"missing: {', '.join(missing)}", "pip install --force-reinstall av")
    refusals = {name: refusal(name) for name in CHIPS}
    decoder = next((CHIPS[name].name for name, reason in refusals.items() if not reason), "the CPU")
    encoder = ENCODERS[encoders_of("auto")[0]].name
    found = f"reads H.264, HEVC and MJPEG by {decoder}, writes H.264 by {encoder}"
    idle = [f"{CHIPS[name].name} ({reason})" for name, reason in refusals.items() if reason and has_node(name)]
    if decoder == "the CPU" and idle:
        remedy = "if there is such a chip, install its driver whole; else this is well: the CPU decodes"
        return Finding("warning", "codecs", f"{found}; cannot be used: {', '.join(idle)}", remedy)
    return Finding("ok", "codecs", found)


def has_codec(name: str, mode: Any) -> bool:
    with contextlib.suppress(av.codec.codec.UnknownCodecError):
        return bool(av.Codec(name, mode))
    return False


def cores(lanes: int = 1) -> Finding:
    """The cores that affinity and container leave; one is enough for one camera."""
    usable, there = usable_cores(), os.cpu_count() or 1
    text = f"{usable} of {there} may be used" if usable < there else f"{usable}"
    text += f", for {lanes} lanes" if lanes > 1 else ""
    if usable < 2:
        return Finding("warning", "cores", text, "one core holds a camera or two; give the container more for others")
    return Finding("ok", "cores", text)


def memory(sources: Sequence[SourceConfig], cgroup: Path = Path("/sys/fs/cgroup"), lanes: int = 1) -> Finding:
    """What is free here and in the container, against what a run of these sources takes, and how many would fit.

    Frames lie in anonymous memory: the size of /dev/shm, 64 MB in many containers, does not matter.
    """
    sizes = [size_of(source) for source in sources]
    takes = [stream_bytes(tickets_of(source) + 2, size) for source, size in zip(sources, sizes, strict=True)]
    of_run, free = run_bytes(lanes), free_memory(cgroup)
    need = of_run + sum(takes)
    width, height = max((size or USUAL_SIZE for size in sizes), key=math.prod)
    of_size = f"{'up to ' if len(set(sizes)) > 1 else ''}{width}x{height} px"
    fit = max(0, int((free - of_run) / (sum(takes) / len(takes))))
    text = f"{free / 1e9:.1f} GB free, {need / 1e9:.1f} needed for {counted(len(sources), 'stream')} of {of_size}; "
    text += f"{fit} like that would fit; /dev/shm is not used"
    if free < need:
        return Finding("problem", "memory", text, "raise the container's limit, or set fewer --tickets")
    return Finding("ok", "memory", text)


def open_files(streams: int, lanes: int = 1) -> Finding:
    """How many files each process of a run may have open, and how many streams that is enough for."""
    fit = streams_that_fit(allowed := resource.getrlimit(resource.RLIMIT_NOFILE)[1], lanes)
    text = f"{allowed} for each process, enough for {counted(fit, 'stream')}"
    if fit < streams:
        return Finding("problem", "open files", text, "raise the limit: ulimit -Hn, LimitNOFILE=, --ulimit nofile=")
    return Finding("ok", "open files", text)


def disk() -> Finding:
    """Room for what is recorded in this folder."""
    free_gb = shutil.disk_usage(".").free / 1e9
    if free_gb < LEAST_DISK_GB:
        return Finding("warning", "disk", f"{free_gb:.1f} GB free here", "recordings will soon stop: free some")
    return Finding("ok", "disk", f"{free_gb:.1f} GB free here")


def sockets() -> Finding:
    """The private folder that the processes of a run meet in."""
    try:
        with run_folder() as folder:
            return Finding("ok", "sockets", f"in {folder.parent}")
    except OSError as error:
        return Finding("problem", "sockets", f"no folder for them: {error}", "set XDG_RUNTIME_DIR to one of your own")


def port(host: str, number: int) -> Finding:
    """Whether the page could listen where it is to."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, number))
        except OSError as error:
            text = f"{host}:{number} cannot be listened on: {error.strerror}"
            return Finding("warning", "page", text, "is a run going on? else choose another one: --port")
    return Finding("ok", "page", f"{host}:{number} is free")


def fonts_found(texts: Sequence[str] = ()) -> Finding:
    """What labels beyond ASCII are drawn with, and the scripts that no font here has; `texts` are the class names."""
    found = {script: font_for(sample) for script, sample in SCRIPTS.items()}
    there: dict[str, list[str]] = {}
    for script, choice in found.items():
        if not choice.missing:
            there.setdefault(choice.path, []).append(script)
    said = "; ".join(f"{', '.join(scripts)} by {path}" for path, scripts in there.items())
    lacking = [script for script, choice in found.items() if choice.missing]
    said += f"{'; ' if said else ''}none for {', '.join(lacking)}: drawn as ?" if lacking else ""
    missing = frozenset().union(*(font_for(text).missing for text in texts))
    if missing:
        letters = " ".join(sorted(missing))
        return Finding("warning", "fonts", f"{said}; the class names have {letters}", advice(missing))
    if not there:
        return Finding("warning", "fonts", "none: labels beyond ASCII are drawn as ?", advice(frozenset("ä")))
    if not joins_letters():
        return Finding("warning", "fonts", f"{said}; Arabic letters are not joined", "apt-get install libfribidi0")
    return Finding("ok", "fonts", said)


def display() -> Finding:
    """Whether a window would appear."""
    if has_display():
        return Finding("ok", "display", os.environ.get("DISPLAY", "there is one"))
    return Finding("warning", "display", "none: no window can be shown", "look at the page instead: --sink web")


def cameras(devices: Sequence[Path] | None = None) -> Iterator[Finding]:
    """Each camera of this computer, opened for one picture."""
    found = sorted(Path("/dev").glob("video*")) if devices is None else devices
    if not found:
        yield Finding("warning", "cameras", "none at this computer", "network cameras, films and the demo work without")
    for path in found:
        try:
            camera = Webcam(SourceConfig(source=str(path)))
        except InputError as error:
            # many a camera has a second device, which gives no pictures but data about them
            yield Finding(
                "warning", "camera", str(error), "if another device of the same camera is ok, ignore this one"
            )
            continue
        yield Finding("ok", "camera", f"{path}, {camera.fps:g} frames/s")
        camera.close()
