"""Single-process loops to compare with, written anew: `python -m benchmark.loops`, told by JSON on standard input.

`original` does for each frame what users of the original program run: mirror, Haar
with scale 1.3 and 4 neighbours on the full frame, and for each face the whole picture through PIL and torchvision's
transforms and twice through the network. `single` is that loop done right: Haar as the pipeline searches, the face
crops of a frame in one forward pass, drawn once.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import cv2
import msgspec
import numpy as np
from msgspec import Struct

from configs.errors import Failure
from configs.schema import ClassifyConfig, DetectConfig
from inference.backends.torch_backend import TorchBackend
from transport.cores import thread_limits, usable_cores

Name = Literal["original", "single"]
ROOT = Path(__file__).resolve().parents[1]
WARM_UP_FRAMES = 3


class Loop(Struct, frozen=True, kw_only=True):
    """What to run: which loop, on what film, with which network (.pth), on which threads and device, how long."""

    name: Name
    clip: str
    model: str = ""
    threads: int = 1
    device: str = "cpu"
    seconds: float = 4.0


def best_rate(
    name: Name, clip: Path, seconds: float, model: Path | None = None, device: str = "cpu"
) -> tuple[float, int]:
    """Frames per second at the best number of threads, and that number: one, or all cores."""
    rates = {}
    for threads in sorted({1, usable_cores()}):
        network = str(model.resolve()) if model else ""
        loop = Loop(name=name, clip=str(clip.resolve()), model=network, threads=threads, device=device, seconds=seconds)
        rates[threads] = run_apart(loop)
    best = max(rates, key=rates.__getitem__)
    return rates[best], best


def run_apart(loop: Loop) -> float:
    """Frames per second of the loop in a process of its own: libraries take their number of threads when they start."""
    threads = {name: str(loop.threads) for name in thread_limits() if name.endswith("THREADS")}
    command = [sys.executable, "-m", "benchmark.loops"]
    done = subprocess.run(
        command, input=msgspec.json.encode(loop), capture_output=True, cwd=ROOT, env=os.environ | threads, check=False
    )
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip().splitlines()
        raise Failure(f"the loop {loop.name!r} failed: {words[-1] if words else 'it said nothing'}")
    return float(done.stdout.split()[-1])


def frames_per_s(loop: Loop) -> float:
    """Run the loop here for its time, over the film again and again."""
    cv2.setNumThreads(loop.threads)
    step = STEPS[loop.name](loop)
    film = cv2.VideoCapture(loop.clip)
    frames, began_s = -WARM_UP_FRAMES, time.perf_counter()
    while time.perf_counter() - began_s < loop.seconds or frames < 2:
        good, picture = film.read()
        if not good:
            film.release()
            film = cv2.VideoCapture(loop.clip)
            continue
        step(picture)
        frames += 1
        if frames == 0:
            began_s = time.perf_counter()
    return frames / (time.perf_counter() - began_s)


def original(loop: Loop) -> Callable[[np.ndarray], None]:
    import torch
    from PIL import Image
    from torchvision import transforms

    from inference.detectors.haar import load_cascade

    torch.set_num_threads(loop.threads)
    backend = open_torch(loop)
    cascade = load_cascade("haarcascade_frontalface_default.xml")
    shape = backend.preprocessing
    prepare = transforms.Compose([
        transforms.Resize((shape.size, shape.size)),
        transforms.ToTensor(),
        transforms.Normalize(shape.mean, shape.std),
    ])  # fmt: skip

    @torch.inference_mode()
    def step(picture: np.ndarray) -> None:
        picture = cv2.flip(picture, 1)
        grey = cv2.cvtColor(picture, cv2.COLOR_BGR2GRAY)
        for x, y, width, height in cascade.detectMultiScale(grey, 1.3, 4):
            cv2.rectangle(picture, (x, y), (x + width, y + height), (255, 0, 0), 2)
            batch = prepare(Image.fromarray(picture)).unsqueeze(0).to(backend.device)
            label = int(backend.network(batch).argmax(dim=1))
            sureness = float(backend.network(batch).softmax(dim=1).max())
            cv2.putText(picture, f"{label} {sureness:.2f}", (x, y), cv2.FONT_HERSHEY_SIMPLEX, 1, (0, 255, 0), 2)

    return step


def single(loop: Loop) -> Callable[[np.ndarray], None]:
    from inference.detectors import open_detector
    from inference.preprocess import crop_face, prepare
    from overlay.draw import annotate
    from transport.frame import Face

    backend = open_torch(loop)
    detector = open_detector(DetectConfig())

    def step(picture: np.ndarray) -> None:
        boxes = detector.find(picture)
        if boxes:
            crops = [crop_face(picture, box, backend.preprocessing.margin) for box in boxes]
            backend.probabilities(prepare(crops, backend.preprocessing))
        annotate(picture, tuple(Face(box) for box in boxes), "")

    return step


def open_torch(loop: Loop) -> TorchBackend:
    return TorchBackend(Path(loop.model), ClassifyConfig(model=loop.model, threads=loop.threads, device=loop.device))


STEPS: dict[Name, Callable[[Loop], Callable[[np.ndarray], None]]] = {
    "original": original,
    "single": single,
}


if __name__ == "__main__":
    print(frames_per_s(msgspec.json.decode(sys.stdin.buffer.read(), type=Loop)))
