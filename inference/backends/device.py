"""Which device a model is to run on, and what ONNX Runtime can do here."""

from __future__ import annotations

from configs.errors import InputError


def parse_device(device: str, option: str = "--device") -> int | None:
    """Number of the CUDA device asked for by name; None for cpu and auto. Raises InputError for any other name.

    `option` is what users give it by.

    >>> [parse_device(name) for name in ("cpu", "auto", "cuda", "cuda:1")]
    [None, None, 0, 1]
    """
    kind, _, number = device.partition(":")
    if device in ("cpu", "auto"):
        return None
    if kind == "cuda" and (device == "cuda" or number.isdecimal()):
        return int(number or 0)
    raise InputError(f"{option} {device}: known are cpu, cuda, cuda:N and auto")


def wants_cuda(device: str, option: str = "--device") -> bool:
    """Whether ONNX Runtime is to try CUDA for a device."""
    return parse_device(device, option) is not None or (device == "auto" and cuda_built_in())


def cuda_built_in() -> bool:
    """Whether the ONNX Runtime that is installed was built with CUDA."""
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def missing_cuda_provider() -> str:
    """Why ONNX Runtime has no CUDA here, in words. Its two packages overwrite each other's files unnoticed."""
    from importlib import metadata

    installed = {dist.name for dist in metadata.distributions() if dist.name.startswith("onnxruntime")}
    if {"onnxruntime", "onnxruntime-gpu"} <= installed:
        return "onnxruntime has overwritten onnxruntime-gpu: uninstall both, then install onnxruntime-gpu again"
    return "this ONNX Runtime is built without CUDA: install onnxruntime-gpu instead of onnxruntime"
