"""A model repository for inference servers: the model with uint8 faces as its input, how it is batched, its labels.

The layout is Triton's, and other servers read it, too: REPOSITORY/NAME/config.pbtxt and REPOSITORY/NAME/1/model.onnx.
"""

from __future__ import annotations

import re
import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from msgspec import Struct, structs

from configs.errors import Failure, InputError
from configs.schema import ClassifyConfig
from configs.whole_file import write_bytes
from export.alone import BATCHES
from export.faces import synthetic_faces
from export.onnx_file import describe, normalise_inside
from inference.backends import open_backend
from inference.backends.onnx_backend import OnnxBackend
from inference.backends.remote_model import TOLERANCE
from inference.backends.session import METADATA_KEY, open_session
from inference.preprocess import prepare

LARGEST_BATCH = 64
OURS = "# Written by maskstream export"
CONFIG = """\
{ours}; lines that you change are kept when a version is added.
name: "{name}"
backend: "onnxruntime"
max_batch_size: {most}
input [
  {{ name: "{input}", data_type: TYPE_UINT8, dims: [ {size}, {size}, 3 ] }}  # faces, BGR
]
output [
  {{ name: "{output}", data_type: TYPE_FP32, dims: [ {classes} ], label_filename: "labels.txt" }}
]
# What waits while a batch is computed is the next batch. A queue delay would add to each answer.
dynamic_batching {{ }}
version_policy {{ latest {{ num_versions: 1 }} }}
"""


class Published(Struct):
    """Where a model lies in a repository; `added` is false where its newest version was the same file already."""

    model: str
    name: str
    version: int
    classes: tuple[str, ...]
    added: bool


def publish(model: Path, repository: Path, name: str) -> Published:
    """Put an exported file into the repository, as the next version of `name`.

    Raises InputError for a file that `maskstream export` did not write, and for a folder that is not ours or holds a
    model of other classes or another size; then nothing is changed.
    """
    folder = checked_folder(repository, name)
    if model.is_file() and METADATA_KEY not in open_session(model)[0].get_modelmeta().custom_metadata_map:
        raise InputError(f"{model}: was not written by maskstream export: give the .pth that it was made from")
    source = open_backend(ClassifyConfig(model=str(model)))
    assert isinstance(source, OnnxBackend)
    if source.form.batch:
        raise InputError(f"{model}: takes {source.form.batch} faces at a time, a server would batch nothing")
    made = model.read_bytes() if source.form.takes_pixels else with_pixels_in(model, source)
    labels = "".join(f"{name}\n" for name in source.classes).encode()
    size = source.preprocessing.size
    versions = versions_in(folder)
    if versions:
        check_same_kind(folder, labels, size)
        newest = folder / str(versions[-1]) / "model.onnx"
        if newest.is_file() and newest.read_bytes() == made:
            return Published(str(newest), name, versions[-1], source.classes, added=False)
    version = versions[-1] + 1 if versions else 1
    unfinished = folder / f"unfinished-{version}"  # no number: no server takes it for a version
    try:
        unfinished.mkdir(parents=True, exist_ok=True)
        write_bytes(unfinished / "model.onnx", made)
        check_same_answers(source, unfinished / "model.onnx")
        write_bytes(folder / "labels.txt", labels)
        if not (folder / "config.pbtxt").exists():
            write_bytes(folder / "config.pbtxt", config_text(name, size, len(source.classes)).encode())
        unfinished.rename(folder / str(version))
    except OSError as error:
        raise InputError(f"--triton {repository}: cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
        if not versions_in(folder) and folder.is_dir() and not any(folder.iterdir()):
            folder.rmdir()
    return Published(str(folder / str(version) / "model.onnx"), name, version, source.classes, added=True)


def checked_folder(repository: Path, name: str) -> Path:
    """The folder of the model in the repository. Raises InputError for one that is somebody else's."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", name):
        raise InputError(f"--triton-name {name!r}: may have letters, digits, and _ . - behind the first one")
    if repository.exists() and not repository.is_dir():
        raise InputError(f"--triton {repository}: is a file, not a folder")
    folder = repository / name
    if not folder.exists() or (folder.is_dir() and not any(folder.iterdir())):
        return folder
    try:
        ours = (folder / "config.pbtxt").read_text(errors="replace").startswith(OURS)
    except OSError:
        ours = False
    if not ours:
        raise InputError(f"--triton {repository}: its {name} was not made by maskstream; choose another --triton-name")
    return folder


def versions_in(folder: Path) -> list[int]:
    """The versions that are there, in their order."""
    if not folder.is_dir():
        return []
    return sorted(int(path.name) for path in folder.iterdir() if path.name.isdecimal() and path.name[0] != "0")


def check_same_kind(folder: Path, labels: bytes, size: int) -> None:
    """All versions have one config.pbtxt: who asks would get rows with another meaning, or refusals."""
    there = (folder / "labels.txt").read_bytes() if (folder / "labels.txt").is_file() else b""
    dims = re.search(r"TYPE_UINT8,\s*dims:\s*\[\s*(\d+)", (folder / "config.pbtxt").read_text(errors="replace"))
    if there != labels or (dims and int(dims[1]) != size):
        of = ", ".join(there.decode(errors="replace").split("\n")[:-1])
        was = f"classes {of}" + (f" and faces of {dims[1]} px" if dims else "")
        raise InputError(f"{folder}: holds a model with {was}; give this one another --triton-name")


def with_pixels_in(model: Path, source: OnnxBackend) -> bytes:
    """The file with the normalisation inside: a quarter of the bytes to send."""
    if find_spec("onnx") is None:
        raise InputError("--triton: needs onnx, which is not installed: pip install -e '.[train]' brings it")
    import onnx

    content = onnx.load(model)
    normalise_inside(content, source.preprocessing)
    inside = structs.replace(source.preprocessing, normalised_inside=True)
    describe(content, structs.replace(source.info, preprocessing=inside), source.precision)
    return content.SerializeToString(deterministic=True)


def check_same_answers(source: OnnxBackend, made: Path) -> None:
    """What is served answers as the file that it was made from, in batches of 1, 2 and more. Raises Failure."""
    served = open_backend(ClassifyConfig(model=str(made)))
    crops = synthetic_faces(max(BATCHES)).crops
    for count in BATCHES:
        ours, theirs = (one.logits(prepare(crops[:count], one.preprocessing)) for one in (source, served))
        difference = float(np.abs(ours - theirs).max())
        if not difference <= TOLERANCE:
            raise Failure(f"{made}: refused: its logits of {count} faces differ by {difference:.2g} from the model's")


def config_text(name: str, size: int, classes: int) -> str:
    """config.pbtxt, as Triton reads it."""
    names = {"input": "pixels", "output": "logits"}
    return CONFIG.format(ours=OURS, name=name, most=LARGEST_BATCH, size=size, classes=classes, **names)


def tell_published(published: Published, repository: Path) -> None:
    """Where it lies, and how it is used."""
    if published.added:
        print(f"{published.model} is written: version {published.version} of {published.name}")
    else:
        print(f"{published.model} is this model already; nothing is added")
    print(f"serve it:  tritonserver --model-repository={repository.absolute()}")
    print(f"use it:    --set classify.model={published.model} --set classify.remote=http://HOST:8000/{published.name}")
