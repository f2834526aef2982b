"""Backends: what runs a classifier's file. Each is a class in a file of its own and a line in the table."""

from __future__ import annotations

from pathlib import Path

from configs.errors import InputError
from configs.schema import ClassifyConfig
from inference.backends.backend import Backend, varied_faces
from inference.backends.device import wants_cuda
from inference.backends.onnx_backend import OnnxBackend
from inference.backends.torch_backend import TorchBackend
from inference.checkpoint import other_format
from inference.original import there
from inference.preference import added_to_logits

BACKENDS: tuple[type[Backend], ...] = (OnnxBackend, TorchBackend)  # the one whose suffixes a file has runs it
SHIPPED_MODEL = Path(__file__).parents[1] / "pretrained" / "face_mask.onnx"
SHIPPED_INT8 = SHIPPED_MODEL.with_suffix(".int8.onnx")  # the same, in half the time on a CPU


def open_backend(config: ClassifyConfig) -> Backend:
    """The model of the configuration, loaded, on the device asked for, and warmed up.

    Raises InputError for a file that is no model, for class names that are missing or do not fit, for a preference
    without an operating point, and for a device that is not really in use: there is no silent fall-back to the CPU.
    """
    path = there(model_file(config))
    if not path.is_file():
        raise InputError(f"{path}: no such model file")
    kind = next((backend for backend in BACKENDS if path.suffix in backend.suffixes), None)
    if kind is None:
        ends = " or ".join(backend.suffixes[0] for backend in BACKENDS)
        raise InputError(f"{path}: a model file ends in {ends}{other_format(path)}")
    backend = kind(path, config)
    answer = backend.logits(varied_faces(backend.preprocessing)[:2])
    if answer.shape[1] != len(backend.classes):
        names = len(backend.classes)
        raise InputError(f"{path}: the model has {answer.shape[1]} outputs, but {names} class names are given")
    backend.shift = added_to_logits(backend.info, config.prefer, path)
    return backend


def model_file(config: ClassifyConfig) -> Path:
    """The file of the options, else the one that ships for their device: int8 for CPUs, fp32 for CUDA."""
    if config.model:
        return Path(config.model)
    return SHIPPED_MODEL if wants_cuda(config.device) else SHIPPED_INT8
