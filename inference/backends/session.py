"""Opens an ONNX file in ONNX Runtime, for a backend or a detector."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from configs.errors import InputError
from inference.backends.device import cuda_built_in, missing_cuda_provider, parse_device, wants_cuda
from inference.backends.onnx_errors import in_short, session_errors

if TYPE_CHECKING:
    import onnxruntime

log = logging.getLogger("classify")

METADATA_KEY = "maskstream"  # in the metadata of an ONNX file: what it says of itself as JSON


def open_session(
    path: Path, device: str = "cpu", threads: int = 1, option: str = "--device"
) -> tuple[onnxruntime.InferenceSession, str]:
    """An ONNX Runtime session and the execution provider that it really uses.

    Raises InputError for a file that is no model and for a device that is not there: `device` is cpu, cuda, cuda:N or
    auto, given by `option`; `threads` are those of one forward pass on a CPU.
    """
    import onnxruntime

    cuda_number = parse_device(device, option)
    if cuda_number is not None and not cuda_built_in():
        raise InputError(f"{option} {device}: {missing_cuda_provider()}; or use {option} cpu")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # it prints pages about what we say in one line
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # else it burns the other stages' cores
    providers: list[str | tuple[str, dict[str, int]]] = ["CPUExecutionProvider"]
    # TF32, which ONNX Runtime allows by default, cuts fp32 to 10 bits: who wants that speed exports with --fp16
    if wants_cuda(device, option):
        providers.insert(0, ("CUDAExecutionProvider", {"device_id": cuda_number or 0, "use_tf32": 0}))
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=providers)
    except session_errors() as error:
        raise InputError(f"{path}: not a model that ONNX Runtime can load: {in_short(error)}") from error
    used = session.get_providers()[0]
    if cuda_number is not None and used != "CUDAExecutionProvider":
        raise InputError(
            f"{option} {device}: ONNX Runtime could not start CUDA and would run on {used}; "
            f"check the driver and the CUDA libraries, or use {option} cpu"
        )
    if device == "auto":
        log.info("%s auto: chose %s", option, used)
    return session, used
