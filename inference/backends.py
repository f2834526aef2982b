"""Running a trained network on prepared faces: by PyTorch (.pth) or ONNX Runtime (.onnx), on CPU or CUDA."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import numpy as np

from configs.errors import InputError
from configs.schema import ClassifyConfig
from inference.checkpoint import ModelInfo, load_checkpoint
from inference.networks import require_torch
from inference.preprocess import Preprocessing, prepare

if TYPE_CHECKING:
    import onnxruntime
    import torch

log = logging.getLogger("classify")

SHIPPED_MODEL = Path(__file__).parent / "pretrained" / "face_mask.onnx"
SHIPPED_INT8 = SHIPPED_MODEL.with_suffix(".int8.onnx")  # the same, in half the time on a CPU
METADATA_KEY = "maskstream"  # in the metadata of an ONNX file: its ModelInfo as JSON
PRECISION_KEY = "maskstream.precision"  # there too: fp32, fp16 or int8


def open_backend(config: ClassifyConfig) -> Backend:
    """The model of the configuration, loaded, on the device asked for, and warmed up.

    Raises InputError for a file that is no model, for class names that are missing or do not fit, and for a
    device that is not really in use: there is no silent fall-back to the CPU.
    """
    path = model_file(config)
    if not path.is_file():
        raise InputError(f"{path}: no such model file")
    if path.suffix == ".onnx":
        backend: Backend = OnnxBackend(path, config)
    elif path.suffix in (".pth", ".pt"):
        backend = TorchBackend(path, config)
    else:
        raise InputError(f"{path}: a model file ends in .onnx or .pth")
    answer = backend.logits(two_faces(backend.preprocessing))
    if answer.ndim != 2 or len(answer) != 2:
        raise InputError(f"{path}: two faces must give logits of shape (2, classes), they give {answer.shape}")
    if answer.shape[1] != len(backend.classes):
        names = len(backend.classes)
        raise InputError(f"{path}: the model has {answer.shape[1]} outputs, but {names} class names are given")
    return backend


def model_file(config: ClassifyConfig) -> Path:
    """The file of the options, else the one that ships for their device: int8 for CPUs, fp32 for CUDA."""
    if config.model:
        return Path(config.model)
    return SHIPPED_MODEL if wants_cuda(config.device) else SHIPPED_INT8


def two_faces(preprocessing: Preprocessing) -> np.ndarray:
    """A batch to warm up with: of one face it would not show that a model takes only one at a time."""
    return prepare([np.zeros((1, 1, 3), np.uint8)] * 2, preprocessing)


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
    """An ONNX file of any precision whose first output is the logits.

    Its input is (batch, 3, size, size) float32 RGB; or, if it says so itself, (batch, size, size, 3) uint8 BGR.
    """

    def __init__(self, path: Path, config: ClassifyConfig) -> None:
        self.session, self.provider = open_session(path, config)
        self.input, size, normalised_inside = checked_input(path, self.session)
        self.info = onnx_info(path, self.session, config, size, normalised_inside)
        try:
            self.logits(two_faces(self.preprocessing))
        except session_errors() as error:
            raise InputError(f"{path}: cannot be run on two faces at once: {str(error).splitlines()[0]}") from error

    def logits(self, faces: np.ndarray) -> np.ndarray:
        return self.session.run(None, {self.input: faces})[0]

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
        raise InputError(f"{path}: not a model that ONNX Runtime can load: {str(error).splitlines()[0]}") from error
    used = session.get_providers()[0]
    if cuda_number is not None and used != "CUDAExecutionProvider":
        raise InputError(
            f"--device {config.device}: ONNX Runtime could not start CUDA and would run on {used}; "
            "check the driver and the CUDA libraries, or use --device cpu"
        )
    if config.device == "auto":
        log.info("--device auto: chose %s", used)
    return session, used


def session_errors() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises for a model that it cannot load or run: its error types have no common base."""
    from onnxruntime.capi import onnxruntime_pybind11_state as errors

    return (
        errors.Fail,
        errors.InvalidArgument,
        errors.InvalidGraph,
        errors.InvalidProtobuf,
        errors.NotImplemented,
        errors.RuntimeException,
    )


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


def checked_input(path: Path, session: onnxruntime.InferenceSession) -> tuple[str, int, bool]:
    """Name and size of the one input, which has a free batch, and whether it takes pixels and normalises inside."""
    inputs = session.get_inputs()
    shape = inputs[0].shape
    takes_pixels = inputs[0].type == "tensor(uint8)"
    channels, height, width = (3, 1, 2) if takes_pixels else (1, 2, 3)
    known = takes_pixels or inputs[0].type == "tensor(float)"
    if len(inputs) != 1 or not known or len(shape) != 4 or shape[channels] != 3:
        described = ", ".join(f"{given.type} {given.shape}" for given in inputs)
        raise InputError(
            f"{path}: its input must be one tensor, float (batch, 3, size, size) or uint8 (batch, size, size, 3); "
            f"it is {described}"
        )
    if isinstance(shape[0], int):
        raise InputError(f"{path}: its batch is fixed at {shape[0]}; export it again with a dynamic batch")
    if not isinstance(shape[height], int) or shape[height] != shape[width]:
        raise InputError(f"{path}: its input must be square and of one size, it is {shape[height]} x {shape[width]}")
    return inputs[0].name, shape[height], takes_pixels


def onnx_info(
    path: Path, session: onnxruntime.InferenceSession, config: ClassifyConfig, size: int, normalised_inside: bool
) -> ModelInfo:
    """What the file says of itself; of a file made elsewhere, the classes given and ImageNet's mean and deviation."""
    text = session.get_modelmeta().custom_metadata_map.get(METADATA_KEY)
    if text is None:
        if normalised_inside:
            raise InputError(f"{path}: takes uint8 pixels, but has no {METADATA_KEY} metadata to say of which colours")
        if not config.classes:
            raise InputError(f"{path}: holds no class names; give them in order: --classes a,b,c")
        return ModelInfo(config.classes, Preprocessing(size))
    try:
        info = msgspec.json.decode(text, type=ModelInfo)
    except msgspec.MsgspecError as error:
        raise InputError(f"{path}: its {METADATA_KEY} metadata cannot be read: {error}") from error
    said = (info.preprocessing.size, info.preprocessing.normalised_inside)
    if said != (size, normalised_inside):
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
