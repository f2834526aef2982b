"""Runs the file beside it in Triton's Python backend, whose C++ backends nvidia-pytriton does not bring; for tests."""

import os
from pathlib import Path

import numpy as np
import onnxruntime
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """What Triton's Python backend asks for: https://github.com/triton-inference-server/python_backend."""

    def initialize(self, args: dict[str, str]) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        model = Path(args["model_repository"]) / args["model_version"] / "model.onnx"
        self.session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])

    def execute(self, requests: list) -> list:
        """The requests that Triton's dynamic batching puts together, in one pass."""
        faces = [pb_utils.get_input_tensor_by_name(request, "pixels").as_numpy() for request in requests]
        with open(os.environ["MASKSTREAM_LOG"], "a") as log:
            log.write(f"{sum(map(len, faces))}\n")
        [logits] = self.session.run(["logits"], {"pixels": faces[0] if len(faces) == 1 else np.concatenate(faces)})
        parts = np.split(logits, np.cumsum([len(part) for part in faces])[:-1])
        return [pb_utils.InferenceResponse([pb_utils.Tensor("logits", np.ascontiguousarray(part))]) for part in parts]
