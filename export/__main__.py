"""Export a trained model to ONNX, kept only if it decides as the model does: `python -m export MODEL.pth`."""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from shutil import copyfile
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer
from msgspec import structs

from configs.command import run_command
from configs.errors import Failure, InputError
from configs.plural import counted
from configs.schema import ClassifyConfig
from configs.whole_file import write_bytes
from export.alone import BATCHES
from export.detector import export_detector
from export.faces import Faces, choose, face_files, read_faces, synthetic_faces
from export.gate import Demand, examine
from export.onnx_file import DEFAULT_OPSET, OPSETS, describe, halve, normalise_inside, write_onnx
from export.precision import to_fp16, to_int8
from export.report import Report, indented, print_report, report_path
from export.speed import ms_per_face
from export.triton_repository import checked_folder, publish, tell_published
from inference.backends import model_file
from inference.backends.device import parse_device
from inference.checkpoint import ModelInfo, has_class_names, load_checkpoint
from inference.detectors.maskface_file import is_detector
from inference.networks import require_torch
from inference.original import classes_of_data, there

if TYPE_CHECKING:
    from torch import nn

log = logging.getLogger("export")

CALIBRATION_FACES = 300
MOST_FACES = 1000  # to test on; PyTorch takes 85 ms for each with ResNet50
SYNTHETIC_FACES = 32


def export(
    model: Annotated[
        Path | None,
        typer.Argument(help="Checkpoint, .pth; with --triton also an exported .onnx, or nothing: the one that ships."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="File to write, .onnx; the report goes beside it.")
    ] = None,
    int8: Annotated[bool, typer.Option("--int8", help="Quantise to int8, for CPUs; needs --calibrate.")] = False,
    fp16: Annotated[bool, typer.Option("--fp16", help="Half precision, for CUDA; needs --faces.")] = False,
    calibrate: Annotated[
        Path | None, typer.Option(help="Folder of face crops to quantise with; not those of the test.")
    ] = None,
    faces: Annotated[
        Path | None,
        typer.Option(
            help="Folder of face crops to test the file on; in class folders they show the accuracy, too. "
            "Not given: for int8 the faces of --calibrate that it was not quantised with, for fp32 synthetic pictures."
        ),
    ] = None,
    max_disagreement: Annotated[
        float, typer.Option(min=0.0, max=1.0, help="Share of changed decisions allowed to int8 and fp16.")
    ] = 0.01,
    uint8_input: Annotated[
        bool, typer.Option("--uint8-input", help="Normalise inside: the file takes resized crops, uint8 NHWC BGR.")
    ] = False,
    triton: Annotated[
        Path | None,
        typer.Option(
            help="Model repository to put it into, as its next version, for Triton and other servers that speak the "
            "Open Inference Protocol; implies --uint8-input.",
            metavar="REPOSITORY/",
        ),
    ] = None,
    triton_name: Annotated[str, typer.Option(help="What the model is called in the repository.")] = "mask",
    photos: Annotated[
        Path | None, typer.Option(help="Of a detector: folder of real photographs to test the file on.")
    ] = None,
    opset: Annotated[int, typer.Option(min=OPSETS[0], max=OPSETS[1], help="ONNX operator set.")] = DEFAULT_OPSET,
    device: Annotated[str, typer.Option(help="Where the file must run: cpu, cuda or cuda:N.")] = "cpu",
    classes: Annotated[str, typer.Option(help="Class names a,b,c in the model's order, where its file has none.")] = "",
    backbone: Annotated[str, typer.Option(help="Network of a bare .pth that does not tell its own.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="End with one JSON object on one line.")] = False,
) -> None:
    """Write the model as one ONNX file with its classes and preprocessing inside; kept only if it decides the same.

    The file is run alone in a fresh process, on batches of 1, 2 and more faces, and compared with PyTorch. fp32 must
    decide every face alike; int8 and fp16 may change --max-disagreement of the decisions. What is refused leaves
    nothing behind, an older file stays.

    The checkpoint may be a face detector's: then boxes and scores on the photographs of --photos are compared.

    Examples:
      maskstream export models/NAME.pth -o NAME.onnx
      maskstream export models/NAME.pth -o NAME.int8.onnx --int8 --calibrate faces/ --faces other/
      maskstream export --triton repository/
    """
    if triton is not None:
        checked_folder(triton, triton_name)
        if model is None or model.suffix == ".onnx":
            refuse_given(
                f"is for a checkpoint, .pth; {model or 'the model that ships'} is exported already",
                {"--output": output, "--int8": int8, "--fp16": fp16, "--calibrate": calibrate, "--faces": faces}
                | {"--photos": photos, "--classes": classes, "--backbone": backbone},
            )
            published = publish(model or model_file(ClassifyConfig(device=device)), triton, triton_name)
            tell_published(published, triton)
            if as_json:
                print(msgspec.json.encode(published).decode(), flush=True)
            return
        uint8_input = True
    if model is None:
        raise InputError("MODEL: give the checkpoint, .pth")
    require_torch("export")
    model = there(model)
    output = checked_output(model, output)
    if is_detector(model):
        refuse_given(
            f"is for classifiers; {model} is a detector",
            {"--int8": int8, "--fp16": fp16, "--calibrate": calibrate, "--faces": faces, "--triton": triton}
            | {"--uint8-input": uint8_input, "--classes": classes, "--backbone": backbone}
            | {f"--device {device}": device != "cpu"},
        )
        export_detector(model, output, photos, opset, as_json)
        return
    if photos is not None:
        raise InputError(f"--photos {photos}: is for detectors; {model} is a classifier, give --faces")
    demand = Demand(checked_precision(int8, fp16, calibrate, faces), uint8_input, device, max_disagreement)
    if device == "auto":
        raise InputError("--device auto: name the device that the file is for: cpu or cuda")
    parse_device(device)
    names = tuple(name.strip() for name in classes.split(",")) if classes else names_of_data(model, faces or calibrate)
    network, info = load_checkpoint(model, names, backbone)
    calibration, test_faces = gather_faces(info, demand, calibrate, faces)

    with tempfile.TemporaryDirectory(prefix="maskstream-export-") as folder:
        plain, made = Path(folder) / "fp32.onnx", Path(folder) / "made.onnx"
        write_onnx(network, info, plain, opset)
        make(plain, made, info, demand, calibration)
        verdict = examine(made, network, info, test_faces, demand)
        first_layer = demand.precision
        if demand.precision == "int8" and verdict.refusal.startswith("decisions"):
            print(f"int8 of all layers: {verdict.refusal}; tried again with the first layer in fp32")
            make(plain, made, info, demand, calibration, first_layer_too=False)
            verdict = examine(made, network, info, test_faces, demand)
            first_layer = "fp32"
        report = Report(
            model=str(output),
            made_from=str(model),
            kept=verdict.passed,
            sha256=sha256(made.read_bytes()).hexdigest(),
            backbone=info.backbone,
            classes=info.classes,
            precision=demand.precision,
            first_layer=first_layer,
            input="uint8 NHWC BGR" if uint8_input else "float32 NCHW RGB",
            opset=opset,
            device=device,
            faces=test_faces.origin,
            calibrated_on=calibration.origin if calibration else "",
            verdict=verdict,
            size_mb={},
            ms_per_face={},
        )
        if verdict.passed:
            measure(report, network, info, {"fp32": plain, name_of(demand): made}, test_faces)
        print_report(report)
        if verdict.passed:
            write_bytes(output, made.read_bytes())
            write_bytes(report_path(output), indented(report))
            print(f"{output} is written, the report is {report_path(output)}")
            if triton is not None:
                tell_published(publish(output, triton, triton_name), triton)
        if as_json:
            print(msgspec.json.encode(report).decode(), flush=True)
        if not verdict.passed:
            raise Failure(f"{output}: refused: {verdict.refusal}")


def refuse_given(why: str, options: Mapping[str, object]) -> None:
    """Raise InputError for the first option that was given."""
    for option, value in options.items():
        if value:
            raise InputError(f"{option}: {why}")


def names_of_data(model: Path, faces: Path | None) -> tuple[str, ...]:
    """The class folders of the faces, where the checkpoint has no class names, as the original program's have none."""
    if faces is None or not faces.is_dir() or has_class_names(model):
        return ()
    folders = sorted({path.parent.name for path in face_files(faces) if path.parent != faces})
    names = classes_of_data(model, folders)
    if names:
        log.warning("%s: takes its class names from the folders of %s: %s", model, faces, ", ".join(names))
    return names


def checked_output(model: Path, output: Path | None) -> Path:
    if model.suffix == ".onnx":
        raise InputError(f"{model}: is exported already; give the .pth that it was made from")
    output = output or model.with_suffix(".onnx")
    if output.suffix != ".onnx":
        raise InputError(f"--output {output}: an ONNX file ends in .onnx")
    if output.is_dir():
        raise InputError(f"--output {output}: is a folder")
    there = next(folder for folder in output.absolute().parents if folder.exists())
    if not there.is_dir() or not os.access(there, os.W_OK):
        raise InputError(f"--output {output}: cannot be written: {there} is no folder that you may write to")
    return output


def checked_precision(int8: bool, fp16: bool, calibrate: Path | None, faces: Path | None) -> str:
    """fp32, fp16 or int8. Raises InputError for options that do not go together."""
    if int8 and fp16:
        raise InputError("--int8 --fp16: choose one of them")
    if int8 and calibrate is None:
        raise InputError("--int8: needs real faces to quantise with; give a folder by --calibrate")
    if calibrate is not None and not int8:
        raise InputError("--calibrate: is for --int8 only")
    if fp16 and faces is None:
        raise InputError("--fp16: needs real faces to be tested on; give a folder by --faces")
    return "int8" if int8 else "fp16" if fp16 else "fp32"


def gather_faces(
    info: ModelInfo, demand: Demand, calibrate: Path | None, faces: Path | None
) -> tuple[Faces | None, Faces]:
    """What to quantise with, if anything, and what to test on: never the same pictures."""
    origin = faces or calibrate
    if origin is None:
        return None, synthetic_faces(SYNTHETIC_FACES)
    calibration, used = None, set()
    if calibrate is not None:
        files = face_files(calibrate)
        most = (len(files) + 1) // 2 if origin.resolve() == calibrate.resolve() else len(files)
        chosen = choose(files, min(CALIBRATION_FACES, most), balanced=True)
        calibration = read_faces(chosen, info.classes, calibrate)
        used = {path.resolve() for path in chosen}
    unused = [path for path in face_files(origin) if path.resolve() not in used]
    resolution = 1 / demand.max_disagreement if demand.max_disagreement and demand.precision != "fp32" else 0
    needed = max(max(BATCHES), min(round(resolution), MOST_FACES))
    if len(unused) < needed:
        raise InputError(f"{origin}: {counted(len(unused), 'face')} to test on: too few, at least {needed} are needed")
    return calibration, read_faces(choose(unused, MOST_FACES, balanced=False), info.classes, origin)


def make(
    plain: Path,
    made: Path,
    info: ModelInfo,
    demand: Demand,
    calibration: Faces | None,
    first_layer_too: bool = True,
) -> None:
    """The file that was asked for, from the plain fp32 one."""
    import onnx

    if calibration is not None:
        to_int8(plain, made, calibration.crops, info.preprocessing, first_layer_too)
    elif demand.precision == "fp16":
        to_fp16(plain, made)
    else:
        copyfile(plain, made)
    content = onnx.load(made)
    if demand.normalised_inside:
        normalise_inside(content, info.preprocessing)
        info = structs.replace(info, preprocessing=structs.replace(info.preprocessing, normalised_inside=True))
    if demand.precision == "fp32":
        halve(content)
    describe(content, info, demand.precision)
    onnx.save(content, made)


def name_of(demand: Demand) -> str:
    return demand.precision + (" uint8 in" if demand.normalised_inside else "")


def measure(report: Report, network: nn.Module, info: ModelInfo, files: dict[str, Path], faces: Faces) -> None:
    """Fill in sizes and speeds; the plain fp32 file is there for comparison."""
    weights = sum(value.numel() * value.element_size() for value in network.state_dict().values())
    report.size_mb = {"torch": weights / 1e6} | {name: path.stat().st_size / 1e6 for name, path in files.items()}
    report.ms_per_face = ms_per_face(network, info, files, faces.crops[0], report.device)


if __name__ == "__main__":
    logging.basicConfig(format="%(levelname)s %(message)s")
    run_command([export], "python -m export")
