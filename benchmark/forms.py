"""One network in all the forms in which faces can be classified on a card: by what, in which precision, how fast."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from benchmark.card import Card, Precision, operations
from benchmark.clip import Clip
from benchmark.compared import calibration_crops, prepare_network
from configs.errors import InputError
from export.precision import to_fp16, to_int8
from inference.backends.device import missing_cuda_provider
from inference.backends.onnx_errors import in_short, session_errors
from inference.checkpoint import load_checkpoint
from inference.preprocess import Preprocessing, prepare
from transport.cores import usable_cores

BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)
MOST_OF_CPU = 32  # faces in a batch of a CPU, to which more bring nothing: 256 of ResNet50 take two cores 20 s
ROUNDS = 5
LEAST_S = 0.1  # of one round
CPU, CUDA, TENSORRT = (f"{name}ExecutionProvider" for name in ("CPU", "CUDA", "Tensorrt"))
Run = Callable[[np.ndarray], np.ndarray]
"""Prepared faces (N, 3, size, size) float32 in memory to logits (N, classes) in memory."""


class Form(Struct, frozen=True):
    """What runs the network, and in which precision; `open` brings it up, `on_card` says whether on the card."""

    what: str
    precision: Precision
    open: Callable[[], Run]
    on_card: bool = True


class FormFigures(Struct, frozen=True, kw_only=True):
    """One form of one network. Times are the best of the rounds, from faces in memory to logits in memory.

    `share` is that of the card's peak in its precision, at the best batch; None on a CPU, and where the peak is not
    known. `why_not`: it could not be run, and there are no figures.
    """

    network: str
    what: str
    precision: str
    ms_per_face: dict[int, float] = {}  # by batch size
    faces_per_s: float | None = None
    share: float | None = None
    why_not: str = ""


class Network(Struct, frozen=True):
    """A network's files, as a checkpoint and as ONNX, and the operations of one face."""

    called: str
    checkpoint: Path
    folder: Path
    preprocessing: Preprocessing
    crops: list[np.ndarray]
    operations: float

    @property
    def fp32(self) -> Path:
        return self.folder / f"{self.checkpoint.stem}.onnx"


def written(backbone: str, film: Clip, folder: Path) -> Network:
    """The network with random weights, which take as long as trained ones, as files in the folder."""
    files = prepare_network(backbone, film, folder, "cpu")
    model, info = load_checkpoint(files.torch)
    size = info.preprocessing.size
    crops = calibration_crops(film)
    return Network(backbone, files.torch, folder, info.preprocessing, crops, operations(model, 1, 3, size, size))


def measure_forms(network: Network, card: Card, batches: Sequence[int] = BATCHES) -> Iterator[FormFigures]:
    """Each form, one after the other; what cannot be run says why in one line."""
    unfit: tuple[type[Exception], ...] = (InputError, RuntimeError, *session_errors())
    faces = prepare([network.crops[at % len(network.crops)] for at in range(max(batches))], network.preprocessing)
    for form in forms(network, card, max(batches)):
        told = FormFigures(network=network.called, what=form.what, precision=form.precision)
        try:
            run = form.open()
            fitting = [batch for batch in batches if form.on_card or batch <= MOST_OF_CPU]
            times = {batch: ms_per_face(run, faces[:batch]) for batch in fitting}
        except unfit as error:
            yield replace(told, why_not=in_short(error)[:200] or type(error).__name__)
            continue
        per_s = 1000 / min(times.values())
        share = card.share(per_s * network.operations, form.precision) if form.on_card else None
        yield replace(told, ms_per_face=times, faces_per_s=per_s, share=share)


def ms_per_face(run: Run, faces: np.ndarray) -> float:
    """The first two are not counted: libraries choose how they compute, and compile, when they see a size first."""
    for _ in range(2):
        run(faces)
    best_s = float("inf")
    for _ in range(ROUNDS):
        began_s, count = time.perf_counter(), 0
        while not count or time.perf_counter() - began_s < LEAST_S:
            run(faces)
            count += 1
        best_s = min(best_s, (time.perf_counter() - began_s) / count)
    return 1000 * best_s / len(faces)


def forms(network: Network, card: Card, most: int) -> Iterator[Form]:
    """All forms; beside those on the card what the CPU does with all its cores."""
    half, int8, signed = (network.fp32.with_suffix(f".{name}.onnx") for name in ("fp16", "int8", "signed"))
    cores, torch = usable_cores(), functools.partial(open_torch, network, card)
    onnx = functools.partial(open_onnx, network, card, most)
    yield Form(f"ONNX Runtime, CPU, {cores} threads", "fp32", functools.partial(onnx, network.fp32, CPU), False)
    yield Form(f"ONNX Runtime, CPU, {cores} threads", "int8", functools.partial(onnx, int8, CPU), False)
    yield Form("PyTorch", "fp32", torch)
    yield Form("PyTorch", "fp16", functools.partial(torch, half=True))
    yield Form("PyTorch, torch.compile", "fp16", functools.partial(torch, half=True, compiled=True))
    yield Form("ONNX Runtime, CUDA", "fp32", functools.partial(onnx, network.fp32, CUDA))
    yield Form("ONNX Runtime, CUDA", "fp16", functools.partial(onnx, half, CUDA))
    yield Form("ONNX Runtime, CUDA", "int8", functools.partial(onnx, int8, CUDA))
    yield Form("ONNX Runtime, TensorRT", "fp32", functools.partial(onnx, network.fp32, TENSORRT))
    yield Form("ONNX Runtime, TensorRT", "fp16", functools.partial(onnx, half, TENSORRT))
    yield Form("ONNX Runtime, TensorRT", "int8", functools.partial(onnx, signed, TENSORRT))


def open_torch(network: Network, card: Card, half: bool = False, compiled: bool = False) -> Run:
    """PyTorch on the card. fp32 is fp32: TF32, which cuDNN takes by default, has 10 bits of 23."""
    import torch

    torch.backends.cudnn.allow_tf32 = False
    model, _ = load_checkpoint(network.checkpoint)
    dtype = torch.float16 if half else torch.float32
    model = model.to(card.device, dtype).to(memory_format=torch.channels_last)
    forward = torch.compile(model) if compiled else model

    def run(faces: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            batch = torch.from_numpy(faces).to(card.device).to(dtype, memory_format=torch.channels_last)
            logits: np.ndarray = forward(batch).float().cpu().numpy()
            return logits

    return run


def open_onnx(network: Network, card: Card, most: int, path: Path, provider: str) -> Run:
    """ONNX Runtime with one provider; raises InputError where it would run on another one."""
    import onnxruntime

    if provider not in onnxruntime.get_available_providers():
        reason = missing_cuda_provider() if provider == CUDA else "this ONNX Runtime is built without TensorRT"
        raise InputError(reason)
    make(network, path)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = usable_cores()
    number = card.device.partition(":")[2] or "0"
    given: dict[str, Any] = {"device_id": number} if provider != CPU else {}
    if provider == CUDA:
        given["use_tf32"] = "0"
    if provider == TENSORRT:  # one engine for all batches: without it each new size builds another, for minutes
        face = "x".join(map(str, (3, network.preprocessing.size, network.preprocessing.size)))
        given |= {f"trt_profile_{end}_shapes": f"faces:{batch}x{face}" for end, batch in (("min", 1), ("max", most))}
        given |= {
            "trt_profile_opt_shapes": f"faces:{min(32, most)}x{face}",
            "trt_int8_enable": str(".signed" in path.name),
        }
        given["trt_fp16_enable"] = str(".fp16" in path.name)
    session = onnxruntime.InferenceSession(
        str(path), options, providers=[(provider, given), CPU][: 1 + (provider != CPU)]
    )
    if session.get_providers()[0] != provider:
        raise InputError(f"it would run on {session.get_providers()[0]}: check the driver and the libraries of CUDA")
    return lambda faces: session.run(["logits"], {"faces": faces})[0]


def make(network: Network, path: Path) -> None:
    """The file, if it is not there yet: a minute of a CPU, spent only for what can be run."""
    if path.exists():
        return
    if path.suffixes[-2] == ".fp16":
        to_fp16(network.fp32, path)
    else:
        to_int8(network.fp32, path, network.crops, network.preprocessing, signed=True)
