"""`maskstream benchmark --gpu`: what a card does of the pipeline, beside the CPU: decode, detect, classify, streams."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from msgspec import Struct
from msgspec.structs import replace

from benchmark.card import Card, operations
from benchmark.clip import Clip, generate
from benchmark.find_max import FindMax, find_max
from benchmark.forms import BATCHES, FormFigures, measure_forms, written
from benchmark.pipeline import Say
from capture.chips import CHIPS, refusal
from capture.demo import DemoScene
from capture.kinds.film import Film
from configs.errors import Failure, InputError
from configs.schema import DetectConfig
from inference.backends.device import cuda_built_in
from inference.detectors import open_detector
from inference.detectors.detector import shrink
from inference.detectors.maskface_file import MULTIPLE

NETWORKS = ("FaceEnsemble", "ResNet")  # that which ships, and the one of the original program
DECODED, DECODED_FPS = (1920, 1080), 30.0
WIDTHS_PX = (320, 640)
ROUNDS = 3
SEARCHES = 20  # of one round


class PartFigures(Struct, frozen=True, kw_only=True):
    """Pictures that are decoded or searched, by what, so many a second; the best of the rounds. Or why not."""

    what: str
    ms: float | None = None
    per_s: float | None = None
    share: float | None = None  # of the card's peak in fp32, where the operations are known
    why_not: str = ""


class GpuFigures(Struct, kw_only=True):
    """All that was measured of one card."""

    card: Card
    decode: list[PartFigures] = []
    detect: list[PartFigures] = []
    classify: list[FormFigures] = []
    streams: FindMax | None = None
    streams_with: str = ""
    streams_why_not: str = ""


def measure_gpu(
    card: Card,
    folder: Path,
    scene: Clip,
    detectors: Sequence[DetectConfig],
    options: Sequence[str],
    max_age_ms: float,
    say: Say,
) -> GpuFigures:
    """All parts, one after the other. `scene` is what streams are made of, `options` are those of the pipeline."""
    figures = GpuFigures(card=card)
    say(f"generating a scene of {DECODED[0]}x{DECODED[1]} px ...")
    for part in measure_decode(generate(folder, DECODED, DECODED_FPS).path):
        figures.decode.append(told(part, "pictures/s", say))
    for part in measure_detect(detectors, card):
        figures.detect.append(told(part, "pictures/s", say))
    for backbone in NETWORKS:
        say(f"{backbone}: writing it as ONNX ...")
        for form in measure_forms(written(backbone, scene, folder), card, BATCHES):
            rate = form.why_not or f"{form.faces_per_s:.0f} faces/s"
            say(f"{backbone}, {form.what} {form.precision}: {rate}")
            figures.classify.append(form)
    figures.streams_with, chosen = held_with(card, folder)
    say(f"streams with {figures.streams_with} ...")
    try:
        figures.streams = find_max(scene, folder, [*options, *chosen], max_age_ms, say)
    except Failure as error:
        figures.streams_why_not = str(error)
    return figures


def told(part: PartFigures, unit: str, say: Say) -> PartFigures:
    say(f"{part.what}: {part.why_not or f'{part.per_s:.0f} {unit}'}")
    return part


def measure_decode(film: Path) -> Iterator[PartFigures]:
    """Pictures of an H.264 film, as capture has them: BGR in memory. The CPU with one thread, as each capture has."""
    yield decoded(film, "cpu", "the CPU, one thread")
    for name, chip in CHIPS.items():
        if reason := refusal(name):
            yield PartFigures(what=chip.name, why_not=reason)
        else:
            yield decoded(film, name, chip.name)


def decoded(path: Path, decode: str, what: str) -> PartFigures:
    """The best of the rounds; none where a chip gives the film up."""
    memory = np.empty(DECODED[1] * DECODED[0] * 3, np.uint8)
    best_s = float("inf")
    for _ in range(ROUNDS):
        with Film(path, decode=decode) as film:
            began_s, count = time.perf_counter(), 0
            while film.read(lambda height, width: memory[: height * width * 3].reshape(height, width, 3)) is not None:
                count += 1
            best_s = min(best_s, (time.perf_counter() - began_s) / count)
            if film.decodes != decode:
                return PartFigures(what=what, why_not="it opens and gave the film up, as is said above")
    return PartFigures(what=what, ms=1000 * best_s, per_s=1 / best_s)


def measure_detect(detectors: Sequence[DetectConfig], card: Card) -> Iterator[PartFigures]:
    """Searches of the demo's pictures, one at a time, as detect makes them: on the CPU, one thread, and on the card."""
    pictures = [DemoScene().picture(at) for at in range(25, 25 + SEARCHES)]
    for config in detectors:
        for device in ("cpu", card.device):
            for width_px in WIDTHS_PX:
                where = "the CPU, one thread" if device == "cpu" else card.name
                what = f"{config.detector}, {width_px} px wide, {where}"
                try:
                    ms = searched_ms(config, device, width_px, pictures)
                except InputError as error:
                    yield PartFigures(what=what, why_not=str(error))
                    continue
                share = None
                if device != "cpu" and config.detector == "maskface" and not config.model:
                    share = card.share(maskface_operations(pictures[0], width_px) * 1000 / ms, "fp32")
                yield PartFigures(what=what, ms=ms, per_s=1000 / ms, share=share)


def searched_ms(config: DetectConfig, device: str, width_px: int, pictures: Sequence[np.ndarray]) -> float:
    detector = open_detector(replace(config, device=device, width=width_px))
    shrunken = [shrink(picture, width_px) for picture in pictures]
    detector.detect(shrunken[0])
    return best_ms(lambda: [detector.detect(picture) for picture in shrunken]) / len(shrunken)


def best_ms(work: Callable[[], object]) -> float:
    best_s = float("inf")
    for _ in range(ROUNDS):
        began_s = time.perf_counter()
        work()
        best_s = min(best_s, time.perf_counter() - began_s)
    return 1000 * best_s


def maskface_operations(picture: np.ndarray, width_px: int) -> float:
    """Of one search of a picture of that shape, filled up to whole places."""
    from inference.networks.maskface_net import MaskFace

    height, width = shrink(picture, width_px).grey.shape
    return operations(MaskFace(), 1, 3, height + -height % MULTIPLE, width + -width % MULTIPLE)


def held_with(card: Card, folder: Path) -> tuple[str, list[str]]:
    """How streams are run on the card: by ONNX Runtime where it has CUDA, else the classifier alone, by PyTorch."""
    if cuda_built_in():
        words = ["--device", card.device, "--detector", "maskface", "--set", f"detect.device={card.device}"]
        return "the classifier that ships and maskface by ONNX Runtime on the card", words
    checkpoint = folder / f"{NETWORKS[0]}.pth"
    words = ["--device", card.device, "--model", str(checkpoint)]
    return f"{checkpoint.stem}, random weights, by PyTorch on the card; faces are found on the CPU", words


def gpu_tables(figures: GpuFigures) -> Iterator[tuple[str, list[tuple[str, str, str]]]]:
    """For people: a title, and rows of what, figure, and what else there is to say."""
    card = figures.card
    about = f"{card.memory_gb:.0f} GB, driver {card.driver or 'unknown'}, PyTorch's CUDA {card.cuda}"
    words = "shares are of " + (
        f"{card.peak.fp32:g} / {card.peak.fp16:g} / {card.peak.int8:g} T operations/s in fp32 / fp16 / int8 "
        f"({card.peak_source})"
        if card.peak
        else "no peak: that of this card is not in benchmark/card.py"
    )
    yield "The card", [(card.name, about, words)]
    size = f"{DECODED[0]}x{DECODED[1]}"
    yield f"Decoding H.264 of {size} to BGR", [part_row(part, "pictures/s") for part in figures.decode]
    yield "Searching for faces", [part_row(part, "pictures/s") for part in figures.detect]
    yield "Classifying, from prepared faces in memory to logits in memory", list(map(form_row, figures.classify))
    most = figures.streams
    if most is None:
        yield "Most streams", [(figures.streams_with, "-", figures.streams_why_not)]
        return
    then = f"one more: {most.why}; most CPU in {most.limited_by}" if most.limited_by else "no limit was met"
    age = f"worst p95 age {most.held.worst_age_ms:.0f} ms; " if most.held else ""
    yield "Most streams", [(figures.streams_with, str(most.streams), age + then)]


def part_row(part: PartFigures, unit: str) -> tuple[str, str, str]:
    if part.per_s is None or part.ms is None:
        return part.what, "-", part.why_not
    share = "" if part.share is None else f", {part.share:.1%} of the card's peak"
    return part.what, f"{part.per_s:.0f} {unit}", f"{part.ms:.2f} ms each{share}"


def form_row(form: FormFigures) -> tuple[str, str, str]:
    title = f"{form.network}, {form.what}, {form.precision}"
    if form.faces_per_s is None:
        return title, "-", form.why_not
    times = " / ".join(f"{ms:.3g}" for ms in form.ms_per_face.values())
    batches = " / ".join(map(str, form.ms_per_face))
    share = "" if form.share is None else f"; {form.share:.1%} of the card's peak"
    return title, f"{form.faces_per_s:.0f} faces/s", f"ms a face in batches of {batches}: {times}{share}"
