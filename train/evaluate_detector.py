"""Score a face detector on annotated photographs: `python -m train.evaluate_detector [MODEL] SCENES`."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import cv2
import numpy as np
import typer
from msgspec.structs import replace

from configs.command import run_command
from configs.errors import InputError
from configs.load import load_config
from configs.plural import counted
from configs.schema import ClassifyConfig, DetectConfig
from inference.backends import open_backend
from inference.backends.backend import Backend
from inference.detectors import open_detector
from inference.detectors.detector import Detector
from inference.measured import digest, found_by, labelled_by
from share.errors import KnownErrors, known_errors
from train.data.photos import read_annotations, read_photos
from train.score.agreement import agreed, in_words, others
from train.score.detector_page import Album, write_page
from train.score.detector_scores import average_precision, scores_of
from train.score.detector_tables import LIVE_WIDTH_PX, print_tables, tables_of
from train.score.mask_shares import MASK, adjusted_share, by_source_shares
from train.score.sightings import COUNTED_PX, MATCH_IOU, Sighting, sight
from transport.cores import usable_cores

log = logging.getLogger("evaluate-detector")

LEAST_PX = 24  # of the longer side of a face that is searched for; live it is a share of the picture's height
LEAST_SCORE = 0.05  # for the average precision, which is of all scores
TIMED = 40  # photographs


def evaluate_detector(
    given: Annotated[
        list[Path],
        typer.Argument(
            metavar="[MODEL] SCENES",
            help="The detector's model file, if it is not the one that ships; then a folder of images/ and COCO's "
            "annotations.json.",
        ),
    ],
    detector: Annotated[
        str | None,
        typer.Option(help="Which detector, as in `run`; if not given: haar, with a MODEL what that is of."),
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="Classifier behind it, .onnx or .pth; the one that ships if not given.")
    ] = None,
    width: Annotated[
        int, typer.Option(min=64, help="Photographs wider than this are shrunk before the search, px.")
    ] = 1280,
    yunet: Annotated[
        Path | None,
        typer.Option(help="YuNet's model file: with the other detector that ships it tells unannotated faces."),
    ] = None,
    settings: Annotated[list[str] | None, typer.Option("--set", help="Any detect option: detect.key=value.")] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Folder of the page; results/detector-NAME if not given.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON object on one line.")] = False,
) -> None:
    """Recall, precision, false boxes and cost of a face detector, and what it does to the share of masks reported.

    Faces count from 40 px on (the shorter side of the annotated box); a box has found one where they overlap by 0.4
    (IoU). Faces in the background that nobody annotated count as false boxes; how many of these two other detectors
    see, too, is told. The error of the share is told by its parts: missed faces, wrong labels, false boxes.

    Examples:
      maskstream evaluate-detector scenes/
      maskstream evaluate-detector scenes/ --yunet yunet.onnx
      maskstream evaluate-detector yunet.onnx scenes/ --width 320
    """
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    cv2.setNumThreads(1)
    if len(given) > 2:
        raise InputError(f"give [MODEL] SCENES, not {len(given)} of them")
    *models, scenes = given
    config = options(models[0] if models else None, detector, width, settings or ())
    classes = [category.name for category in read_annotations(scenes).categories]
    classifier = open_classifier(model, classes)
    least_px = LEAST_PX if config.min_face is None else None
    opened = open_detector(config)
    errors = known_errors(found_by(opened), config.width_px, labelled_by(classifier_options(model)))
    asked = others(config.detector, yunet)
    folder = output or Path("results") / f"detector-{config.detector}"
    album = Album(COUNTED_PX)
    sightings = []
    for photo in read_photos(scenes):
        sightings.append(agreed(sight(photo, opened, classifier, least_px), photo.image, asked))
        album.add(photo.image, sightings[-1])
    if not any(one.faces for one in sightings):
        raise InputError(f"{scenes}: not one annotated face")
    scores, adjusted = scores_of(sightings, classes), adjusted_share(sightings, errors)
    scores["average_precision"] = average_precision(all_scores(scenes, config, least_px)) if opened.graded else None
    scores["ms_per_picture"] = float(np.median([one.ms for one in sightings]))
    scores[f"ms_per_picture_{LIVE_WIDTH_PX}"] = live_ms(scenes, config)
    facts = {"detector": opened.name, "scenes": str(scenes), "photographs": len(sightings), "width": width}
    scores["mask_share"] = adjusted.as_json | {"same_photographs": is_measured_on(scenes, errors)}
    scores["mask_share_by_source"] = by_source_shares(sightings, errors)
    scores["asked"] = [other.config.detector for other in asked]
    tables = tables_of(scores, classes)
    print_tables(tables)
    about = [
        f"{counted(len(sightings), 'photograph')} of {scenes}, searched {width} px wide. "
        f"A face counts from {COUNTED_PX} px on "
        f"(shorter side); a box has found it where they overlap by {MATCH_IOU} (IoU).",
        f"Faces in the background that nobody annotated count as false boxes. {in_words(asked)}",
        *errors_in_words(scores["mask_share"]),
    ]
    write_page(folder, f"What {opened.name} sees", about, tables, album)
    print(f"the page is {folder / 'index.html'}")
    if as_json:
        print(json.dumps(scores | facts | {"page": str(folder / "index.html")}))


def options(model: Path | None, detector: str | None, width: int, settings: Sequence[str]) -> DetectConfig:
    """The detector's options: what the user sets, else defaults that suit photographs."""
    given: dict[str, Any] = {"width": width}
    if model is not None:
        given["model"] = str(model)
    config = load_config(None, settings, {"detect": given}).detect
    if detector is None and model is not None:
        return replace(config, detector=kind_of(config))
    return replace(config, detector=detector or config.detector)


def kind_of(config: DetectConfig) -> Literal["maskface", "yunet"]:
    """Which detector a model file is of: ours says so in its metadata, what does not is taken for YuNet's."""
    try:
        open_detector(replace(config, detector="maskface"))
    except InputError:
        return "yunet"
    return "maskface"


def classifier_options(model: Path | None) -> ClassifyConfig:
    return ClassifyConfig(model=str(model or ""), threads=usable_cores())


def open_classifier(model: Path | None, classes: Sequence[str]) -> Backend:
    """The classifier, which must know the annotated classes."""
    backend = open_backend(classifier_options(model))
    unknown = [name for name in classes if name not in backend.classes]
    if unknown:
        raise InputError(
            f"class {unknown[0]!r} of the scenes is unknown to the classifier: {', '.join(backend.classes)}"
        )
    if MASK not in classes:
        raise InputError(f"the scenes have no class {MASK!r}, only {', '.join(classes)}")
    return backend


def all_scores(scenes: Path, config: DetectConfig, least_px: float | None) -> list[Sighting]:
    """What is found at all scores; labels are not asked for."""
    lenient = open_detector(replace(config, score=LEAST_SCORE))
    return [sight(photo, lenient, None, least_px) for photo in read_photos(scenes)]


def is_measured_on(scenes: Path, errors: KnownErrors | str) -> bool:
    """Whether the known errors were counted in these photographs."""
    return not isinstance(errors, str) and errors.photographs == digest((scenes / "annotations.json",))


def errors_in_words(share: dict[str, Any]) -> list[str]:
    """What the adjusted share rests on."""
    if share["adjusted"] is None:
        return [f"The share of masks is not adjusted: {share['errors']}."]
    same = (
        " These are the same photographs: here the adjusted share proves nothing." if share["same_photographs"] else ""
    )
    return [f"The share of masks is adjusted by the errors of {share['errors']}.{same}"]


def live_ms(scenes: Path, config: DetectConfig) -> float:
    """CPU time of a search as a live one is made, ms: the median over some of the photographs."""
    live: Detector = open_detector(replace(config, width=LIVE_WIDTH_PX, min_face=None))
    photos = (photo for _, photo in zip(range(TIMED), read_photos(scenes), strict=False))
    return float(np.median([min(sight(photo, live, None).ms for _ in range(3)) for photo in photos]))


if __name__ == "__main__":
    run_command([evaluate_detector], "python -m train.evaluate_detector")
