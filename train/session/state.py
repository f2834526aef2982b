"""The state of a run, written after each epoch, from which `--resume` goes on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from configs.errors import InputError
from configs.whole_file import write_whole
from inference.checkpoint import read_content

FORMAT = "maskstream-training-1"


class Resumable(Protocol):
    """A training whose whole state is tensors and plain values."""

    def state(self) -> dict[str, Any]: ...

    def restore(self, state: dict[str, Any]) -> None: ...


def save_state(path: Path, training: Resumable, settings: Mapping[str, Any], data_fingerprint: str) -> None:
    """Write all that the next epoch depends on; an older state stays until the new one is complete.

    No random generator is in it: what an epoch draws follows from the seed and its number.
    """
    import torch

    content = {
        "format": FORMAT,
        "settings": dict(settings),
        "data_fingerprint": data_fingerprint,
        "training": training.state(),
    }
    write_whole(path, lambda partial: torch.save(content, partial))


def load_state(path: Path, training: Resumable, settings: Mapping[str, Any], data_fingerprint: str) -> None:
    """Let the training go on from the file.

    Raises InputError where there is none, or where it was written with other settings or on other pictures: then
    nothing would be the same as in an unbroken run.
    """
    if not path.is_file():
        raise InputError(f"--resume: {path}: no such file: no unfinished run has this name")
    content = read_content(path)
    if content.get("format") != FORMAT:
        raise InputError(f"{path}: not the state of a training run")
    for name, value in settings.items():
        before = content["settings"].get(name)
        if str(before) != str(value):  # an option that came later was not given then, and the detector's are words
            option = "--" + name.replace("_", "-")
            raise InputError(f"--resume: {path} was written with {option} {before}, not {value}")
    if content["data_fingerprint"] != data_fingerprint:
        raise InputError(f"--resume: {path} was written on other pictures, or on other splits of them")
    training.restore(content["training"])
