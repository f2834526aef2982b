"""The decision gate: an exported file is kept only if it decides as the network that it was made from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from msgspec import Struct, field, structs

from configs.errors import Failure
from export.alone import LARGE_BATCH, Answers, ask_alone
from export.faces import Faces
from inference.checkpoint import ModelInfo
from inference.preprocess import prepare

if TYPE_CHECKING:
    from torch import nn

LARGEST_DIFFERENCE = 1e-4  # of fp32 logits; BasicCNN, ResNet50 and MobileNetV3 differ by 1e-6 to 1.4e-5 of their span
SMALLEST_SPAN = 1e-3  # of the logits over the faces; BasicCNN and ResNet50 with random weights span 0.06 and more


class Check(Struct):
    """One thing that was examined. `finding` says in words what was found, good or bad."""

    name: str
    passed: bool
    finding: str


class Verdict(Struct):
    """What the gate found. Accuracies are of the faces with labels; None where there are none, or it stopped before."""

    checks: list[Check] = field(default_factory=list)
    max_relative_difference: float | None = None
    agreement: float | None = None
    accuracy_torch: float | None = None
    accuracy_exported: float | None = None

    @property
    def passed(self) -> bool:
        return all(check.passed for check in self.checks)

    @property
    def refusal(self) -> str:
        """The first thing that is wrong, in words; empty if it passed."""
        return next((f"{check.name}: {check.finding}" for check in self.checks if not check.passed), "")


class Demand(Struct, frozen=True):
    """What the file must be. `max_disagreement` is the share of changed decisions allowed to fp16 and int8."""

    precision: str
    normalised_inside: bool
    device: str
    max_disagreement: float


def examine(path: Path, network: nn.Module, info: ModelInfo, faces: Faces, demand: Demand) -> Verdict:
    """Compare the file, run alone in a fresh process, with the network run by PyTorch on the CPU, on the same crops."""
    verdict = Verdict([check_form(path)])
    try:
        answers = ask_alone(path, faces.crops, demand.device)
    except Failure as failure:
        verdict.checks.append(Check("runs alone", False, str(failure)))
        return verdict
    verdict.checks += [
        Check("runs alone", True, "in a fresh process without PyTorch"),
        check_provider(answers, demand),
        check_facts(answers, info, demand),
        check_preprocessing(answers, info, faces),
    ]
    logits = torch_logits(network, info, faces)
    if answers.logits.shape != logits.shape:
        wrong = f"logits are {answers.logits.shape}, those of PyTorch {logits.shape}"
        verdict.checks.append(Check("logits", False, wrong))
        return verdict
    weigh_logits(verdict, answers, logits, demand)
    weigh_decisions(verdict, answers.logits.argmax(axis=1), logits.argmax(axis=1), info, faces, demand)
    return verdict


def check_form(path: Path) -> Check:
    import onnx

    try:
        onnx.checker.check_model(str(path), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        return Check("onnx.checker", False, str(error).splitlines()[0])
    return Check("onnx.checker", True, "a valid model, shapes included")


def check_provider(answers: Answers, demand: Demand) -> Check:
    """The session has the provider asked for, and did most of its work there."""
    asked = "CPUExecutionProvider" if demand.device == "cpu" else "CUDAExecutionProvider"
    ran = answers.said.nodes_by_provider
    there, all_of_them = ran.get(asked, 0), sum(ran.values())
    passed = answers.said.provider == asked and 2 * there > all_of_them
    return Check("provider", passed, f"{asked} ran {there} of {all_of_them} nodes")


def check_facts(answers: Answers, info: ModelInfo, demand: Demand) -> Check:
    """What the file says of itself is what the checkpoint says, and what was asked for."""
    preprocessing = structs.replace(info.preprocessing, normalised_inside=demand.normalised_inside)
    expected = structs.asdict(structs.replace(info, preprocessing=preprocessing))
    said = structs.asdict(answers.said.info)
    for name, value in (expected | {"precision": demand.precision}).items():
        found = answers.said.precision if name == "precision" else said[name]
        if found != value:
            return Check("metadata", False, f"{name} is {found}, should be {value}")
    return Check("metadata", True, "classes, preprocessing and temperature are the checkpoint's")


def check_preprocessing(answers: Answers, info: ModelInfo, faces: Faces) -> Check:
    """What the file has made of the first crops is what training makes of them."""
    inside = answers.said.info.preprocessing.normalised_inside
    ours = prepare(faces.crops[: len(answers.prepared)], structs.replace(info.preprocessing, normalised_inside=inside))
    if answers.prepared.shape != ours.shape:
        return Check("preprocessing", False, f"gives {answers.prepared.shape}, training {ours.shape}")
    worst = float(np.abs(answers.prepared.astype(np.float64) - ours).max())
    return Check("preprocessing", worst == 0, "equal" if worst == 0 else f"inputs of the network differ by {worst:.2g}")


def torch_logits(network: nn.Module, info: ModelInfo, faces: Faces) -> np.ndarray:
    """(N, classes) float32 logits by PyTorch on the CPU."""
    import torch

    crops = faces.crops
    torch.set_num_threads(1)  # beside other work on two cores, two threads took four times as long as one
    with torch.inference_mode():
        batches = [
            network(torch.from_numpy(prepare(crops[start : start + LARGE_BATCH], info.preprocessing)))
            for start in range(0, len(crops), LARGE_BATCH)
        ]
        return torch.cat(batches).numpy()


def weigh_logits(verdict: Verdict, answers: Answers, logits: np.ndarray, demand: Demand) -> None:
    """How far the logits are apart, in batches of 1, 2, N and of all faces, relative to their span over the faces.

    Relative to the span and not to the largest: what all faces have in common (the bias of the last layer) decides
    nothing, and hides errors. The logits of a MobileNetV3 with random weights were 7e-4 +- 1e-9; with a wrong mean
    they were off by 1e-6 of the largest, but by as much as their span.
    """
    largest, span = float(np.abs(logits).max()), float(np.ptp(logits, axis=0).max())
    blind = span < SMALLEST_SPAN * largest
    unit = largest if blind else span
    by_batch = {size: answers.by_batch[size] - logits[: len(answers.by_batch[size])] for size in answers.by_batch}
    by_batch[len(logits)] = answers.logits - logits
    relative = {size: float(np.abs(difference).max()) / unit for size, difference in by_batch.items()}
    worst = float(np.max(list(relative.values())))  # max() would pass over a NaN
    verdict.max_relative_difference = worst
    exact = demand.precision == "fp32"
    finding = ", ".join(f"batch {size}: {value:.1e}" for size, value in relative.items())
    finding += f" (at most {LARGEST_DIFFERENCE:.0e})" if exact else " (fp32 would be 1e-6; decisions count)"
    if blind:
        finding += "; but the network calls all faces alike, so this proves little"
    passed = worst <= LARGEST_DIFFERENCE if exact else bool(np.isfinite(worst))
    verdict.checks.append(Check("logits", passed, finding))


def weigh_decisions(
    verdict: Verdict, theirs: np.ndarray, ours: np.ndarray, info: ModelInfo, faces: Faces, demand: Demand
) -> None:
    """How many faces are called otherwise, and what that does to the accuracy."""
    changed = int((theirs != ours).sum())
    verdict.agreement = 1 - changed / len(ours)
    allowed = 0.0 if demand.precision == "fp32" else demand.max_disagreement
    finding = f"{changed} of {len(ours)} changed ({changed / len(ours):.2%}, at most {allowed:.2%})"
    truth = np.array([info.classes.index(label) if label else -1 for label in faces.labels])
    known = truth >= 0
    if known.any():
        verdict.accuracy_torch = float((ours == truth)[known].mean())
        verdict.accuracy_exported = float((theirs == truth)[known].mean())
        finding += f"; accuracy {verdict.accuracy_torch:.2%} -> {verdict.accuracy_exported:.2%}"
    verdict.checks.append(Check("decisions", changed <= allowed * len(ours), finding))
