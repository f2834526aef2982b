"""Train a face detector on photographs: `python -m train.detector PHOTOS`, or `maskstream train-detector PHOTOS`."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from configs.command import run_command
from configs.errors import InputError, Stopped
from configs.plural import counted
from configs.whole_file import write_bytes
from inference.backends.torch_backend import torch_device
from inference.detectors.maskface_file import MULTIPLE, DetectorInfo, save_detector
from inference.networks import require_torch
from train.data.boxes import Detections
from train.data.photo_set import PhotoSet, TrainingPhoto, read_face_crops, read_photo_set
from train.session.name import claimed_name, how_to_go_on
from train.session.overview import device_name, learning_share, print_overview
from train.session.process_group import set_up_process
from train.session.progress import training_progress
from train.session.state import load_state, save_state
from train.session.workers import in_order
from transport.cores import usable_cores

if TYPE_CHECKING:
    from train.detector.training import DetectorEpoch, DetectorTraining
    from train.detector.views import Views

log = logging.getLogger("train")

ALLOWED_FALSE = 0.36  # boxes on the background of each validation photograph, at the score that is shipped as threshold
START_STEPS = 8  # of views, by which the norms of an exported file are made again
NOT_OF_THE_TRAINING = {"photos", "device", "number_workers", "resume", "overwrite", "output", "epochs", "as_json"}
"""Options that may be others when a run is resumed (the photographs are compared)."""


def train_detector_command(
    photos: Annotated[
        Path,
        typer.Argument(help="Folder with train/ and val/, each with images/ and COCO's annotations.json of all faces."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Checkpoint to write, .pth.")] = Path(
        "models/maskface.pth"
    ),
    epochs: Annotated[int, typer.Option(min=1, help="Rounds of as many views as there are photographs.")] = 300,
    batch_size: Annotated[int, typer.Option(min=1, help="Views in one step.")] = 16,
    size: Annotated[int, typer.Option(min=64, help="Side of a view in px, a multiple of 32.")] = 256,
    learning_rate: Annotated[float, typer.Option(min=1e-8, max=100, help="The highest; it rises, then falls to 0.")] = (
        0.002
    ),
    weights: Annotated[
        Path | None,
        typer.Option(help="A detector to go on from, .onnx or .pth; inference/pretrained/maskface.onnx is one."),
    ] = None,
    landmark_model: Annotated[
        Path | None,
        typer.Option(
            help="YuNet's face_detection_yunet_2023mar.onnx. With it masks are drawn on bare faces, and faces that "
            "nobody annotated are neither right nor wrong; without it they are background."
        ),
    ] = None,
    crops: Annotated[
        list[Path] | None,
        typer.Option(
            help="Folder of pictures that one face fills, with manifest.csv (columns file, face_box: x0 y0 x1 y1 px; "
            "of a column split only train is taken); repeatable."
        ),
    ] = None,
    things: Annotated[
        Path | None,
        typer.Option(help="Folder of things that are no faces, on black ground: hands, cups, hats; put into views."),
    ] = None,
    validate_every: Annotated[int, typer.Option(min=1, help="Epochs between two validations.")] = 10,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:N or auto.")] = "cpu",
    number_workers: Annotated[
        int, typer.Option("--number-workers", "--number_workers", min=0, help="Processes that draw views ahead.")
    ] = 0,
    amp: Annotated[bool, typer.Option(help="Convolutions in bfloat16 while training.")] = True,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same training on the same CPU.")] = 0,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with the run of this output that was stopped, from its last validation. --epochs may be "
            "another number: the learning rate then falls by the new plan.",
        ),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Begin a run anew whose output is there already.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON object on one line.")] = False,
) -> None:
    """Train a small face detector, from scratch or from one that is there.

    The weights that are best on the validation photographs are kept.

    Views of the photographs are drawn at all scales, with faces from 8 px up to the whole view, alone or in mosaics,
    in other light, blurred, compressed. The classes of the faces only decide how often they are shown. The checkpoint
    holds averaged weights and the score from which on a box counts; `maskstream export` makes the ONNX file of it.
    On one core an epoch of 1,068 photographs takes about 15 s.

    Examples:
      maskstream train-detector photos/ -o own.pth
      maskstream train-detector photos/ -o own.pth --resume
      maskstream train-detector photos/ -o own.pth --weights inference/pretrained/maskface.onnx --epochs 60
    """
    settings = {name: str(value) for name, value in locals().items() if name not in NOT_OF_THE_TRAINING}
    require_torch("training")
    check_options(output, size)
    state = output.with_suffix(".state")
    set_up_process()
    with claimed_name(state, (output,), resume, overwrite):
        from train.detector.batches import Batches
        from train.detector.matches import match
        from train.detector.start import load_start
        from train.detector.training import DetectorEpoch, DetectorTraining, find_all, mistaken
        from train.detector.views import Views
        from train.synthesis.things import read_things

        target = torch_device(device)
        workers = min(number_workers, usable_cores())  # more would only wait for each other
        train, val = read_photo_set(photos / "train"), read_photo_set(photos / "val")
        filled = [crop for folder in crops or () for crop in read_face_crops(folder)]
        if landmark_model is not None:
            ask_yunet(train, filled, landmark_model, workers)
        steps = max(1, len(train.photos) // batch_size)
        views = Views(train.photos, train.classes, size, filled, read_things(things) if things else ())
        start = None
        if weights is not None:
            start = load_start(weights, in_order(Batches(views, batch_size, START_STEPS, seed, 0, 0), 0))
        training = DetectorTraining(target, epochs * steps, learning_rate, seed, amp, start)
        fingerprint = f"{train.fingerprint} {val.fingerprint}"
        if resume:
            load_state(state, training, settings, fingerprint)

        def found_in(photos: PhotoSet) -> list[Detections]:
            return find_all(training.ema_model, photos.photos, target, workers)

        if training.history:
            views.mistaken = mistaken(train.photos, found_in(train))
        kept = len(training.history)
        announce(photos, {"train": train, "val": val}, views, training, weights, output)
        try:
            with training_progress(epochs * steps * batch_size, training.steps * batch_size) as progress:

                def on_step(count: int, score_loss: float, box_loss: float) -> None:
                    progress.advance(count, f"loss {score_loss:.3f} + {box_loss:.3f}")

                for epoch in range(len(training.history) + 1, epochs + 1):
                    started = time.monotonic()
                    if epoch == kept + 1:  # workers have what was mistaken for a face when they began
                        last = min(epochs, -(-epoch // validate_every) * validate_every)
                        ahead = Batches(views, batch_size, steps, seed, epoch, last)
                        batches = in_order(ahead, workers, target.type == "cuda")
                    losses = training.run_epoch(islice(batches, steps), on_step)
                    scores = None
                    if epoch % validate_every == 0 or epoch == epochs:
                        matches = match(val.photos, found_in(val))
                        scores = matches.scores_at(matches.score_for(ALLOWED_FALSE), val.classes)
                    training.history.append(DetectorEpoch(epoch, *losses, scores))
                    progress.print(epoch_line(training.history[-1], epochs, time.monotonic() - started))
                    if scores is None:
                        continue
                    if training.best is training.history[-1]:
                        save_detector(output, training.ema_model, DetectorInfo(score=round(scores.score, 3)))
                    save_state(state, training, settings, fingerprint)
                    kept = epoch
                    if epoch < epochs:
                        views.mistaken = mistaken(train.photos, found_in(train))
        except KeyboardInterrupt:
            raise Stopped(how_to_go_on(state, kept, epochs)) from None
        history = output.with_suffix(".history.json")
        write_bytes(history, msgspec.json.encode(training.history))
        state.unlink(missing_ok=True)
    best = training.best
    assert best is not None
    print(f"{output}: epoch {best.epoch} of {epochs}; losses and scores of all epochs are in {history}")
    if as_json:
        facts = {"model": str(output), "best_epoch": best.epoch, "history": str(history), "val": best.val}
        print(msgspec.json.encode(facts).decode())


def announce(
    photos: Path,
    splits: Mapping[str, PhotoSet],
    views: Views,
    training: DetectorTraining,
    weights: Path | None,
    output: Path,
) -> None:
    """Say what is about to be learnt, before the first epoch."""
    faces = {
        split: [found.classes[label] for photo in found.photos for label in photo.labels]
        for split, found in splits.items()
    }
    numbers = ", ".join(f"{split} {len(found.photos):,}" for split, found in splits.items())
    facts = {
        "photos": f"{photos}: {numbers}; the classes only decide how often a face is shown",
        "beside": f"{counted(len(views.crops), 'crop')} of a face, {counted(len(views.things), 'thing')} put in front",
        "network": f"MaskFace, starts from {weights or 'random weights'}",
        "learning": learning_share(training.network),
        "device": device_name(training.device),
        "writes": f"{output} (its best validation) and {output.with_suffix('.history.json')}",
    }
    print_overview(splits["train"].classes, faces, facts, "faces")


def check_options(output: Path, size: int) -> None:
    """Raise InputError, before minutes are spent, for what cannot work."""
    if output.suffix != ".pth":
        raise InputError(f"--output {output}: a checkpoint ends in .pth")
    if size % MULTIPLE:
        raise InputError(f"--size {size}: must be a multiple of {MULTIPLE}")
    there = next(folder for folder in output.absolute().parents if folder.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise InputError(f"--output {output}: cannot be written: {there} is no folder that you may write to")


def ask_yunet(photos: PhotoSet, crops: Sequence[TrainingPhoto], model: Path, workers: int) -> None:
    """Mark what may be a face and is not annotated; find landmarks where there is a class of bare faces."""
    from train.detector.unannotated import CROPS_SEARCHED_PX, find_landmarks, mark_unannotated

    places = mark_unannotated(photos.photos, model, workers=workers)
    places += mark_unannotated(crops, model, CROPS_SEARCHED_PX, workers)
    log.info("may be faces that nobody annotated: %s", counted(places, "place"))
    if "no_mask" in photos.classes:
        log.info("masks will be drawn on %s", counted(find_landmarks(photos, model), "bare face"))


def epoch_line(one: DetectorEpoch, epochs: int, seconds: float) -> str:
    """What is said of an epoch when it is done."""
    line = f"epoch {one.epoch} of {epochs}: loss of scores {one.score_loss:.3f}, of boxes {one.box_loss:.3f}"
    if one.val is not None:
        recall = ", ".join(f"{name} {value:.3f}" for name, value in one.val.recall.items())
        line += (
            f"; validation: average precision {one.val.average_precision:.4f}, at score {one.val.score:.2f} "
            f"{one.val.false_per_picture:.2f} false boxes a photograph and recall {recall}"
        )
    return f"{line}; {seconds:.1f} s"


if __name__ == "__main__":
    run_command([train_detector_command], "python -m train.detector")
