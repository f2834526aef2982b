"""The weights in an exported file, to learn further from: as a checkpoint has them, where only the ONNX was kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from configs.errors import InputError

if TYPE_CHECKING:
    import torch

HALF = "_half"  # ends the names of those that are stored in half precision


def exported_weights(path: Path, prefix: str = "") -> dict[str, torch.Tensor]:
    """Tensors (float32) of an ONNX file by their names in the network, of those whose names begin with `prefix`.

    Raises InputError for a file that is none.
    """
    import onnx
    import torch
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    try:
        content = onnx.load(path)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file") from None
    except (OSError, DecodeError) as error:
        raise InputError(f"{path}: no ONNX file: {error}") from None
    return {
        one.name.removeprefix(prefix).removesuffix(HALF): torch.from_numpy(
            np.array(onnx.numpy_helper.to_array(one), np.float32)
        )
        for one in content.graph.initializer
        if one.name.startswith(prefix)
    }
