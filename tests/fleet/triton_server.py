"""A real Triton (nvidia-pytriton, CPU) with a model of `maskstream export --triton`, for tests.

`python triton_server.py MODEL.onnx PORT LOG`, as tests/v2_server.py, in an environment of its own. Triton's backends in
C++ are not in that package: ONNX Runtime runs in a process beside it, with 1 thread.
"""

import sys
import tempfile
import time

import numpy as np
import onnxruntime
from pytriton.decorators import batch
from pytriton.model_config import DynamicBatcher, ModelConfig, Tensor
from pytriton.triton import Triton, TritonConfig


def main() -> None:
    """Serve until killed; says `ready` when it listens."""
    model, port, log = sys.argv[1:]
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    [pixels], [logits] = session.get_inputs(), session.get_outputs()

    @batch
    def infer(pixels: np.ndarray) -> dict[str, np.ndarray]:
        with open(log, "a") as file:
            file.write(f"{len(pixels)}\n")
        return {logits.name: session.run(None, {"pixels": pixels})[0]}

    config = TritonConfig(http_address="127.0.0.1", http_port=int(port), allow_grpc=False, allow_metrics=False)
    with tempfile.TemporaryDirectory() as folder, Triton(config=config, workspace=f"{folder}/triton") as triton:
        triton.bind(
            "mask",
            infer,
            inputs=[Tensor(name="pixels", dtype=np.uint8, shape=tuple(pixels.shape[1:]))],
            outputs=[Tensor(name=logits.name, dtype=np.float32, shape=tuple(logits.shape[1:]))],
            config=ModelConfig(max_batch_size=64, batcher=DynamicBatcher(max_queue_delay_microseconds=0)),
        )
        triton.run()
        print("ready", flush=True)
        while True:
            time.sleep(3600)


if __name__ == "__main__":
    main()
