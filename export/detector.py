"""Export of a face detector to ONNX, kept only if it finds on photographs what PyTorch finds."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import msgspec
import numpy as np
from msgspec import Struct

from capture.image_files import image_files
from capture.picture import Undecodable
from capture.still import read_image
from configs.errors import Failure, InputError
from configs.plural import counted
from configs.whole_file import write_bytes
from export.alone_detector import ask_detector_alone
from export.gate import Check, Verdict, check_form
from export.onnx_file import read_written
from export.report import indented, print_checks, report_path
from inference.backends.session import METADATA_KEY
from inference.detectors.maskface_file import MULTIPLE, DetectorInfo, load_detector

if TYPE_CHECKING:
    from inference.networks.maskface_net import OnePicture

LARGEST_DIFFERENCE = 1e-4  # of scores; fp32 of a random and of a trained network differ by 1e-7 to 1e-6
LARGEST_SHIFT_PX = 0.02  # of edges of boxes; those differ by 1e-5 to 2e-4 px
TIMED_PX = (256, 320)  # height and width of the pictures that are timed
ROUNDS = 40
MOST_PICTURES = 50
LONGEST_PX = 640  # of the pictures that are compared


class DetectorReport(Struct):
    """Everything that is known of one export of a detector. Speeds are of `torch` and of the file, on one thread."""

    model: str
    made_from: str
    kept: bool
    sha256: str
    name: str
    opset: int
    photos: str
    verdict: Verdict
    size_kb: float
    ms_per_picture: dict[str, float]


def export_detector(model: Path, output: Path, photos: Path | None, opset: int, as_json: bool = False) -> None:
    """Write the detector's ONNX file and its report. Raises Failure, and leaves nothing, where the gate refuses it."""
    if photos is None:
        raise InputError(f"{model}: a detector is tested on real photographs: give a folder of them by --photos")
    network, info = load_detector(model)
    pictures = read_pictures(photos)
    from inference.networks.maskface_net import OnePicture

    exported = OnePicture(network).eval()
    with tempfile.TemporaryDirectory(prefix="maskstream-export-") as folder:
        made = Path(folder) / "made.onnx"
        write_detector(exported, info, made, opset)
        verdict = examine_detector(made, exported, info, pictures)
        content = made.read_bytes()
        report = DetectorReport(
            model=str(output),
            made_from=str(model),
            kept=verdict.passed,
            sha256=sha256(content).hexdigest(),
            name=info.name,
            opset=opset,
            photos=str(photos),
            verdict=verdict,
            size_kb=len(content) / 1000,
            ms_per_picture=ms_per_picture(exported, made) if verdict.passed else {},
        )
    print_checks(verdict, f"{output}: fp32, tested on {counted(len(pictures), 'photograph')} of {photos}")
    if verdict.passed:
        height, width = TIMED_PX
        ms = ", ".join(f"{name} {value:.2f}" for name, value in report.ms_per_picture.items())
        print(f"{report.size_kb:.0f} kB; ms for a picture of {width} x {height} px on one thread: {ms}")
        write_bytes(output, content)
        write_bytes(report_path(output), indented(report))
        print(f"{output} is written, the report is {report_path(output)}")
    if as_json:
        print(msgspec.json.encode(report).decode(), flush=True)
    if not verdict.passed:
        raise Failure(f"{output}: refused: {verdict.refusal}")


def read_pictures(folder: Path) -> list[np.ndarray]:
    """Photographs of the folder, or of images/ in it, as (H, W, 3) uint8 BGR with sides that are multiples of 32."""
    folder = folder / "images" if (folder / "images").is_dir() else folder
    if not folder.is_dir():
        raise InputError(f"--photos {folder}: no such folder")
    files = image_files(folder, deep=False).pictures
    if not files:
        raise InputError(f"--photos {folder}: no pictures in it")
    pictures = []
    for path in files[:: max(1, len(files) // MOST_PICTURES)][:MOST_PICTURES]:
        try:
            picture = read_image(path)
        except Undecodable as error:
            raise InputError(f"{path}: cannot be used: {error.reason}") from None
        scale = min(1.0, LONGEST_PX / max(picture.shape[:2]))
        height, width = (max(1, round(scale * side / MULTIPLE)) * MULTIPLE for side in picture.shape[:2])
        pictures.append(cv2.resize(picture, (width, height), interpolation=cv2.INTER_LINEAR))
    return pictures


def write_detector(network: OnePicture, info: DetectorInfo, path: Path, opset: int) -> None:
    """One file: `image` (1, 3, H, W) float32 BGR 0..255 in, `boxes` (N, 4) px and `scores` (N,) of all places out."""
    import onnx
    import torch

    height, width = (MULTIPLE * torch.export.Dim(name, min=1, max=256) for name in ("rows", "columns"))
    torch.onnx.export(
        network,
        (torch.zeros(1, 3, 2 * MULTIPLE, 3 * MULTIPLE),),
        path,
        input_names=["image"],
        output_names=["boxes", "scores"],
        dynamic_shapes=({2: height, 3: width},),
        external_data=False,
        dynamo=True,
        verbose=False,
        opset_version=opset,
    )
    content = read_written(path, opset)
    names = {"image": {2: "H", 3: "W"}, "boxes": {0: "N"}, "scores": {0: "N"}}
    for value in (*content.graph.input, *content.graph.output):  # torch calls them 32*rows, 21*s25*s39
        for axis, name in names[value.name].items():
            value.type.tensor_type.shape.dim[axis].dim_param = name
    del content.graph.value_info[:]  # shapes on the way, in terms of the old names
    onnx.helper.set_model_props(content, {METADATA_KEY: msgspec.json.encode(info).decode()})
    onnx.save(content, path)


def examine_detector(path: Path, network: OnePicture, info: DetectorInfo, pictures: Sequence[np.ndarray]) -> Verdict:
    """Compare the file, run alone in a fresh process, with the network run by PyTorch, on the same pictures."""
    verdict = Verdict([check_form(path)])
    try:
        metadata, answers = ask_detector_alone(path, pictures)
    except Failure as failure:
        verdict.checks.append(Check("runs alone", False, str(failure)))
        return verdict
    sizes = {picture.shape[:2] for picture in pictures}
    verdict.checks.append(Check("runs alone", True, f"in a fresh process, pictures of {len(sizes)} sizes"))
    same = metadata == msgspec.json.encode(info).decode()
    verdict.checks.append(Check("metadata", same, metadata if same else f"{metadata!r} is not the checkpoint's"))
    weigh_answers(verdict, answers, [torch_answer(network, picture) for picture in pictures], info)
    return verdict


def torch_answer(network: OnePicture, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Boxes and scores of a picture (H, W, 3) uint8 BGR by PyTorch on the CPU."""
    import torch

    with torch.inference_mode():
        boxes, scores = network(torch.from_numpy(as_input(picture)))
    return boxes.numpy(), scores.numpy()


def as_input(picture: np.ndarray) -> np.ndarray:
    """(1, 3, H, W) float32 BGR 0..255 of a picture (H, W, 3) uint8."""
    return np.ascontiguousarray(picture.transpose(2, 0, 1)[None], np.float32)


def weigh_answers(
    verdict: Verdict,
    theirs: Sequence[tuple[np.ndarray, np.ndarray]],
    ours: Sequence[tuple[np.ndarray, np.ndarray]],
    info: DetectorInfo,
) -> None:
    """How far scores and boxes of the candidates are apart, and whether the threshold decides alike on all of them."""
    shapes = [[part.shape for part in answer] for answer in theirs]
    if shapes != [[part.shape for part in answer] for answer in ours]:
        verdict.checks.append(Check("candidates", False, f"shapes are {shapes[0]}, those of PyTorch are others"))
        return
    boxes, scores = (np.concatenate([answer[part] for answer in theirs]) for part in (0, 1))
    own_boxes, own_scores = (np.concatenate([answer[part] for answer in ours]) for part in (0, 1))
    apart, shift = float(np.abs(scores - own_scores).max()), float(np.abs(boxes - own_boxes).max())
    verdict.max_relative_difference = apart
    finding = f"{len(scores)} candidates differ by up to {apart:.1e} (at most {LARGEST_DIFFERENCE:.0e})"
    verdict.checks.append(Check("scores", apart <= LARGEST_DIFFERENCE, finding))
    finding = f"edges differ by up to {shift:.1e} px (at most {LARGEST_SHIFT_PX})"
    verdict.checks.append(Check("boxes", shift <= LARGEST_SHIFT_PX, finding))
    likely = own_scores >= info.score
    changed = int((likely != (scores >= info.score)).sum())
    verdict.agreement = 1 - changed / len(scores)
    borderline = int((np.abs(own_scores - info.score) <= LARGEST_DIFFERENCE).sum())
    finding = f"{changed} of {int(likely.sum())} candidates above {info.score} changed"
    if not likely.any():
        finding += "; but none was found on any picture, so this proves little"
    verdict.checks.append(Check("decisions", changed <= borderline, finding))


def ms_per_picture(network: OnePicture, path: Path) -> dict[str, float]:
    """Milliseconds of PyTorch and of the file on one thread; they take turns, and the fastest of the rounds counts."""
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    picture = np.random.default_rng(0).uniform(0, 255, (1, 3, *TIMED_PX)).astype(np.float32)
    tensor = torch.from_numpy(picture)
    passes = {"torch": lambda: network(tensor), "onnx": lambda: session.run(None, {"image": picture})}
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    seconds = dict.fromkeys(passes, float("inf"))
    with torch.inference_mode():
        for _ in range(ROUNDS):
            for name, run in passes.items():
                start = time.perf_counter()
                run()
                seconds[name] = min(seconds[name], time.perf_counter() - start)
    torch.set_num_threads(threads)
    return {name: 1000 * value for name, value in seconds.items()}
