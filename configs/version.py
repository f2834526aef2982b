"""What a report of a fault says first: the versions of the program, of what it is built on, and of the machine."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path

PACKAGES = ("numpy", "opencv-python", "onnxruntime", "av", "pyzmq", "torch", "torchvision")


def version_lines() -> list[str]:
    """One line each: `maskstream 0.1.0`, Python and the system, packages, processor."""
    packages = [f"{name} {version}" for name in PACKAGES if (version := _version(name))]
    return [
        f"maskstream {_version('maskstream') or '(not installed)'}",
        f"Python {platform.python_version()}, {platform.platform()}",
        ", ".join(packages),
        f"{_processor()}, {len(os.sched_getaffinity(0))} of {os.cpu_count()} cores",
    ]


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _processor() -> str:
    """As /proc/cpuinfo names it; the architecture where it does not."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
