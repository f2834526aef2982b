"""What ONNX Runtime raises for a model that it cannot load or run, and what it means, in words."""

from __future__ import annotations

import re

MENDABLE = {  # errors of ONNX Runtime 1.32 and what to do about them
    r"Unsupported model IR version: (\d+), max supported IR version: (\d+)": (
        r"it is written in version \1 of ONNX's format, this onnxruntime knows them up to \2: update onnxruntime"
    ),
    r'External data path does not exist: "?([^"\n]+)': r"its weights are in a file that is not there: \1",
}


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


def in_short(error: Exception) -> str:
    """What ONNX Runtime says, without its codes and the places in its source; what a user can mend, in our words.

    >>> in_short(RuntimeError("[ONNXRuntimeError] : 1 : FAIL : Node (x) is odd\\nStacktrace:"))
    'Node (x) is odd'
    """
    text = str(error)
    for pattern, words in MENDABLE.items():
        found = re.search(pattern, text)
        if found:
            return found.expand(words)
    return re.sub(r"^\[ONNXRuntimeError\] : \d+ : \w+ : (Load model from .*? failed:)?", "", text.splitlines()[0])
