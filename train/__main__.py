"""Train a classifier of faces: `python -m train DATASET`."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated, Literal

import typer

from configs.command import run_command
from configs.errors import InputError, Stopped
from inference.checkpoint import ModelInfo, save_checkpoint
from inference.networks import Trainable, require_torch, with_biases
from train.classifier.announcement import announce
from train.classifier.batch_sheet import write_batch_sheet
from train.classifier.batches import Balance, read_training_faces, require_enough
from train.classifier.epoch_table import head, row
from train.classifier.last_run import take_last
from train.classifier.loop import epoch_batches, fit
from train.classifier.options import (
    chosen_balance,
    learning_layers,
    plain_settings,
    plain_shares,
    preprocessing_of,
)
from train.classifier.outcome import finish
from train.classifier.recipe_file import OF_THE_RUN, take_recipe, write_recipe
from train.classifier.record import (
    default_name,
    free_files,
    run_files,
    write_metrics,
)
from train.classifier.start import WITHOUT_IMAGENET, new_network, origin_of
from train.classifier.tensorboard_log import TensorBoardLog
from train.classifier.training import Optimizer, Recipe, Schedule, Training
from train.data.corrections import corrected, corrections_text, read_corrections
from train.data.dataset import find_dataset
from train.data.pictures import check_pictures, log_copies, read_resized
from train.data.split import write_manifest
from train.session.name import claimed_name, how_to_go_on
from train.session.pace import Pace
from train.session.process_group import process_group, set_up_process
from train.session.progress import training_progress
from train.session.state import load_state, save_state
from transport.cores import usable_cores

KEPT_DETAIL = 1.5  # training pictures are kept at this many times the input size: room for tighter crops
NOT_OF_THE_TRAINING = OF_THE_RUN | {"dataset"}
"""Options that may be others when a run is resumed: they do not change what is learnt (the pictures are compared)."""


def train(
    dataset: Annotated[
        Path | None,
        typer.Argument(
            help="Folder of class folders, or of train/ val/ test/ with those; also inside labeled/. "
            "After --resume: `last`, the newest unfinished run with its data set and its options.",
            is_eager=True,  # after the options that are eager: what it means depends on them
            callback=take_last,
        ),
    ] = None,
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
            "what train/classifier/published_weights.py names), or from `none`, as they and BasicCNN do. A bare "
            "name is also looked for in models/ and in PyTorch's cache."
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
    corrections: Annotated[
        str | None,
        typer.Option(
            help="FILE that names wrong labels (file,given,right,reason), or `none`. Default: the list that ships, "
            "whose pictures are known by folder and name."
        ),
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
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", is_eager=True, help="Go on with a run that was stopped: of this name, or `--resume last`."
        ),
    ] = False,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Begin a run anew whose name is taken; what it left is replaced.")
    ] = False,
    tensorboard: Annotated[
        Path | None, typer.Option(help="Folder for TensorBoard's curves and pictures; each run has its own in it.")
    ] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Checkpoint to write, .pth.")] = None,
    results: Annotated[
        Path | None, typer.Option(help="Folder for plots and figures; else results/, beside --output if given.")
    ] = None,
    recipe_file: Annotated[
        Path | None,
        typer.Option(
            "--recipe",
            is_eager=True,
            callback=take_recipe,
            help="YAML file of options, as each run leaves one (NAME.recipe.yaml). Flags win over it.",
        ),
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
    settings = plain_settings(locals())
    if dataset is None:
        raise typer.BadParameter("name the folder of the data set, or a --recipe that does", param_hint="DATASET")
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
    with ExitStack() as stack:
        group = stack.enter_context(process_group(device))
        set_up_process(group.is_main_process)
        listed = read_corrections(corrections)
        found, changed = corrected(find_dataset(dataset, split_data, seed), listed)
        files = run_files(output, results, default_name(backbone, mode, resnet_retrain_mode, found, recipe, size))
        if output is None:
            files = free_files(files, resume=resume, overwrite=overwrite)
        if group.is_main_process:
            finished = (files.model, files.result("run.json"))
            stack.enter_context(claimed_name(files.state, finished, resume, overwrite))
        checked = check_pictures(found, dataset)
        data = checked.data
        log_copies(checked)
        curves = None
        if tensorboard is not None and group.is_main_process:
            curves = TensorBoardLog(tensorboard / files.name)
            stack.callback(curves.close)

        network = new_network(backbone, len(data.classes), weights, mode, seed, group.device)
        faces = read_training_faces(data, round(KEPT_DETAIL * preprocessing.size), paint_masks)
        require_enough(faces, batch_size, group.world_size)
        val = read_resized(data.splits["val"], preprocessing.size)
        training = Training(network, recipe, group.device)
        state = {name: value for name, value in settings.items() if name not in NOT_OF_THE_TRAINING}
        if resume:
            load_state(files.state, training, state, checked.fingerprint)
        elif group.is_main_process:
            save_state(files.state, training, settings, checked.fingerprint)
        if group.is_main_process:
            write_recipe(files.result("recipe.yaml"), settings, checked.fingerprint)
            first = epoch_batches(faces, preprocessing, recipe, epoch=1)
            write_batch_sheet(files.result("train_batch.jpg"), *first[0], data.classes)
            network_text = f"{backbone}, {preprocessing.size} px, starts from {origin_of(backbone, weights)}"
            labels_text = corrections_text(listed.name, changed, data.classes)
            announce(checked, labels_text, training, files, network_text, len(first), resumed=resume)

        kept = len(training.history)
        images = len(faces.labels)
        pace = Pace(images, epochs - kept)
        try:
            with training_progress(epochs * images, kept * images, shown=group.is_main_process) as progress:

                def on_step(count: int, loss: float, accuracy: float) -> None:
                    progress.advance(count, f"loss {loss:.3f}, accuracy {accuracy:.3f}")
                    if said := pace.step(count):
                        progress.print(said)

                if training.history:
                    progress.print(head(training.history, epochs))
                workers = min(number_workers, usable_cores())  # more would only wait for each other
                for result in fit(training, faces, val, preprocessing, group, workers=workers, on_step=on_step):
                    if result.epoch == 1:
                        progress.print(head([], epochs))
                    progress.print(row(result, epochs, best=result is training.best))
                    if not group.is_main_process:
                        continue
                    if result is training.best:
                        calibration = result.temperature, checked.fingerprint, result.points
                        info = ModelInfo(data.classes, preprocessing, backbone, *calibration)
                        write_manifest(files.manifest, checked.rows)
                        save_checkpoint(files.model, with_biases(training.ema_model, backbone, result.biases), info)
                    save_state(files.state, training, settings, checked.fingerprint)
                    kept = len(training.history)
                    write_metrics(files.result("metrics.csv"), training.history)
                    if curves is not None:
                        curves.epoch(result)
            if group.is_main_process:
                facts = {"backbone": backbone, "resnet_retrain_mode": mode, "weights": weights, "settings": settings}
                facts["corrections"] = {"list": listed.name, "labels": [one._asdict() for one in changed]}
                finish(files, training, checked, facts, as_json)
                if curves is not None:
                    for picture in ("train_batch.jpg", "png", "mistakes.png"):
                        curves.picture(picture, files.result(picture), len(training.history))
        except KeyboardInterrupt:
            raise Stopped(how_to_go_on(files.state, kept, epochs)) from None


if __name__ == "__main__":
    run_command([train], "python -m train", arguments=plain_shares(sys.argv[1:]))
