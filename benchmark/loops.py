"""Single-process loops to compare with, written anew: `python -m benchmark.loops`, told by JSON on standard input.

`original` does for each frame what users of the original program run: mirror, Haar
with scale 1.3 and 4 neighbours on the full frame, and for each face the whole picture through PIL and torchvision's
transforms and twice through the network. `single` is that loop done right: Haar as the pipeline searches, the face
crops of a frame in one forward pass, drawn once.

A loop does few frames in its time, and how long one takes follows from how many faces it shows. So it is given pictures
from all over the film, in whole rounds. Decoding them is not counted, in the loop's favour.
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

from benchmark.clip import Clip
from configs.errors import Failure
from configs.schema import ClassifyConfig, DetectConfig
from inference.backends.torch_backend import TorchBackend
from transport.cores import thread_limits, usable_cores

Name = Literal["original", "single"]
ROOT = Path(__file__).resolve().parents[1]
WARM_UP_FRAMES = 3
PICTURES = 12  # of a film


class Loop(Struct, frozen=True, kw_only=True):
    """What to run: which loop, on what film of how many pictures, with which network (.pth), on what, how long."""

    name: Name
    clip: str
    pictures: int
    model: str = ""
    threads: int = 1
    device: str = "cpu"
    seconds: float = 4.0


def best_rate(
    name: Name, film: Clip, seconds: float, model: Path | None = None, device: str = "cpu"
) -> tuple[float, int]:
    """Frames per second at the best number of threads, and that number: one, or all cores."""
    rates = {}
    for threads in sorted({1, usable_cores()}):
        network = str(model.resolve()) if model else ""
        loop = Loop(
            name=name,
            clip=str(film.path.resolve()),
            pictures=film.pictures,
            model=network,
            threads=threads,
            device=device,
            seconds=seconds,
        )
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
    """Run the loop here, in whole rounds of its pictures, for its time at least."""
    cv2.setNumThreads(loop.threads)
    step = STEPS[loop.name](loop)
    pictures = spread(Path(loop.clip), loop.pictures)
    for picture in pictures[:WARM_UP_FRAMES]:
        step(picture.copy())
    frames, began_s = 0, time.perf_counter()
    while frames == 0 or time.perf_counter() - began_s < loop.seconds:
        for picture in pictures:
            step(picture.copy())
        frames += len(pictures)
    return frames / (time.perf_counter() - began_s)


def spread(film: Path, count: int) -> list[np.ndarray]:
    """PICTURES of a film of `count`, evenly spaced, each (H, W, 3) uint8 BGR."""
    wanted = set(np.linspace(0, count - 1, PICTURES).round().astype(int).tolist())
    opened, pictures = cv2.VideoCapture(str(film)), []
    for number in range(count):
        if not opened.grab():
            break
        if number in wanted:
            pictures.append(opened.retrieve()[1])
    if not pictures:
        raise Failure(f"{film}: its pictures cannot be read")
    return pictures


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
