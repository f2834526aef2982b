"""Running a trained network on prepared faces: by PyTorch (.pth) or ONNX Runtime (.onnx), on CPU or CUDA."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from configs.errors import InputError
from configs.schema import ClassifyConfig
from inference.checkpoint import ModelInfo, load_checkpoint, other_format
from inference.networks import require_torch
from inference.onnx_errors import in_short, session_errors
from inference.onnx_form import FLOATS, InputForm, as_rows, input_form, is_table
from inference.onnx_graph import last_operation
from inference.original import there
from inference.outputs import as_logits, meaning_of, outputs_for, remark
from inference.preprocess import Preprocessing, prepare

if TYPE_CHECKING:
    import onnxruntime
    import torch

log = logging.getLogger("classify")

SHIPPED_MODEL = Path(__file__).parent / "pretrained" / "face_mask.onnx"
SHIPPED_INT8 = SHIPPED_MODEL.with_suffix(".int8.onnx")  # the same, in half the time on a CPU
TORCH_FILES = (".pth", ".pt", ".ckpt", ".tar", ".bin")  # .ckpt: Lightning; .pth.tar: PyTorch's ImageNet example
METADATA_KEY = "maskstream"  # in the metadata of an ONNX file: its ModelInfo as JSON
PRECISION_KEY = "maskstream.precision"  # there too: fp32, fp16 or int8


def open_backend(config: ClassifyConfig) -> Backend:
    """The model of the configuration, loaded, on the device asked for, and warmed up.

    Raises InputError for a file that is no model, for class names that are missing or do not fit, and for a
    device that is not really in use: there is no silent fall-back to the CPU.
    """
    path = there(model_file(config))
    if not path.is_file():
        raise InputError(f"{path}: no such model file")
    if path.suffix == ".onnx":
        backend: Backend = OnnxBackend(path, config)
    elif path.suffix in TORCH_FILES:
        backend = TorchBackend(path, config)
    else:
        raise InputError(f"{path}: a model file ends in .onnx or .pth{other_format(path)}")
    answer = backend.logits(varied_faces(backend.preprocessing)[:2])
    if answer.shape[1] != len(backend.classes):
        names = len(backend.classes)
        raise InputError(f"{path}: the model has {answer.shape[1]} outputs, but {names} class names are given")
    return backend


def model_file(config: ClassifyConfig) -> Path:
    """The file of the options, else the one that ships for their device: int8 for CPUs, fp32 for CUDA."""
    if config.model:
        return Path(config.model)
    return SHIPPED_MODEL if wants_cuda(config.device) else SHIPPED_INT8


def varied_faces(preprocessing: Preprocessing) -> np.ndarray:
    """A batch to warm up with: black, white, a slope of colours, noise. Of faces that are alike, or of one, it would
    show neither what the outputs are nor that a model takes only one at a time."""
    slope = np.linspace(0, 255, 8 * 8 * 3).reshape(8, 8, 3).astype(np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    return prepare([np.zeros_like(slope), np.full_like(slope, 255), slope, noise], preprocessing)


class Backend(ABC):
    """A network ready to run. `provider` names what runs it: `torch cpu`, `CUDAExecutionProvider`, ..."""

    info: ModelInfo
    provider: str

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names in the order of the columns of `probabilities`."""
        return self.info.classes

    @property
    def preprocessing(self) -> Preprocessing:
        """How `inference.preprocess.prepare` must make the batches."""
        return self.info.preprocessing

    def probabilities(self, faces: np.ndarray) -> np.ndarray:
        """(N, classes) float32, rows sum to 1, calibrated by the temperature; for a batch that `prepare` made."""
        return softmax(self.logits(faces) / np.float32(self.info.temperature))

    @abstractmethod
    def logits(self, faces: np.ndarray) -> np.ndarray:
        """(N, classes) float32: the raw outputs of the network."""


def softmax(logits: np.ndarray) -> np.ndarray:
    """Rows to probabilities.

    >>> softmax(np.array([[1000.0, 1000.0]]))
    array([[0.5, 0.5]])
    """
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


class OnnxBackend(Backend):
    """An ONNX file of any precision.

    Our own take (batch, 3, size, size) float32 RGB or (batch, size, size, 3) uint8 BGR, and give logits. Files made
    elsewhere may differ as `inference.onnx_form` and `inference.outputs` say; one line tells what was found.
    """

    def __init__(self, path: Path, config: ClassifyConfig) -> None:
        self.session, self.provider = open_session(path, config)
        self.form = input_form(path, self.session)
        self.info = onnx_info(path, self.session, config, self.form)
        self._output, first = self._chosen_output(path)
        try:
            self.meaning = meaning_of(first, last_operation(path, self._output), len(self.classes))
        except InputError as error:
            raise InputError(f"{path}: {error}") from None
        remarks = [*self.form.remarks(), *remark(self.meaning, self.classes)]
        if remarks:
            log.warning("%s: %s", path, "; ".join(remarks))

    def logits(self, faces: np.ndarray) -> np.ndarray:
        return as_logits(as_rows(self._run([self._output], faces)[0], len(faces)), self.meaning)

    def _run(self, outputs: list[str], faces: np.ndarray) -> list[np.ndarray]:
        """These outputs of the faces, in as many passes as the model's batch asks for."""
        answers = [self.session.run(outputs, {self.form.name: batch}) for batch in self.form.batches(faces)]
        if not self.form.batch:
            return answers[0]
        return [np.concatenate(list(map(np.atleast_1d, parts)))[: len(faces)] for parts in zip(*answers, strict=True)]

    def _chosen_output(self, path: Path) -> tuple[str, np.ndarray]:
        """The output with a number for each class, else the first one; and what it says of varied faces.

        A model that cannot take several faces at once gets them one by one: a batch is often free by name only.
        """
        faces = varied_faces(self.preprocessing)
        outputs = [output for output in self.session.get_outputs() if output.type in FLOATS]
        refusals = [f"has no output of floats: {', '.join(output.type for output in self.session.get_outputs())}"]
        for batch in dict.fromkeys((self.form.batch, 1)) if outputs else ():
            self.form = replace(self.form, batch=batch)
            try:
                answers = self._run([output.name for output in outputs], faces)
            except session_errors() as error:
                refusals.append(f"cannot be run on faces: {in_short(error)}")
                continue
            rows = {
                output.name: as_rows(answer, len(faces))
                for output, answer in zip(outputs, answers, strict=True)
                if is_table(answer, len(faces))
            }
            if rows:
                fits = (name for name, row in rows.items() if row.shape[1] in outputs_for(len(self.classes)))
                name = next(fits, next(iter(rows)))
                return name, rows[name]
            shapes = ", ".join(str(answer.shape) for answer in answers)
            refusals.append(f"must give a row of numbers for each face, of {len(faces)} faces it gives {shapes}")
        raise InputError(f"{path}: {refusals[:2][-1]}")

    @property
    def precision(self) -> str:
        """fp32, fp16 or int8, as the file says; a file made elsewhere says nothing."""
        return self.session.get_modelmeta().custom_metadata_map.get(PRECISION_KEY, "")


def open_session(path: Path, config: ClassifyConfig) -> tuple[onnxruntime.InferenceSession, str]:
    """An ONNX Runtime session and the execution provider that it really uses."""
    import onnxruntime

    cuda_number = parse_device(config.device)
    if cuda_number is not None and not cuda_built_in():
        raise InputError(f"--device {config.device}: {missing_cuda_provider()}; or use --device cpu")
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # it prints pages about what we say in one line
    options.intra_op_num_threads = config.threads or 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # else it burns the other stages' cores
    providers: list[str | tuple[str, dict[str, int]]] = ["CPUExecutionProvider"]
    # TF32, which ONNX Runtime allows by default, cuts fp32 to 10 bits: who wants that speed exports with --fp16
    if wants_cuda(config.device):
        providers.insert(0, ("CUDAExecutionProvider", {"device_id": cuda_number or 0, "use_tf32": 0}))
    try:
        session = onnxruntime.InferenceSession(str(path), options, providers=providers)
    except session_errors() as error:
        raise InputError(f"{path}: not a model that ONNX Runtime can load: {in_short(error)}") from error
    used = session.get_providers()[0]
    if cuda_number is not None and used != "CUDAExecutionProvider":
        raise InputError(
            f"--device {config.device}: ONNX Runtime could not start CUDA and would run on {used}; "
            "check the driver and the CUDA libraries, or use --device cpu"
        )
    if config.device == "auto":
        log.info("--device auto: chose %s", used)
    return session, used


def parse_device(device: str) -> int | None:
    """Number of the CUDA device asked for by name; None for cpu and auto. Raises InputError for any other name.

    >>> [parse_device(name) for name in ("cpu", "auto", "cuda", "cuda:1")]
    [None, None, 0, 1]
    """
    kind, _, number = device.partition(":")
    if device in ("cpu", "auto"):
        return None
    if kind == "cuda" and (device == "cuda" or number.isdecimal()):
        return int(number or 0)
    raise InputError(f"--device {device}: known are cpu, cuda, cuda:N and auto")


def wants_cuda(device: str) -> bool:
    """Whether ONNX Runtime is to try CUDA for `--device`."""
    return parse_device(device) is not None or (device == "auto" and cuda_built_in())


def cuda_built_in() -> bool:
    """Whether the ONNX Runtime that is installed was built with CUDA."""
    import onnxruntime

    return "CUDAExecutionProvider" in onnxruntime.get_available_providers()


def missing_cuda_provider() -> str:
    """Why ONNX Runtime has no CUDA here, in words. Its two packages overwrite each other's files unnoticed."""
    installed = {dist.name for dist in metadata.distributions() if dist.name.startswith("onnxruntime")}
    if {"onnxruntime", "onnxruntime-gpu"} <= installed:
        return "onnxruntime has overwritten onnxruntime-gpu: uninstall both, then install onnxruntime-gpu again"
    return "this ONNX Runtime is built without CUDA: install onnxruntime-gpu instead of onnxruntime"


def onnx_info(path: Path, session: onnxruntime.InferenceSession, config: ClassifyConfig, form: InputForm) -> ModelInfo:
    """What the file says of itself; of a file made elsewhere, the classes given and ImageNet's mean and deviation."""
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        if form.takes_pixels:
            raise InputError(f"{path}: takes uint8 pixels, but has no {METADATA_KEY} metadata to say of which colours")
        if not config.classes:
            raise InputError(f"{path}: holds no class names; give them in order: --classes a,b,c")
        log.info("%s: made elsewhere: it gets RGB with ImageNet's mean and deviation taken off", path)
        return ModelInfo(config.classes, Preprocessing(form.size))
    try:
        info = msgspec.json.decode(text, type=ModelInfo)
    except msgspec.MsgspecError as error:
        raise InputError(f"{path}: its {METADATA_KEY} metadata cannot be read: {error}") from error
    said = (info.preprocessing.size, info.preprocessing.normalised_inside)
    if said != (form.size, form.takes_pixels):
        raise InputError(f"{path}: its {METADATA_KEY} metadata are of another model: size or type of input differ")
    return msgspec.structs.replace(info, classes=config.classes or info.classes)


class TorchBackend(Backend):
    """A checkpoint, or a bare state dict with class names given, run by PyTorch."""

    def __init__(self, path: Path, config: ClassifyConfig) -> None:
        require_torch(f"{path}: a .pth model")
        import torch

        self.device = torch_device(config.device)
        torch.set_num_threads(config.threads or 1)
        self.network, self.info = load_checkpoint(path, config.classes, config.backbone)
        self.network.to(self.device)
        self.provider = f"torch {self.device}"

    def logits(self, faces: np.ndarray) -> np.ndarray:
        import torch

        with torch.inference_mode():
            return self.network(torch.from_numpy(faces).to(self.device)).float().cpu().numpy()


def torch_device(device: str) -> torch.device:
    """The PyTorch device asked for by name. Raises InputError where there is no such device."""
    import torch

    cuda_number = parse_device(device)
    found = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if cuda_number is not None and cuda_number >= found:
        raise InputError(f"--device {device}: PyTorch finds {found or 'no'} CUDA devices here; use --device cpu")
    if device == "auto":
        cuda_number = 0 if found else None
        log.info("--device auto: chose %s", "cuda:0" if found else "cpu")
    return torch.device("cpu") if cuda_number is None else torch.device("cuda", cuda_number)
