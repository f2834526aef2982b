"""Train a classifier of faces: `python -m train DATASET`."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from configs.command import run_command
from configs.errors import InputError
from configs.schema import ClassifyConfig
from inference.backends import open_backend, torch_device
from inference.checkpoint import ModelInfo, save_checkpoint
from inference.networks import (
    PREPROCESSING,
    Backbone,
    RetrainMode,
    build_network,
    freeze,
    load_pretrained,
    require_torch,
)
from train.dataset import Dataset, find_dataset, read_pictures
from train.evaluate import print_scores, score_dataset
from train.loop import EpochResult, TrainingFaces, fit
from train.painted_masks import LandmarkFinder

log = logging.getLogger("train")

KEPT_DETAIL = 1.5  # training pictures are kept at this many times the input size: room for tighter crops


def train(
    dataset: Annotated[Path, typer.Argument(help="Folder of class folders, or of train/ val/ test/ with those.")],
    backbone: Annotated[Backbone, typer.Option(help="The network.")] = "ResNet",
    resnet_retrain_mode: Annotated[
        Literal["not_retrain", "retrain"] | None,
        typer.Option(
            "--resnet-retrain-mode",
            "--resnet_retrain_mode",
            help="Of a ResNet that does not start from scratch: train its last layer only (not_retrain, the default), "
            "or layer3 and layer4 too (retrain).",
        ),
    ] = None,
    weights: Annotated[
        str, typer.Option(help="Start from `imagenet` (downloaded), from a FILE, or from `none`. BasicCNN: none.")
    ] = "",
    batch_size: Annotated[int, typer.Option("--batch-size", "--batch_size", min=2, help="Faces in one step.")] = 64,
    epochs: Annotated[int, typer.Option(min=1, help="Rounds over the training pictures.")] = 10,
    learning_rate: Annotated[
        float, typer.Option("--learning-rate", "--learning_rate", min=1e-8, help="Highest learning rate.")
    ] = 0.001,
    split_data: Annotated[
        tuple[float, float, float] | None,
        typer.Option("--split-data", "--split_data", help="Shares of train, val, test of an undivided data set."),
    ] = None,
    paint_masks: Annotated[
        Path | None,
        typer.Option(
            "--paint-masks",
            help="Also draw masks, worn well and badly, on training faces of class no_mask; "
            "FILE is YuNet's face_detection_yunet_2023mar.onnx, which finds the landmarks.",
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:N or auto.")] = "cpu",
    seed: Annotated[int, typer.Option(help="Same seed, same split and same training.")] = 0,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Checkpoint to write, .pth.")] = None,
) -> None:
    """Train a network on face crops, keep its best epoch, calibrate it, and score it on the test split."""
    require_torch("training")
    import torch

    logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    weights = weights or ("none" if backbone == "BasicCNN" else "imagenet")
    mode = learning_layers(backbone, weights, resnet_retrain_mode)
    data = find_dataset(dataset, split_data, seed)
    target = torch_device(device)
    preprocessing = PREPROCESSING[backbone]
    output = output or Path("models") / default_name(backbone, mode, data, batch_size, epochs, learning_rate)
    if output.suffix != ".pth":
        raise InputError(f"--output {output}: a checkpoint ends in .pth")

    torch.manual_seed(seed)
    network = build_network(backbone, len(data.classes))
    if weights != "none":
        load_pretrained(network, backbone, weights)
    freeze(network, mode)
    network.to(target).to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # faster on a CPU
    faces = training_faces(data, round(KEPT_DETAIL * preprocessing.size), paint_masks)
    val = read_pictures(data.splits["val"])

    def keep(result: EpochResult) -> None:
        save_checkpoint(output, network, ModelInfo(data.classes, preprocessing, backbone, result.temperature))

    with progress_bar() as progress:
        task = progress.add_task("", total=epochs * len(faces.crops))
        results = []
        for result in fit(
            network,
            faces,
            val,
            preprocessing,
            device=target,
            epochs=epochs,
            batch_size=batch_size,
            learning_rate=learning_rate,
            seed=seed,
            on_step=lambda count, loss: progress.update(task, advance=count, description=f"loss {loss:.3f}"),
            on_best=keep,
        ):
            results.append(result)
            progress.console.print(
                f"epoch {result.epoch}: loss {result.loss:.4f}, validation accuracy {result.val.accuracy:.4f}, "
                f"macro F1 {result.val.macro_f1:.4f}"
            )
    report(output, data, max(results, key=lambda result: result.val.macro_f1), device, batch_size)


def learning_layers(backbone: Backbone, weights: str, resnet_retrain_mode: RetrainMode | None) -> RetrainMode:
    """Which layers learn: some of a ResNet that starts from trained weights, else all."""
    if backbone == "ResNet" and weights != "none":
        return resnet_retrain_mode or "not_retrain"
    if resnet_retrain_mode is not None:
        raise InputError("--resnet-retrain-mode is for a ResNet that starts from trained weights; leave it out here")
    return "all"


def default_name(
    backbone: Backbone, mode: RetrainMode, data: Dataset, batch_size: int, epochs: int, learning_rate: float
) -> str:
    """File name as the original program gave it: `ResNet-not_retrain-3classes-64-60-0.00100000.pth`."""
    network = backbone if mode == "all" else f"{backbone}-{mode}"
    return f"{network}-{len(data.classes)}classes-{batch_size}-{epochs}-{learning_rate:.8f}.pth"


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


def progress_bar() -> Progress:
    """Faces seen, loss and time left, on stderr: stdout ends with the JSON line."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True))


def report(output: Path, data: Dataset, best: EpochResult, device: str, batch_size: int) -> None:
    """Print the scores, and one JSON line. The test split is scored from the file, as `evaluate` does it."""
    facts: dict[str, Any] = {
        "model": str(output),
        "classes": data.classes,
        "pictures": {name: len(split) for name, split in data.splits.items()},
        "best_epoch": best.epoch,
        "temperature": best.temperature,
        "val": best.val,
    }
    if "test" in data.splits:
        backend = open_backend(ClassifyConfig(model=str(output), device=device))
        facts["test"] = score_dataset(backend, data, "test", batch_size)
        print_scores(facts["test"])
    print(msgspec.json.encode(facts).decode())


if __name__ == "__main__":
    run_command([train], "python -m train")
