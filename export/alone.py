"""Runs an exported file in a process of its own that has nothing but the file, and no PyTorch: for the gate."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shutil import copyfile
from typing import Annotated

import msgspec
import numpy as np
import typer

from configs.command import run_command
from configs.errors import Failure
from configs.schema import ClassifyConfig
from inference.backends import open_backend
from inference.backends.backend import Backend
from inference.backends.onnx_backend import OnnxBackend
from inference.checkpoint import ModelInfo
from inference.preprocess import prepare
from transport.cores import usable_cores

ROOT = Path(__file__).resolve().parents[1]
BATCHES = (1, 2, 7)  # "dynamic" batches that are in truth fixed at 1 or at the example's 2 are a known defect
LARGE_BATCH = 32


class Said(msgspec.Struct):
    """What the file says of itself, and who ran its nodes."""

    info: ModelInfo
    precision: str
    provider: str
    nodes_by_provider: dict[str, int]


@dataclass(frozen=True, slots=True)
class Answers:
    """`prepared` and `by_batch` are of the first faces, the latter in batches of each size; `logits` are of all."""

    said: Said
    prepared: np.ndarray
    by_batch: dict[int, np.ndarray]
    logits: np.ndarray


def ask_alone(model: Path, crops: Sequence[np.ndarray], device: str) -> Answers:
    """Copy the file into an empty folder and run it there in a fresh process. Raises Failure with its last words."""
    with tempfile.TemporaryDirectory(prefix="maskstream-alone-") as folder:
        copyfile(model, Path(folder) / "model.onnx")
        np.savez(Path(folder) / "crops.npz", *crops)
        said = msgspec.json.decode(in_fresh_process("export.alone", Path(folder), device), type=Said)
        with np.load(Path(folder) / "answers.npz") as file:
            by_batch = {size: file[f"batch_{size}"] for size in BATCHES}
            return Answers(said, file["prepared"], by_batch, file["logits"])


def in_fresh_process(module: str, folder: Path, *arguments: str) -> str:
    """Run one of our modules in the folder; its last line on standard output. Raises Failure with its last words."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    if done.returncode != 0:
        lines = done.stderr.splitlines() or [f"it ended with exit code {done.returncode}"]
        raise Failure(lines[-1].removeprefix("maskstream: error: "))
    return done.stdout.splitlines()[-1]


def answer(device: Annotated[str, typer.Argument(help="Where to run it.")]) -> None:
    """Run ./model.onnx on ./crops.npz, write ./answers.npz, print what the file says."""
    sys.modules["torch"] = None  # type: ignore[assignment]  # a file that needs PyTorch to run shows it here
    backend = open_backend(ClassifyConfig(model="model.onnx", device=device, threads=usable_cores()))
    assert isinstance(backend, OnnxBackend)
    if backend.form.batch:
        raise Failure(f"its batch is not dynamic: {backend.form.remarks()[-1]}")
    with np.load("crops.npz") as file:
        crops = [file[name] for name in file.files]
    first = crops[: max(BATCHES)]
    by_batch = {f"batch_{size}": in_batches(backend, first, size) for size in BATCHES}
    prepared = prepare(first, backend.preprocessing)
    np.savez("answers.npz", prepared=prepared, logits=in_batches(backend, crops, LARGE_BATCH), **by_batch)  # type: ignore[arg-type]
    said = Said(backend.info, backend.precision, backend.provider, nodes_by_provider(backend, prepared))
    print(msgspec.json.encode(said).decode())


def in_batches(backend: Backend, crops: Sequence[np.ndarray], size: int) -> np.ndarray:
    """(N, classes) logits of the crops, `size` of them at a time."""
    chunks = (crops[start : start + size] for start in range(0, len(crops), size))
    return np.concatenate([backend.logits(prepare(chunk, backend.preprocessing)) for chunk in chunks])


def nodes_by_provider(backend: OnnxBackend, faces: np.ndarray) -> dict[str, int]:
    """How many nodes each execution provider ran, by ONNX Runtime's own profile: a session may hand some to the CPU."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.enable_profiling = True
    providers = list(backend.session.get_provider_options().items())
    session = onnxruntime.InferenceSession("model.onnx", options, providers=providers)
    session.run(None, {backend.form.name: faces})
    events = json.loads(Path(session.end_profiling()).read_text())
    return dict(Counter(event["args"]["provider"] for event in events if event.get("cat") == "Node"))


if __name__ == "__main__":
    run_command([answer], "python -m export.alone")
