"""Train the verifier of faces: `python -m train.verifier PHOTOS --unsure-by YUNET -o FOLDER`.

PHOTOS holds `train/` and `val/`, each with `images/` and COCO's `annotations.json`. It learns on `train`, from places
where a short Haar cascade hits something. Most of these are easy, so a smaller network learns first and says which are
not; it is of no use afterwards. The least score of a face is chosen on `val`.
"""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import cv2
import typer

from configs.command import run_command
from configs.schema import DetectConfig
from inference.detectors.verified_maskface import VerifiedMaskfaceDetector
from inference.detectors.verifier import VERIFIER, Verifier
from inference.networks import require_torch
from train.data.photos import read_photos
from train.score.sightings import Sighting, sight
from train.verifier.windows import WindowSource, gather

STAGES = 9  # of the cascade's 20: nearly all faces are among the hits of these
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
        Path, typer.Option("--output", "-o", help="Folder for verifier.onnx and first.onnx, which it learns by.")
    ] = Path("verifiers"),
    first: Annotated[
        Path | None, typer.Option(help="A first network that is there already: only the second one is trained.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of 352 windows, for each of the two.")] = 8000,
    rounds: Annotated[int, typer.Option(min=1, help="Sizes in which each photograph is searched for windows.")] = 3,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 0,
) -> None:
    """Train the verifier, and what finds hard places for it, and write both as ONNX."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    require_torch("training")
    import torch

    from train.verifier.network import FIRST_WIDTHS, SECOND_WIDTHS, VerifierNetwork
    from train.verifier.onnx_file import write_verifier
    from train.verifier.training import fit

    cv2.setNumThreads(1)
    torch.manual_seed(seed)
    output.mkdir(parents=True, exist_ok=True)
    if first is None:
        first = output / "first.onnx"
        network = VerifierNetwork(FIRST_PX, FIRST_WIDTHS)
        windows = gather(photos / "train", WindowSource(STAGES - 1, FIRST_PX, None), rounds, seed, unsure_by)
        write_verifier(fit(network, windows, steps, seed), FIRST_SCORE, first)
        del windows
    second = output / VERIFIER.name
    network = VerifierNetwork(SECOND_PX, SECOND_WIDTHS)
    windows = gather(photos / "train", WindowSource(STAGES, SECOND_PX, Verifier(first)), rounds, seed, unsure_by)
    write_verifier(fit(network, windows, steps, seed), 0.0, second)
    score = least_score(sightings_of(second, photos / "val"))
    print(f"{second}: with it the least score of a face is {score:.3f} (detect.score)")


def sightings_of(verifier: Path, photos: Path) -> list[Sighting]:
    """What maskface and this verifier find in photographs, at nearly all scores."""
    detector = VerifiedMaskfaceDetector(PHOTOGRAPHS, verifier)
    return [sight(photo, detector, None, LEAST_PX) for photo in read_photos(photos)]


def least_score(sightings: list[Sighting]) -> float:
    """The score above which there are as many false boxes as are allowed."""
    false = [one.scores[place] for one in sightings for place in one.false]
    allowed = round(FALSE_BOXES * len(sightings))
    return round(sorted(false, reverse=True)[allowed], 3) if len(false) > allowed else 0.5


if __name__ == "__main__":
    run_command([train_verifier], "python -m train.verifier")
