"""Smaller numbers for a network that was written as ONNX: int8 for CPUs, fp16 for CUDA."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from inference.preprocess import Preprocessing, prepare

CALIBRATION_BATCH = 10


def to_int8(
    source: Path,
    target: Path,
    crops: Sequence[np.ndarray],
    preprocessing: Preprocessing,
    first_layer_too: bool = True,
    signed: bool = False,
) -> None:
    """Static quantisation by the ranges that crops of real faces drive the network through.

    Quantise/dequantise pairs, weights int8 per channel, activations unsigned: with signed ones ONNX Runtime was 2.5
    times slower. Ranges are plain minima and maxima: of a MobileNetV3's decisions on 881 test faces 99.4 %
    stayed; with percentile ranges 99.2 %, with convolutions and matrices only 99.3 %, with moving averages 99.3 %.
    CPUs without VNNI add such products in pairs, in 16 bits, and saturate where weights use all 8 bits (ONNX Runtime's
    documentation). They use 7, at most 64, and 2 x 255 x 64 fits. It cost FaceEnsemble nothing: 2 of 913 decisions
    changed either way.

    Without `first_layer_too` only convolutions are quantised, and the first one is not: of FaceResNet's decisions on
    913 faces 99.9 % stayed then, 97.4 % with it, whose few channels see all that the others do. `signed` makes
    activations signed and symmetric, the only ones that TensorRT takes (its documentation).
    """
    import onnx
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = target.with_suffix(".prepared.onnx")
    quant_pre_process(source, prepared)
    first = next(node.name for node in onnx.load(prepared).graph.node if node.op_type == "Conv")
    quantize_static(
        prepared,
        target,
        calibration_reader(crops, preprocessing),
        quant_format=QuantFormat.QDQ,
        per_channel=True,
        activation_type=QuantType.QInt8 if signed else QuantType.QUInt8,
        weight_type=QuantType.QInt8,
        op_types_to_quantize=None if first_layer_too else ["Conv"],
        nodes_to_exclude=[] if first_layer_too else [first],
        reduce_range=not signed,
        extra_options={"ActivationSymmetric": True} if signed else {},
    )


def calibration_reader(crops: Sequence[np.ndarray], preprocessing: Preprocessing) -> object:
    """The crops in prepared batches, as ONNX Runtime's calibration asks for them."""
    from onnxruntime.quantization import CalibrationDataReader

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.starts = iter(range(0, len(crops), CALIBRATION_BATCH))

        def get_next(self) -> dict[str, np.ndarray] | None:
            start = next(self.starts, None)
            if start is None:
                return None
            return {"faces": prepare(crops[start : start + CALIBRATION_BATCH], preprocessing)}

    return Reader()


def to_fp16(source: Path, target: Path) -> None:
    """Weights and arithmetic in half precision; input and output stay float32."""
    import onnx
    from onnxruntime.quantization.onnx_model import ONNXModel
    from onnxruntime.transformers.float16 import convert_float_to_float16

    half = ONNXModel(convert_float_to_float16(onnx.load(source), keep_io_types=True))
    half.topological_sort()  # it appends the cast of the input behind the nodes that use it: onnx.checker refuses that
    onnx.save(half.model, target)
