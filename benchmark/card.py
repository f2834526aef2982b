"""The card that `benchmark --gpu` measures: what is missing where there is none, and its peak by its data sheet."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

from msgspec import Struct

from capture.chips import CHIPS, has_node
from configs.errors import InputError
from inference.networks import require_torch

if TYPE_CHECKING:
    from torch import nn

Precision = Literal["fp32", "fp16", "int8"]
WHAT = "benchmark --gpu"


class Peak(Struct, frozen=True):
    """Operations a second, in units of 10^12: fp32 without tensor cores, fp16 and int8 with them, without sparsity."""

    fp32: float
    fp16: float
    int8: float


SOURCE = "NVIDIA's data sheets of the cards; tensor cores without sparsity"
_A100, _H100 = Peak(19.5, 312.0, 624.0), Peak(67.0, 989.0, 1979.0)
PEAKS = {
    "NVIDIA H200": _H100,
    "NVIDIA H100 80GB HBM3": _H100,
    "NVIDIA H100 PCIe": Peak(51.0, 756.0, 1513.0),
    "NVIDIA A100-SXM4-40GB": _A100,
    "NVIDIA A100-SXM4-80GB": _A100,
    "NVIDIA A100-PCIE-40GB": _A100,
    "NVIDIA A100 80GB PCIe": _A100,
    "NVIDIA L40S": Peak(91.6, 362.0, 733.0),
    "NVIDIA L4": Peak(30.3, 121.0, 242.0),
    "NVIDIA A10": Peak(31.2, 125.0, 250.0),
    "Tesla T4": Peak(8.1, 65.0, 130.0),
}


class Card(Struct, frozen=True):
    """A card: its name, memory in GB of 10^9 bytes, driver, the CUDA that PyTorch was built for, its peak if known."""

    device: str
    name: str
    memory_gb: float = 0.0
    driver: str = ""
    cuda: str = ""
    peak: Peak | None = None
    peak_source: str = ""

    def share(self, operations_per_s: float, precision: Precision) -> float | None:
        """So many operations a second as a share of its peak; None where that is not known."""
        return operations_per_s / (1e12 * getattr(self.peak, precision)) if self.peak else None


def require_card(device: str) -> Card:
    """The card to measure; raises InputError, one line, for what is missing: driver, PyTorch, its CUDA, or the card.

    `device` is cpu, which nobody has chosen, auto, cuda or cuda:N.
    """
    chip = CHIPS["cuda"]
    if not has_node("cuda"):
        raise InputError(
            f"{WHAT}: {chip.driver} is not loaded, or not given to this container (there is no {chip.node}): "
            "it needs an NVIDIA card, its driver, and pip install -e '.[bench]'"
        )
    require_torch(WHAT)
    import torch

    if torch.version.cuda is None:
        raise InputError(
            f"{WHAT}: this PyTorch ({torch.__version__}) is built without CUDA: pip install --force-reinstall torch "
            "torchvision from PyPI brings one with it"
        )
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    number = int(device.partition(":")[2] or 0)
    if number >= count:
        raise InputError(
            f"{WHAT}: PyTorch {torch.__version__} finds {count or 'no'} CUDA devices: the driver must be one for "
            f"CUDA {torch.version.cuda}, and --device one that is there"
        )
    about = torch.cuda.get_device_properties(number)
    peak = PEAKS.get(about.name)
    return Card(
        f"cuda:{number}",
        about.name,
        about.total_memory / 1e9,
        driver_version(),
        torch.version.cuda,
        peak,
        SOURCE if peak else "",
    )


def driver_version() -> str:
    """As the kernel's module tells it; empty where it does not, as under WSL."""
    path = Path("/sys/module/nvidia/version")
    return path.read_text().strip() if path.exists() else ""


def operations(network: nn.Module, *shape: int) -> float:
    """Additions and multiplications of one forward pass of an input of that shape, counted by PyTorch, not run.

    Convolutions and products of matrices: a multiplication and its addition are two. ResNet50 at 224 px has 8.2e9.
    """
    import copy

    import torch
    from torch.utils.flop_counter import FlopCounterMode

    empty = copy.deepcopy(network).float().to("meta").eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        empty(torch.empty(shape, device="meta"))
    return float(counter.get_total_flops())
