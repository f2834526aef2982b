"""Train a classifier of faces: `python -m train DATASET`."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path
from typing import Annotated, Literal

import cv2
import msgspec
import numpy as np
import typer
from msgspec import structs

from configs.command import run_command
from configs.errors import InputError, Stopped
from configs.plural import counted
from inference.checkpoint import ModelInfo, save_checkpoint
from inference.networks import (
    PREPROCESSING,
    Backbone,
    RetrainMode,
    Trainable,
    require_torch,
    with_biases,
)
from inference.preprocess import Preprocessing
from train.arguments import plain_shares
from train.batches import Balance, TrainingFaces, steps_of
from train.claim import how_to_go_on, require_name
from train.dataset import MOST_NAMED, CheckedDataset, Dataset, check_pictures, find_dataset, read_pictures, read_resized
from train.loop import fit
from train.outcome import finish
from train.overview import device_name, learning_share, left_out, print_overview
from train.painted_masks import LandmarkFinder
from train.parallel import Team, team_of
from train.progress import progress_of
from train.record import default_name, log_epoch, open_tensorboard, run_files, write_metrics
from train.resume import load_state, save_state
from train.split import copies_across, write_manifest
from train.start import WITHOUT_IMAGENET, new_network, origin_of
from train.training import Optimizer, Recipe, Schedule, Training
from transport.cores import usable_cores

log = logging.getLogger("train")

KEPT_DETAIL = 1.5  # training pictures are kept at this many times the input size: room for tighter crops
NOT_OF_THE_TRAINING = {
    "dataset",
    "device",
    "number_workers",
    "tensorboard",
    "resume",
    "overwrite",
    "output",
    "results",
    "as_json",
}
"""Options that may be others when a run is resumed: they do not change what is learnt (the pictures are compared)."""


def train(
    dataset: Annotated[
        Path, typer.Argument(help="Folder of class folders, or of train/ val/ test/ with those; also inside labeled/.")
    ],
    backbone: Annotated[Trainable, typer.Option(help="The network.")] = "ResNet",
    resnet_retrain_mode: Annotated[
        Literal["not_retrain", "retrain"] | None,
        typer.Option(
            "--resnet-retrain-mode",
            "--resnet_retrain_mode",
            help="Of a ResNet that does not start from scratch: train its last layer only (not_retrain, the default), "
            "or layer3 and layer4 too (retrain). BasicCNN always trains all.",
        ),
    ] = None,
    weights: Annotated[
        str,
        typer.Option(
            help="Start from `imagenet` (downloaded), from a FILE (a state dict; for FaceResNet and EfficientNet also "
            "what train/face_weights.py and train/efficient_weights.py name), or from `none`, as they and BasicCNN do."
        ),
    ] = "",
    size: Annotated[
        int | None,
        typer.Option(
            min=32, max=1024, help="Side of the input in px, else the network's usual one; BasicCNN has but one."
        ),
    ] = None,
    batch_size: Annotated[int, typer.Option("--batch-size", "--batch_size", min=2, help="Faces in one step.")] = 64,
    epochs: Annotated[int, typer.Option(min=1, help="Rounds over the training pictures.")] = 10,
    learning_rate: Annotated[
        float, typer.Option("--learning-rate", "--learning_rate", min=1e-8, max=100, help="Highest learning rate.")
    ] = 0.001,
    optimizer: Annotated[Optimizer, typer.Option(help="adam, or adamw with weight decay.")] = "adam",
    schedule: Annotated[Schedule, typer.Option(help="Learning rate over the run: constant, or falling to 0.")] = (
        "constant"
    ),
    warm_up: Annotated[int, typer.Option("--warm-up", min=0, help="Steps in which the learning rate rises.")] = 0,
    balance: Annotated[
        Balance | None,
        typer.Option(
            help="Rare classes are shown more often (sampling, the default), count more (weights), or neither (none). "
            "Without --shuffle the default is none.",
        ),
    ] = None,
    label_smoothing: Annotated[
        float, typer.Option("--label-smoothing", min=0, max=0.9, help="Share of doubt about each label.")
    ] = 0.0,
    patience: Annotated[int, typer.Option(min=0, help="Stop after so many epochs without a better one; 0: never.")] = 0,
    ema: Annotated[
        float, typer.Option(min=0, max=0.99999, help="Average the weights: share kept in each step; 0: no average.")
    ] = 0.0,
    shuffle: Annotated[
        Literal["True", "False"], typer.Option(case_sensitive=False, help="Another order in each epoch.")
    ] = "True",
    split_data: Annotated[
        tuple[float, float, float] | None,
        typer.Option("--split-data", "--split_data", help="Shares of train, val, test; else 0.7 0.15 0.15."),
    ] = None,
    paint_masks: Annotated[
        Path | None,
        typer.Option(
            "--paint-masks",
            help="Also draw masks, worn well and badly, on training faces of class no_mask; "
            "FILE is YuNet's face_detection_yunet_2023mar.onnx, which finds the landmarks.",
        ),
    ] = None,
    number_workers: Annotated[
        int, typer.Option("--number-workers", "--number_workers", min=0, help="Processes that prepare faces ahead.")
    ] = 3,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:N or auto.")] = "cpu",
    amp: Annotated[bool, typer.Option(help="Half precision on CUDA, where it does no harm.")] = True,
    seed: Annotated[int, typer.Option(min=0, help="Same seed, same split and, on a CPU, same training.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run of this name that was stopped.")] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Begin a run anew whose name is taken; what it left is replaced.")
    ] = False,
    tensorboard: Annotated[
        Path | None, typer.Option(help="Folder for TensorBoard logs; each run has its own in it.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Checkpoint to write, .pth.")] = None,
    results: Annotated[
        Path | None, typer.Option(help="Folder for plots and figures; else results/, beside --output if given.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON object on one line.")] = False,
) -> None:
    """Train a network on face crops, keep its best epoch, calibrate it, and score it on all splits.

    Examples:
      maskstream train faces/ --backbone BasicCNN
      maskstream train faces/ --backbone ResNet --resnet_retrain_mode retrain
      maskstream train faces/ --weights resnet50.pth --epochs 60 --device auto
      maskstream train faces/ --backbone BasicCNN --resume
    """
    settings = msgspec.json.decode(msgspec.json.encode(dict(locals()), enc_hook=str))
    require_torch("training")
    weights = weights or ("none" if backbone in WITHOUT_IMAGENET else "imagenet")
    mode = learning_layers(backbone, weights, resnet_retrain_mode)
    preprocessing = preprocessing_of(backbone, size)
    recipe = Recipe(
        epochs=epochs,
        batch_size=batch_size,
        learning_rate=learning_rate,
        optimizer=optimizer,
        schedule=schedule,
        warm_up=warm_up,
        shuffled=shuffle == "True",
        balance=chosen_balance(balance, shuffle == "True"),
        label_smoothing=label_smoothing,
        patience=patience,
        ema=ema,
        amp=amp,
        seed=seed,
    )
    if output is not None and output.suffix != ".pth":
        raise InputError(f"--output {output}: a checkpoint ends in .pth")
    with team_of(device) as team:
        set_up_process(team)
        found = find_dataset(dataset, split_data, seed)
        files = run_files(output, results, default_name(backbone, mode, resnet_retrain_mode, found, recipe, size))
        if team.leads:
            require_name(files.state, (files.model, files.result("run.json")), resume, overwrite)
        checked = check_pictures(found, dataset)
        data = checked.data
        report_copies(checked)
        writer = open_tensorboard(tensorboard / files.name) if tensorboard is not None and team.leads else None

        network = new_network(backbone, len(data.classes), weights, mode, seed, team.device)
        faces = training_faces(data, round(KEPT_DETAIL * preprocessing.size), paint_masks)
        require_enough(faces, batch_size, team)
        val = read_resized(data.splits["val"], preprocessing.size)
        training = Training(network, recipe, team.device)
        state = {name: value for name, value in settings.items() if name not in NOT_OF_THE_TRAINING}
        if resume:
            load_state(files.state, training, state, checked.fingerprint)
        elif team.leads:
            save_state(files.state, training, state, checked.fingerprint)

        if team.leads:
            labels = {split: [row.label for row in checked.rows if row.split == split] for split in data.splits}
            print_overview(
                data.classes,
                labels,
                {
                    "left out": left_out(checked.left_out),
                    "network": f"{backbone}, {preprocessing.size} px, starts from {origin_of(backbone, weights)}",
                    "learning": learning_share(network),
                    "device": device_name(team.device),
                    "epochs": f"{epochs}, {len(training.history)} of them done before" if resume else str(epochs),
                    "writes": f"{files.model} (its best epoch) and {files.manifest}; {files.result('*')}",
                },
            )

        kept = len(training.history)
        try:
            with progress_of(training, len(faces.labels), shown=team.leads) as (on_step, on_epoch):
                workers = min(number_workers, usable_cores())  # more would only wait for each other
                for result in fit(training, faces, val, preprocessing, team, workers=workers, on_step=on_step):
                    on_epoch(result)
                    if not team.leads:
                        continue
                    if result is training.best:
                        info = ModelInfo(data.classes, preprocessing, backbone, result.temperature, checked.fingerprint)
                        write_manifest(files.manifest, checked.rows)
                        save_checkpoint(files.model, with_biases(training.judged, backbone, result.biases), info)
                    save_state(files.state, training, state, checked.fingerprint)
                    kept = len(training.history)
                    write_metrics(files.result("metrics.csv"), training.history)
                    if writer is not None:
                        log_epoch(writer, result)
            if team.leads:
                facts = {"backbone": backbone, "resnet_retrain_mode": mode, "weights": weights, "settings": settings}
                finish(files, training, checked, team, facts, as_json)
        except KeyboardInterrupt:
            raise Stopped(how_to_go_on(files.state, kept, epochs)) from None


def learning_layers(backbone: Backbone, weights: str, resnet_retrain_mode: RetrainMode | None) -> RetrainMode:
    """Which layers learn: some of a ResNet that starts from trained weights, else all.

    BasicCNN takes either mode and learns with all layers, as in the original program.
    """
    if backbone.startswith("ResNet") and weights != "none":
        return resnet_retrain_mode or "not_retrain"
    if resnet_retrain_mode is not None and backbone != "BasicCNN":
        log.warning("all layers learn: --resnet-retrain-mode is for a ResNet that starts from trained weights")
    return "all"


def preprocessing_of(backbone: Backbone, size: int | None) -> Preprocessing:
    """How faces are prepared for the network. Raises InputError for a size that it cannot have."""
    usual = PREPROCESSING[backbone]
    if backbone == "BasicCNN" and size not in (None, usual.size):
        raise InputError(f"--size {size}: BasicCNN takes faces of {usual.size} px only")
    return structs.replace(usual, size=size or usual.size)


def chosen_balance(balance: Balance | None, shuffled: bool) -> Balance:
    """How rare classes are made up for. Without shuffling the pictures come in their order, each once."""
    if balance == "sampling" and not shuffled:
        raise InputError("--balance sampling draws pictures at random; leave out --shuffle False, or use weights")
    return balance or ("sampling" if shuffled else "none")


def set_up_process(team: Team) -> None:
    """Log what one process of the team has to say; use the cores there are; make no thread that a fork would lose."""
    import torch

    level = logging.INFO if team.leads else logging.ERROR
    logging.basicConfig(level=level, format="%(name)s: %(message)s")
    if "OMP_NUM_THREADS" not in os.environ:  # torchrun sets it
        torch.set_num_threads(usable_cores())
    cv2.setNumThreads(1)


def report_copies(checked: CheckedDataset) -> None:
    """Say which pictures are in several splits, or in several classes: both make scores that cannot be trusted."""
    copies = copies_across(checked.rows)
    for group in copies[:MOST_NAMED]:
        log.warning("the same picture: %s", ", ".join(f"{row.file} ({row.split} {row.label})" for row in group))
    if copies:
        log.warning("in more than one split or class: %s", counted(len(copies), "picture"))


def training_faces(data: Dataset, longest_px: int, landmark_model: Path | None) -> TrainingFaces:
    """The training pictures in memory, with the landmarks of bare faces where masks shall be painted on them."""
    crops, labels = read_pictures(data.splits["train"], longest_px)
    landmarks = {}
    if landmark_model is not None:
        if not {"mask", "no_mask", "wrong_mask"} <= set(data.classes):
            raise InputError("--paint-masks needs the classes mask, no_mask and wrong_mask")
        finder = LandmarkFinder(landmark_model)
        found = {int(i): finder.find(crops[i]) for i in np.flatnonzero(labels == data.classes.index("no_mask"))}
        landmarks = {index: points for index, points in found.items() if points is not None}
        log.info("masks will be painted on %d of %d bare faces", len(landmarks), len(found))
    return TrainingFaces(crops, labels, data.classes, landmarks)


def require_enough(faces: TrainingFaces, batch_size: int, team: Team) -> None:
    """Raise InputError where the batches are too small to give each process of the team a face."""
    pictures = len(faces.labels)
    if pictures // steps_of(pictures, batch_size) < team.size:
        there = counted(pictures, "picture")
        raise InputError(f"--batch-size {batch_size}: {there} in such batches: too few for {team.size}")


if __name__ == "__main__":
    run_command([train], "python -m train", arguments=plain_shares(sys.argv[1:]))
