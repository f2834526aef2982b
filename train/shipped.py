"""Train the model that ships: `python -m train.shipped SHARED_DATA --landmark-model FILE ... -o m.pth`."""

from __future__ import annotations

import copy
import logging
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import cv2
import msgspec
import numpy as np
import typer

from configs.command import run_command
from configs.errors import InputError
from inference.backends.backend import softmax
from inference.checkpoint import ModelInfo, save_checkpoint
from inference.networks import PREPROCESSING, Backbone, build_network, require_torch
from inference.preprocess import Preprocessing, normalise, resize_crop
from train.classifier.loop import logits_of
from train.classifier.start import load_pretrained
from train.data.corrections import corrected, corrections_text, read_corrections
from train.data.dataset import Split, find_dataset
from train.data.pictures import read_picture
from train.score.metrics import best_temperature, score
from train.score.operating_points import operating_points
from train.session.exported_weights import exported_weights
from train.session.schedule import update_ema, warm_up_then_cosine
from train.synthesis.cut_masks import MOST_TURNED
from train.synthesis.framed_faces import CLASSES, gather, source_of
from train.synthesis.landmarks import LandmarkFinder
from train.synthesis.things import read_things
from train.synthesis.varied_faces import BATCH, draw_batches, wardrobe_of

if TYPE_CHECKING:
    from torch import nn

log = logging.getLogger("train")

NETWORK: Backbone = "FaceEnsemble"
LARGEST_GRADIENT = 5.0  # FaceResNet has no batch norm to catch an outlier
EMA_DECAY = 0.997  # of the averaged weights, kept in each step: the mean of about the last 300; they ship


class Cycle(NamedTuple):
    """Steps during which the learning rate falls once."""

    steps: int
    learning_rate: float


WRONG_MASK_LOGIT = 0.25  # added after training: on sources never seen wrong_mask is said too rarely, see the model card
TEACHERS = 2
TEACHER_CYCLE = Cycle(1500, 0.0005)
LAST_CYCLE = Cycle(1000, 0.0003)
THING_CYCLE = Cycle(1500, 0.0005)
FACE_FURTHER, THING_FURTHER = Cycle(1500, 0.0003), Cycle(1000, 0.0003)  # of halves that begin with what they know


def shipped(
    data: Annotated[Path, typer.Argument(help="Folder with faces/ and photos/.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="Checkpoint to write, .pth.")],
    landmark_model: Annotated[Path, typer.Option(help="YuNet's face_detection_yunet_2023mar.onnx.")],
    start: Annotated[
        Path | None, typer.Option(help="A face_mask.onnx to learn further from, in place of the two published files.")
    ] = None,
    weights: Annotated[
        Path | None,
        typer.Option(help="Manifest of face recognition weights, see train/classifier/published_weights.py."),
    ] = None,
    thing_weights: Annotated[Path | None, typer.Option(help="EfficientNet-Lite0, see the same file.")] = None,
    effort: Annotated[float, typer.Option(min=0.001, max=1, help="Share of the steps of the full training.")] = 1.0,
    hold_out: Annotated[str, typer.Option(help="A source to leave out and score on: amvd, jol or chd.")] = "",
    corrections: Annotated[
        str | None, typer.Option(help="FILE that names wrong labels, or `none`. Default: the list that ships.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Same seed, same training.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON object on one line.")] = False,
) -> None:
    """Train the shipped model on all training faces, and calibrate it on the validation split."""
    if start is None and (weights is None or thing_weights is None):
        raise InputError("give --weights and --thing-weights to begin with published ones, or --start to learn further")
    if start is not None and (weights is not None or thing_weights is not None):
        raise InputError("--start takes the place of --weights and --thing-weights: give either")
    require_torch("training")
    import torch

    from inference.networks.face_ensemble import ensemble_weights

    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")

    if output.suffix != ".pth":
        raise InputError(f"--output {output}: a checkpoint ends in .pth")
    cv2.setNumThreads(1)  # tiny pictures: its threads only disturb those of PyTorch
    listed = read_corrections(corrections)
    dataset, changed = corrected(find_dataset(data / "faces"), listed)
    if dataset.classes != CLASSES:
        raise InputError(f"{data / 'faces'}: its classes must be {', '.join(CLASSES)}")
    finder = LandmarkFinder(landmark_model, MOST_TURNED)
    faces = [face for face in gather(data, finder, listed) if face.source != hold_out]
    by_source = Counter(face.source for face in faces)
    wardrobe = wardrobe_of(faces, read_things(data / "more" / "occluders"))
    log.info("%d faces (%s), %d masks cut out", len(faces), dict(by_source), len(wardrobe.masks))
    log.info("labels: %s", corrections_text(listed.name, changed, CLASSES))
    val = read_faces([dataset.splits["val"]], lambda source: source != hold_out)
    unseen = read_faces([dataset.splits[name] for name in ("train", "val")], lambda source: source == hold_out)
    if hold_out and not len(unseen[1]):
        raise InputError(f"--hold-out {hold_out}: no such source; file names start with amvd, jol or chd")

    def started(backbone: Backbone, file: Path | None) -> nn.Module:
        torch.manual_seed(seed)
        network = build_network(backbone, len(CLASSES))
        load_pretrained(network, backbone, str(file))
        return network

    def logits(
        network: nn.Module, faces: np.ndarray, preprocessing: Preprocessing = PREPROCESSING[NETWORK]
    ) -> np.ndarray:
        return logits_of(network, faces, preprocessing, torch.device("cpu"), BATCH)

    def trained(
        backbone: Backbone, start: nn.Module, cycle: Cycle, number: int, teachers: Sequence[nn.Module] = ()
    ) -> nn.Module:
        cycle = cycle._replace(steps=max(1, round(cycle.steps * effort)))
        rng = np.random.default_rng((seed, number))
        preprocessing = PREPROCESSING[backbone]
        batches = prefetch(draw_batches(faces, wardrobe, cycle.steps, preprocessing.size, rng))
        begun = copy.deepcopy(start).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # faster on a CPU
        for share, ema_model in fit(begun, batches, cycle, preprocessing, teachers):
            scores = score(logits(ema_model, val[0], preprocessing), val[1], CLASSES)
            found = f"validation accuracy {scores.accuracy:.4f}, macro F1 {scores.macro_f1:.4f}"
            log.info("%s %3.0f %%: %s", backbone, 100 * share, found)
        return ema_model

    if start is not None:
        face_start, thing_start = halves_of(start)
        face = mean_of([face_start, trained("FaceResNet", face_start, FACE_FURTHER, 0)])
        thing = mean_of([thing_start, trained("EfficientNet", thing_start, THING_FURTHER, 1)])
    else:
        face_start, thing_start = started("FaceResNet", weights), started("EfficientNet", thing_weights)
        teachers = [trained("FaceResNet", face_start, TEACHER_CYCLE, number) for number in range(TEACHERS)]
        face = trained("FaceResNet", mean_of(teachers), LAST_CYCLE, TEACHERS, teachers)
        thing = trained("EfficientNet", thing_start, THING_CYCLE, TEACHERS + 1)
    model = build_network(NETWORK, len(CLASSES))
    model.load_state_dict(ensemble_weights(face, thing))
    with torch.no_grad():
        model.get_parameter("head.bias")[CLASSES.index("wrong_mask")] += WRONG_MASK_LOGIT
        for weight in model.parameters():
            weight.copy_(weight.half())  # the export then stores them so: half the file
    temperature = best_temperature(logits(model, val[0]), val[1])
    points = operating_points(logits(model, val[0]), val[1], CLASSES)
    info = ModelInfo(CLASSES, PREPROCESSING[NETWORK], NETWORK, temperature, points=points)
    save_checkpoint(output, model, info)

    facts = {"model": str(output), "faces": by_source, "effort": effort, "temperature": temperature}
    scores = {"val": score(softmax(logits(model, val[0]) / temperature), val[1], CLASSES)}
    if hold_out:
        scores[f"unseen {hold_out}"] = score(softmax(logits(model, unseen[0]) / temperature), unseen[1], CLASSES)
    for name, one in scores.items():
        print(f"{output}, {name}: accuracy {one.accuracy:.4f}, macro F1 {one.macro_f1:.4f}")
    if as_json:
        print(msgspec.json.encode(facts | scores).decode())


def halves_of(path: Path) -> tuple[nn.Module, nn.Module]:
    """FaceResNet and EfficientNet of a face_mask.onnx, without what was added to its wrong_mask.

    Raises InputError for another file.
    """
    import torch

    from inference.networks.efficient_net import efficient_net
    from inference.networks.face_ensemble import half_weights

    face, thing = build_network("FaceResNet", len(CLASSES)), efficient_net(len(CLASSES), folded=True)
    try:
        face_weights, thing_weights = half_weights(exported_weights(path))
        face.load_state_dict(face_weights)
        thing.load_state_dict(thing_weights)
    except (KeyError, RuntimeError) as error:
        raise InputError(f"{path}: these are not the weights of {NETWORK}: {str(error).splitlines()[0]}") from None
    with torch.no_grad():
        for half in (face, thing):
            half.get_parameter("head.bias")[CLASSES.index("wrong_mask")] -= WRONG_MASK_LOGIT
    return face, thing


def read_faces(splits: Sequence[Split], wanted: Callable[[str], bool]) -> tuple[np.ndarray, np.ndarray]:
    """Faces (N, size, size, 3) uint8 BGR as live crops are resized, and labels, of the sources that are wanted."""
    size = PREPROCESSING[NETWORK].size
    found = [
        (resize_crop(read_picture(path), size), label)
        for split in splits
        for path, label in zip(split.files, split.labels, strict=True)
        if wanted(source_of(path))
    ]
    pixels = np.array([crop for crop, _ in found], np.uint8).reshape(-1, size, size, 3)
    return pixels, np.array([label for _, label in found], np.int64)


def prefetch(batches: Iterator[tuple[np.ndarray, np.ndarray]]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The same batches, the next one drawn in a thread while the network learns from the last."""
    with ThreadPoolExecutor(1) as thread:
        coming = [thread.submit(next, batches, None) for _ in range(3)]
        while (batch := coming.pop(0).result()) is not None:
            coming.append(thread.submit(next, batches, None))
            yield batch


def fit(
    network: nn.Module,
    batches: Iterator[tuple[np.ndarray, np.ndarray]],
    cycle: Cycle,
    preprocessing: Preprocessing,
    teachers: Sequence[nn.Module],
) -> Iterator[tuple[float, nn.Module]]:
    """Learn from all batches; ten times on the way yields the share done and the network with averaged (EMA) weights.

    With teachers the labels count half, and half what the teachers say, on average, of the same varied face: they
    doubt where the picture is doubtful or the label wrong (born-again networks, Furlanello et al. 2018).
    """
    import torch
    from torch.nn.functional import cross_entropy

    ema_model = copy.deepcopy(network)
    decayed = [weight for weight in network.parameters() if weight.ndim > 1]
    others = [weight for weight in network.parameters() if weight.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": 0.05}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, cycle.learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, warm_up_then_cosine(cycle.steps))
    for step, (pixels, labels) in enumerate(batches, 1):
        network.train()
        faces = torch.from_numpy(normalise(pixels, preprocessing)).contiguous(memory_format=torch.channels_last)
        logits = network(faces)
        loss = cross_entropy(logits, torch.from_numpy(labels), label_smoothing=0.05)
        if teachers:
            with torch.no_grad():
                taught = torch.stack([teacher(faces).softmax(dim=1) for teacher in teachers]).mean(dim=0)
            loss = (loss + cross_entropy(logits, taught)) / 2
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), LARGEST_GRADIENT)
        optimizer.step()
        schedule.step()
        update_ema(ema_model, network, min(EMA_DECAY, step / (step + 10)))
        if step * 10 // cycle.steps > (step - 1) * 10 // cycle.steps:
            yield step / cycle.steps, ema_model


def mean_of(networks: Sequence[nn.Module]) -> nn.Module:
    """One network with the mean of their weights.

    Networks that began with the same weights can be averaged so, and the mean is better than each (model soups,
    Wortsman et al. 2022); so can a network and what it has become, which is surer on sources that neither has seen
    (robust fine-tuning, Wortsman et al. 2022).
    """
    mean = copy.deepcopy(networks[0])
    for count, network in enumerate(networks[1:], 2):
        update_ema(mean, network, 1 - 1 / count)
    return mean


if __name__ == "__main__":
    run_command([shipped], "python -m train.shipped")
