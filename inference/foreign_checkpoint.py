"""Checkpoints of other training programs: where in them the weights of a known network are, and the class names."""

from __future__ import annotations

import argparse
import logging
import pathlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from inference.networks import BACKBONES, HEAD_INPUTS, HEADS

if TYPE_CHECKING:
    import torch

log = logging.getLogger("classify")

DEEPEST = 3  # dictionaries in dictionaries that are looked into: {"ema": {"model": {"state_dict": ...}}}
CLASS_NAMES = {
    "categories", "class_names", "class_to_idx", "classes", "classnames", "id2label", "idx_to_class", "label2id",
    "label_names", "labels", "names",
}  # fmt: skip


class Found(NamedTuple):
    """The weights of one network: `place` says where they were, empty for a file that is nothing but them."""

    place: str
    weights: dict[str, torch.Tensor]


def found_weights(path: Path, content: Mapping[str, Any]) -> Mapping[str, Any]:
    """The state dict of a known network in what a training program has saved, without what it put before its names.

    `module.` is DataParallel's, `_orig_mod.` that of torch.compile, `model.` or `net.` a class around the network.
    Averaged weights (EMA) come before others, as their program judges by them; then the first ones. Which ones were
    taken is said where there are several. Content in which no network is known is given back as it is.
    """
    candidates = [found for place, part in dictionaries(content) for found in networks_in(place, part)]
    if not candidates:
        return content
    chosen = next((found for found in candidates if re.search(r"ema(?![a-z])|averaged", found.place)), candidates[0])
    if len(candidates) > 1:
        places = ", ".join(found.place or "the top" for found in candidates)
        log.warning("%s: holds several networks (%s): took %s", path, places, chosen.place or "the top")
    return chosen.weights


def networks_in(place: str, part: Mapping[str, Any]) -> Iterator[Found]:
    """Each known network among the tensors of a dictionary: told by the name of its last layer and its inputs."""
    import torch

    tensors = {key: value for key, value in part.items() if isinstance(key, str) and isinstance(value, torch.Tensor)}
    prefixes = dict.fromkeys(
        key.removesuffix(f"{HEADS[name]}.weight")
        for key, value in tensors.items()
        for name in BACKBONES
        if f".{key}".endswith(f".{HEADS[name]}.weight") and value.shape[1:] == (HEAD_INPUTS[name],)
    )
    outermost: list[str] = []  # a network may have another one in it, with a head of its own
    for prefix in sorted(prefixes, key=len):
        if not any(prefix.startswith(outer) for outer in outermost):
            outermost.append(prefix)
            weights = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
            yield Found(" / ".join(filter(None, (place, prefix))), weights)


def dictionaries(
    content: Mapping[Any, Any], place: str = "", depth: int = 0
) -> Iterator[tuple[str, Mapping[Any, Any]]]:
    """A dictionary and those in it, each with its place; what `argparse` made counts as one."""
    yield place, content
    for key, value in content.items() if depth < DEEPEST else ():
        if isinstance(value, argparse.Namespace):
            value = vars(value)
        if isinstance(key, str) and isinstance(value, Mapping):
            yield from dictionaries(value, " / ".join(filter(None, (place, key))), depth + 1)


def found_class_names(content: Mapping[str, Any], outputs: int) -> tuple[tuple[str, ...], str]:
    """As many class names as the network has outputs, and where they were; none where they are not simply there."""
    for place, part in dictionaries(content):
        for key, value in part.items():
            if isinstance(key, str) and key.lower() in CLASS_NAMES:
                names = names_of(value)
                if len(names) == outputs:
                    return names, " / ".join(filter(None, (place, key)))
    return (), ""


def names_of(value: Any) -> tuple[str, ...]:
    """Distinct names in the order of their numbers, of any of the ways to write that; () for anything else.

    >>> names_of({"mask": 1, "bare": 0}), names_of({0: "bare", 1: "mask"}), names_of(["bare", "mask"])
    (('bare', 'mask'), ('bare', 'mask'), ('bare', 'mask'))
    >>> names_of({"0": "bare", "1": "mask"}), names_of({"mask": 1, "bare": 2}), names_of("mask")
    (('bare', 'mask'), (), ())
    """
    if isinstance(value, Mapping):
        if all(isinstance(name, str) and str(number).isdecimal() for number, name in value.items()):
            value = {name: int(number) for number, name in value.items()}
        if sorted(map(str, value.values())) != sorted(map(str, range(len(value)))):
            return ()
        value = sorted(value, key=lambda name: int(value[name]))
    if not isinstance(value, list | tuple) or not all(isinstance(name, str) for name in value):
        return ()
    return tuple(value) if len(set(value)) == len(value) else ()


def with_counters(weights: Mapping[str, torch.Tensor], own: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The weights with batch norm's counters, which old files lack and nothing here uses."""
    missing = {key: value for key, value in own.items() if key.endswith("num_batches_tracked") and key not in weights}
    return {**weights, **missing}


def plain_values() -> list[Any]:
    """What training programs put beside weights and what cannot run code: NumPy's numbers and arrays, paths, options.

    For `torch.serialization.safe_globals`; both names that NumPy has had for its functions.
    """
    scalar, rebuilt = np.float64(0).__reduce__()[0], np.zeros(1).__reduce__()[0]
    types = {type(np.dtype(kind)) for kind in "?bhilqBHILQefdSU"}
    return [
        np.ndarray, np.dtype, *types,
        (scalar, "numpy.core.multiarray.scalar"), (scalar, "numpy._core.multiarray.scalar"),
        (rebuilt, "numpy.core.multiarray._reconstruct"), (rebuilt, "numpy._core.multiarray._reconstruct"),
        argparse.Namespace, pathlib.PosixPath,
    ]  # fmt: skip


def pickled_object(error: Exception) -> str:
    """The name of what torch refused to unpickle, empty where it does not say.

    >>> pickled_object(ValueError("Unsupported global: GLOBAL torchvision.models.resnet.ResNet was not an allowed"))
    'torchvision.models.resnet.ResNet'
    """
    found = re.search(r"GLOBAL (\S+)|of type (\S+)", str(error))
    return (found[1] or found[2]).strip(".`'") if found else ""
