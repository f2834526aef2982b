"""Runs an exported detector in a process of its own that has nothing but the file, and no PyTorch: for the gate."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from shutil import copyfile

import numpy as np

from configs.command import run_command
from configs.errors import Failure
from export.alone import in_fresh_process
from inference.backends.session import METADATA_KEY


def ask_detector_alone(model: Path, pictures: Sequence[np.ndarray]) -> tuple[str, list[tuple[np.ndarray, np.ndarray]]]:
    """Its metadata, and boxes (N, 4) px and scores (N,) of each picture (H, W, 3) uint8 BGR.

    The file is copied into an empty folder and run there in a fresh process. Raises Failure with its last words.
    """
    with tempfile.TemporaryDirectory(prefix="maskstream-alone-") as folder:
        copyfile(model, Path(folder) / "model.onnx")
        np.savez(Path(folder) / "pictures.npz", *pictures)
        metadata = json.loads(in_fresh_process("export.alone_detector", Path(folder)))
        with np.load(Path(folder) / "answers.npz") as file:
            answers = [(file[f"boxes_{number}"], file[f"scores_{number}"]) for number in range(len(pictures))]
        return metadata, answers


def answer() -> None:
    """Run ./model.onnx on ./pictures.npz, write ./answers.npz, print the file's metadata."""
    sys.modules["torch"] = None  # type: ignore[assignment]  # a file that needs PyTorch to run shows it here
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
        answers: dict[str, np.ndarray] = {}
        with np.load("pictures.npz") as file:
            for number, name in enumerate(file.files):
                image = np.ascontiguousarray(file[name].transpose(2, 0, 1)[None], np.float32)
                boxes, scores = session.run(["boxes", "scores"], {"image": image})
                answers |= {f"boxes_{number}": boxes, f"scores_{number}": scores}
    except Exception as error:  # ONNX Runtime's own classes have no common base
        raise Failure(f"ONNX Runtime cannot run it: {str(error).splitlines()[0]}") from error
    np.savez("answers.npz", **answers)  # type: ignore[arg-type]
    print(json.dumps(session.get_modelmeta().custom_metadata_map.get(METADATA_KEY, "")))


if __name__ == "__main__":
    run_command([answer], "python -m export.alone_detector")
