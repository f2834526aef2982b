"""Train the verifiers of a short Haar cascade's hits: `python -m train.verifier PHOTOS --unsure-by YUNET -o FOLDER`.

PHOTOS holds `train/` and `val/`, each with `images/` and COCO's `annotations.json`. The networks learn on `train`; the
least score of a face is chosen on `val`. The second network learns from the hits that the first one accepts.
"""

from __future__ import annotations

import copy
import logging
import math
from pathlib import Path
from typing import Annotated

import cv2
import numpy as np
import torch
import typer
from torch import nn

from configs.command import run_command
from configs.schema import DetectConfig
from inference.detectors.verified_haar import STAGES, VerifiedHaarDetector
from inference.detectors.verifier import FIRST_STAGE, SECOND_STAGE, Verifier
from train.data.photos import read_photos
from train.score.sightings import Sighting, sight
from train.session.schedule import update_ema
from train.verifier.network import FIRST_WIDTHS, SECOND_WIDTHS, VerifierNetwork, augmented
from train.verifier.onnx_file import write_verifier
from train.verifier.windows import NO_FACE, Windows, WindowSource, gather

log = logging.getLogger("verifier")

FACES, OTHERS = 96, 256  # windows in one step; half of the others are those that are mistaken for faces most,
MISSED_SHARE = 1 / 3  # and so many of the faces of each class those that are missed most
LEARNING_RATE, WARM_UP = 4e-3, 200
EMA_DECAY = 0.998  # of the averaged weights, kept in each step
MOVE_UNIT = 0.05  # sides of a window: errors of a box beyond it count linearly
CLASS_SHARES = (0.35, 0.4, 0.25)  # of mask, no_mask, wrong_mask among the faces shown
FALSE_BOXES = 0.25  # that a photograph of `val` may have, those on faces included that nobody annotated
FIRST_PX, SECOND_PX = 32, 48  # sides of their windows
FIRST_SCORE = 0.15  # hits that the first network gives less are not shown to the second one
LEAST_PX = 24  # of a face in a photograph
PHOTOGRAPHS = DetectConfig(width=1280, score=0.05)


def train_verifier(
    photos: Annotated[Path, typer.Argument(help="Folder with train/ and val/, each of images/ and annotations.json.")],
    unsure_by: Annotated[
        Path, typer.Option(help="YuNet's file: what it takes for a face that nobody has annotated is left out.")
    ],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for verifier_first.onnx and verifier_second.onnx.")
    ] = Path("verifiers"),
    first: Annotated[
        Path | None, typer.Option(help="A first network that is there already: only the second one is trained.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of 352 windows, for each of the two.")] = 8000,
    rounds: Annotated[int, typer.Option(min=1, help="Sizes in which each photograph is searched for windows.")] = 3,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 0,
) -> None:
    """Train the two verifiers of a short Haar cascade's hits, and write them as ONNX."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    cv2.setNumThreads(1)
    torch.manual_seed(seed)
    output.mkdir(parents=True, exist_ok=True)
    if first is None:
        first = output / FIRST_STAGE.name
        network = VerifierNetwork(FIRST_PX, FIRST_WIDTHS)
        windows = gather(photos / "train", WindowSource(STAGES - 1, FIRST_PX, None), rounds, seed, unsure_by)
        write_verifier(fit(network, windows, steps, seed), FIRST_SCORE, first)
        del windows
    second = output / SECOND_STAGE.name
    network = VerifierNetwork(SECOND_PX, SECOND_WIDTHS)
    windows = gather(photos / "train", WindowSource(STAGES, SECOND_PX, Verifier(first)), rounds, seed, unsure_by)
    network = fit(network, windows, steps, seed)
    write_verifier(network, 0.0, second)
    score = least_score(sightings_of(first, second, photos / "val"))
    write_verifier(network, score, second)
    print(f"{second}: least score of a face {score:.3f}")


def sightings_of(first: Path, second: Path, photos: Path) -> list[Sighting]:
    """What Haar with these verifiers finds in photographs, at nearly all scores."""
    detector = VerifiedHaarDetector(PHOTOGRAPHS, first, second)
    return [sight(photo, detector, None, LEAST_PX) for photo in read_photos(photos)]


def least_score(sightings: list[Sighting]) -> float:
    """The score above which there are as many false boxes as are allowed."""
    false = [one.scores[place] for one in sightings for place in one.false]
    allowed = round(FALSE_BOXES * len(sightings))
    return round(sorted(false, reverse=True)[allowed], 3) if len(false) > allowed else 0.5


def fit(network: VerifierNetwork, windows: Windows, steps: int, seed: int) -> VerifierNetwork:
    """Train the network on the windows. Returns it with averaged (EMA) weights, in eval mode."""
    log.info("%d windows, %d of faces", len(windows.labels), (windows.labels != NO_FACE).sum())
    rng, generator = np.random.default_rng(seed), torch.Generator().manual_seed(seed)
    network = network.to(memory_format=torch.channels_last)  # a fifth less CPU time
    ema_model = copy.deepcopy(network)
    optimizer = torch.optim.AdamW(network.parameters(), LEARNING_RATE, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate_share(step, steps))
    of_class = [np.flatnonzero(windows.labels == label) for label in (NO_FACE, *range(len(CLASS_SHARES)))]
    errors = np.ones(len(windows.labels), np.float32)  # |score - truth| of each window when it was last drawn
    for step in range(steps):
        drawn = draw(of_class, errors, rng)
        given = torch.from_numpy(windows.pixels[drawn]), torch.from_numpy(windows.moves[drawn])
        pixels, moves = augmented(*given, network.side_px, generator)
        logits, predicted_moves = network(pixels)
        is_face = torch.from_numpy(windows.labels[drawn] != NO_FACE)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, is_face.float())
        loss = loss + nn.functional.smooth_l1_loss(predicted_moves[is_face] / MOVE_UNIT, moves[is_face] / MOVE_UNIT) / 2
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        errors[drawn] = (logits.detach().sigmoid() - is_face.float()).abs().numpy()
        update_ema(ema_model, network, min(EMA_DECAY, step / (step + 10)))
        if step % 250 == 0:
            mistaken, *missed = (errors[numbers].mean() for numbers in of_class)
            log.info(
                "step %d: loss %.3f, others taken for faces %.4f, faces missed %s", step, loss.item(), mistaken, missed
            )
    return ema_model.eval()


def draw(of_class: list[np.ndarray], errors: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Numbers of the windows of one step: of no face, then of each class of faces.

    Some of each are drawn with chances by their `errors` (N,), the others evenly.
    """
    counts = [OTHERS, *(round(share * FACES) for share in CLASS_SHARES)]
    drawn = []
    for numbers, count, hard_share in zip(
        of_class, counts, (1 / 2, *(len(CLASS_SHARES) * [MISSED_SHARE])), strict=True
    ):
        if len(numbers):
            chances = errors[numbers] / max(float(errors[numbers].sum()), 1.0)
            hard = numbers[rng.random(len(numbers)) < chances * hard_share * count][:count]
            drawn += [hard, rng.choice(numbers, count - len(hard))]
    return np.concatenate(drawn)


def learning_rate_share(step: int, steps: int) -> float:
    """Share of the learning rate: it rises, then falls along half a cosine to a hundredth."""
    if step < WARM_UP:
        return (step + 1) / WARM_UP
    return 0.01 + 0.99 * (1 + math.cos(math.pi * (step - WARM_UP) / max(1, steps - WARM_UP))) / 2


if __name__ == "__main__":
    run_command([train_verifier], "python -m train.verifier")
