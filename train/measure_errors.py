"""Measure the errors that are taken out of reported shares: `python -m train.measure_errors PHOTOS --yunet FILE`.

PHOTOS holds images/ and COCO's annotations.json, and nothing of it was learnt from. The file that is written,
share/known_errors.json, ships. It names the models by digests: with others in their place nothing is adjusted until
this was run again.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import cv2
import msgspec
import typer

from configs.command import run_command
from configs.plural import counted
from configs.schema import ClassifyConfig, DetectConfig
from configs.whole_file import write_bytes
from inference.backends import SHIPPED_MODEL, open_backend
from inference.backends.backend import Backend
from inference.detectors import open_detector
from inference.measured import digest, found_by, labelled_by
from share.errors import KNOWN_ERRORS, MISSED, ErrorsFile, Group, Measured
from train.data.photos import read_annotations, read_photos
from train.score.agreement import agreed, others
from train.score.sightings import COUNTED_PX, Sighting, by_source, counted_faces, large, sight
from transport.cores import usable_cores

log = logging.getLogger("measure-errors")

DETECTORS = ("haar", "maskface")  # those that ship
WIDTHS_PX = (320, 640, 1280)


def measure_errors(
    photos: Annotated[Path, typer.Argument(help="Folder of images/ and annotations.json, not learnt from.")],
    yunet: Annotated[Path, typer.Option(help="YuNet's model file: it tells faces that nobody annotated.")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")] = KNOWN_ERRORS,
) -> None:
    """Count what detectors and classifier that ship make of annotated faces, by source: the names up to the first _."""
    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    cv2.setNumThreads(1)
    config = ClassifyConfig(threads=usable_cores())
    classifier, classes = open_backend(config), [one.name for one in read_annotations(photos).categories]
    detectors = {}
    for name in DETECTORS:
        widths, files = {}, found_by(open_detector(DetectConfig(detector=name))).partition(" ")[2]
        for width in WIDTHS_PX:
            sightings = list(sightings_of(photos, name, width, classifier, yunet))
            widths[width] = {source: group_of(ones, classes) for source, ones in by_source(sightings).items()}
            faces = sum(len(counted_faces(one)) for one in sightings)
            missed = sum(said.get(MISSED, 0) for one in widths[width].values() for said in one.faces.values())
            log.info("%s, %d px wide: %s, %d missed", name, width, counted(faces, "face"), missed)
        detectors[name] = Measured(files, widths)
    known = ErrorsFile(
        measured=f"{datetime.now(UTC):%Y-%m-%d}",
        on=f"{counted(faces, 'face')} of {COUNTED_PX} px and more in {counted(len(sightings), 'photograph')} "
        "that were not learnt from",
        photographs=digest((photos / "annotations.json",)),
        classes=tuple(classes),
        # by the one for CPUs; the one for CUDA is the same network, and decides 2 of 910 faces otherwise
        classifiers=(labelled_by(config), digest((SHIPPED_MODEL,))),
        detectors=detectors,
    )
    write_bytes(output, msgspec.json.format(msgspec.json.encode(known), indent=1) + b"\n")
    print(f"wrote {output}")


def sightings_of(photos: Path, detector: str, width: int, classifier: Backend, yunet: Path) -> Iterable[Sighting]:
    """What a detector, as it ships, and the classifier see in each photograph."""
    opened, asked = open_detector(DetectConfig(detector=detector, width=width)), others(detector, yunet)
    for photo in read_photos(photos):
        yield agreed(sight(photo, opened, classifier), photo.image, asked)


def group_of(sightings: Sequence[Sighting], classes: Sequence[str]) -> Group:
    """The counts of the photographs of one source."""
    faces = {label: Counter[str]() for label in classes}
    false, unannotated = Counter[str](), Counter[str]()
    for one in sightings:
        for i in counted_faces(one):
            j = one.partners[i]
            faces[one.labels[i]][MISSED if j is None else one.said[j]] += 1
        for j in large(one, one.false):
            (unannotated if j in one.unannotated else false)[one.said[j]] += 1
    return Group(
        photographs=len(sightings),
        faces={label: dict(sorted(said.items())) for label, said in faces.items()},
        false=dict(sorted(false.items())),
        unannotated=dict(sorted(unannotated.items())),
    )


if __name__ == "__main__":
    run_command([measure_errors], "python -m train.measure_errors")
