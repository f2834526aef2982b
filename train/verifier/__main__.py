"""Train the verifier of faces: `python -m train.verifier PHOTOS --unsure-by YUNET -o FILE`.

PHOTOS holds `train/` and `val/`, each with `images/` and COCO's `annotations.json`. It learns on `train`, and on crops
if there are some, from places where maskface sees something. The least score of a face is chosen on `val`.
"""

from __future__ import annotations

import logging
from bisect import bisect_left
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import cv2
import typer
from msgspec.structs import replace

from configs.command import run_command
from configs.schema import DetectConfig
from inference.detectors.verified_maskface import VerifiedMaskfaceDetector
from inference.networks import require_torch
from train.data.photo_set import read_labelled_crops
from train.data.photos import read_annotations, read_photos
from train.score.sightings import large, sight
from train.verifier.windows import LABELS, WindowSource, together

FALSE_BOXES = 0.08  # of 40 px and more that a photograph of `val` may have, on no face that anybody has seen there
SIDE_PX = 48  # of its windows
LEAST_PX = 24  # of a face in a photograph
PHOTOGRAPHS = DetectConfig(width=1280)


def train_verifier(
    photos: Annotated[Path, typer.Argument(help="Folder with train/ and val/, each of images/ and annotations.json.")],
    unsure_by: Annotated[
        Path, typer.Option(help="YuNet's file: what it takes for a face that nobody has annotated is left out.")
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write, .onnx.")] = Path("verifier.onnx"),
    crops: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder of pictures that one face fills, with manifest.csv (columns file, label and face_box, or "
            "face_x0 and so on); repeatable."
        ),
    ] = None,
    maskface: Annotated[
        Path | None, typer.Option(help="The detector whose places it looks at, .onnx; the one that ships if not given.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of 352 windows.")] = 8000,
    rounds: Annotated[int, typer.Option(min=1, help="Sizes in which each photograph is searched for windows.")] = 4,
    seed: Annotated[int, typer.Option(help="Of everything that is drawn.")] = 0,
) -> None:
    """Train the verifier and write it as ONNX."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s: %(message)s")
    require_torch("training")
    import torch

    from train.verifier.network import VerifierNetwork
    from train.verifier.onnx_file import write_verifier
    from train.verifier.training import fit

    cv2.setNumThreads(1)
    torch.manual_seed(seed)
    source = WindowSource(maskface, unsure_by, SIDE_PX, seed)
    windows = source.of_photos(read_photos(photos / "train"), rounds)
    for folder in crops or ():
        windows += source.of_crops(read_labelled_crops(folder, LABELS))
    network = fit(VerifierNetwork(SIDE_PX), together(windows), steps, seed)
    write_verifier(network, 0.0, output)
    allowed = round(FALSE_BOXES * len(read_annotations(photos / "val").images))
    score = least_score(false_boxes(output, photos / "val", maskface), allowed)
    print(f"{output}: with it the least score of a face is {score:.3f} (detect.score)")


def false_boxes(verifier: Path, photos: Path, maskface: Path | None) -> Callable[[float], int]:
    """How many boxes of 40 px and more are on no face that anybody has seen, by the least score of a box.

    Each score is searched with by itself: of two boxes one of which lies within the other a lower one lets other ones
    go, which moved the score by .017.
    """
    seen = list(read_photos(photos))

    def count(score: float) -> int:
        detector = VerifiedMaskfaceDetector(replace(PHOTOGRAPHS, model=str(maskface or ""), score=score), verifier)
        sightings = [sight(photo, detector, None, LEAST_PX) for photo in seen]
        return sum(place not in one.listed for one in sightings for place in large(one, one.false))

    return count


def least_score(false_boxes: Callable[[float], int], allowed: int) -> float:
    """The lowest score, in thousandths, with no more false boxes than are allowed.

    >>> least_score(lambda score: sum(score <= found for found in (0.9, 0.7, 0.3454, 0.2)), 2)
    0.346
    """
    return bisect_left(range(1000), True, 1, 999, key=lambda score: false_boxes(score / 1000) <= allowed) / 1000


if __name__ == "__main__":
    run_command([train_verifier], "python -m train.verifier")
